package schema

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/match"
	"github.com/leadmill/leadmill/lead/score"
)

// States of a lead.
const (
	StateNew     = "new"     // not yet assigned
	StateOwned   = "owned"   // somebody has it
	StateUnowned = "unowned" // nobody could take it: no active user with a weight
)

// Lead is the row as it stands: what intakes and events add up to.
type Lead struct {
	lead.Lead
	State       string
	Parts       []score.Part // add up to Score
	Owner       string       // e-mail of the user; "" none
	OwnerReason string
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

const leadColumns = `l.id, l.state, l.fields, l.extra, l.submissions, l.score, l.parts, coalesce(l.owner_id, 0),
	coalesce(u.email, ''), l.owner_reason, l.created_at, l.updated_at`

func scanLead(row dbctx.Scanner) (Lead, error) {
	var l Lead
	var fields, extra, parts string
	err := row.Scan(&l.ID, &l.State, &fields, &extra, &l.Submissions, &l.Score, &parts, &l.OwnerID,
		&l.Owner, &l.OwnerReason, &l.CreatedAt, &l.UpdatedAt)
	if err != nil {
		return l, err
	}
	return l, errors.Join(
		json.Unmarshal([]byte(fields), &l.Fields),
		exactly(extra, &l.Extra),
		json.Unmarshal([]byte(parts), &l.Parts))
}

// exactly reads JSON and leaves its numbers as they are written: ids of platforms are longer than a float is exact.
func exactly(text string, v any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return d.Decode(v)
}

// GetLead returns one lead or ErrNotFound.
func GetLead(ctx context.Context, tx *dbctx.Tx, id int64) (Lead, error) {
	l, err := scanLead(tx.QueryRow(ctx, `SELECT `+leadColumns+`
		FROM leads l LEFT JOIN users u ON u.id = l.owner_id WHERE l.id = $1`, id))
	return l, notFound(err, "lead", id)
}

// LockLeads returns those leads, locked in order of their ids until the scope ends.
func LockLeads(ctx context.Context, tx *dbctx.Tx, ids []int64) ([]Lead, error) {
	return dbctx.All(ctx, tx, scanLead, lockLeads.on(tx), lockLeads.args(tx, idRows(ids))...)
}

var lockLeads = columns(`SELECT ` + leadColumns + ` FROM leads l LEFT JOIN users u ON u.id = l.owner_id
	WHERE l.id IN (SELECT r.id FROM {r: id bigint}) ORDER BY l.id FOR UPDATE OF l`)

// leadRow is a lead as it travels into saveLeads.
type leadRow struct {
	ID          int64           `json:"id"`
	State       string          `json:"state"`
	Email       string          `json:"email"`
	Phone       string          `json:"phone"`
	Name        string          `json:"name"`
	Company     string          `json:"company"`
	Country     string          `json:"country"`
	NameKey     string          `json:"name_key"`
	LastKey     string          `json:"last_key"`
	CompanyKey  string          `json:"company_key"`
	Fields      json.RawMessage `json:"fields"`
	Extra       json.RawMessage `json:"extra"`
	Submissions int             `json:"submissions"`
	Score       int             `json:"score"`
	Parts       []score.Part    `json:"parts"`
	OwnerID     int64           `json:"owner_id"`
	OwnerReason string          `json:"owner_reason"`
}

// SaveLeads writes leads, new and known; at becomes their time of change.
func SaveLeads(tx *dbctx.Tx, leads []Lead, at time.Time) {
	rows := make([]leadRow, len(leads))
	for i, l := range leads {
		rows[i] = newLeadRow(l)
	}
	tx.Queue(saveLeads.on(tx), saveLeads.args(tx, rows, at)...)
}

func newLeadRow(l Lead) leadRow {
	if l.Extra == nil {
		l.Extra = map[string]any{}
	}
	if l.Parts == nil {
		l.Parts = []score.Part{}
	}
	return leadRow{
		ID: l.ID, State: l.State,
		Email: l.Value("email"), Phone: l.Value("phone"), Name: l.Value("name"),
		Company: l.Value("company"), Country: l.Value("country"),
		NameKey:    match.NameKey(l.Value("name")),
		LastKey:    match.NameKey(l.Value("last_name") + " " + l.Value("first_name")),
		CompanyKey: match.NameKey(l.Value("company")),
		Fields:     must(json.Marshal(l.Fields)), Extra: must(json.Marshal(l.Extra)),
		Submissions: l.Submissions, Score: l.Score, Parts: l.Parts,
		OwnerID: l.OwnerID, OwnerReason: l.OwnerReason,
	}
}

var saveLeads = columns(`INSERT INTO leads (id, state, email, phone, name, company, country, name_key, last_key,
		company_key, fields, extra, submissions, score, parts, owner_id, owner_reason, created_at, updated_at)
	SELECT r.id, r.state, r.email, r.phone, r.name, r.company, r.country, r.name_key, r.last_key, r.company_key,
		r.fields, r.extra, r.submissions, r.score, r.parts, nullif(r.owner_id, 0), r.owner_reason,
		$2::timestamptz, $2::timestamptz
	FROM {r: id bigint, state text, email text, phone text, name text, company text, country text, name_key text, ` +
	`last_key text, company_key text, fields json, extra json, submissions integer, score integer, parts json, ` +
	`owner_id bigint, owner_reason text}
	WHERE true
	ON CONFLICT (id) DO UPDATE SET state = excluded.state, email = excluded.email, phone = excluded.phone,
		name = excluded.name, company = excluded.company, country = excluded.country,
		name_key = excluded.name_key, last_key = excluded.last_key, company_key = excluded.company_key,
		fields = excluded.fields, extra = excluded.extra, submissions = excluded.submissions,
		score = excluded.score, parts = excluded.parts, owner_id = excluded.owner_id,
		owner_reason = excluded.owner_reason, updated_at = excluded.updated_at`)

// SourceHasLead says whether the source sent anything to the lead.
func SourceHasLead(ctx context.Context, tx *dbctx.Tx, sourceID, leadID int64) (bool, error) {
	var has bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM intakes WHERE lead_id = $1 AND source_id = $2)`,
		leadID, sourceID).Scan(&has)
	return has, err
}

// UnownedLeads returns ids of leads that wait for an owner, oldest first.
func UnownedLeads(ctx context.Context, tx *dbctx.Tx, limit int) ([]int64, error) {
	return dbctx.All(ctx, tx, scanID, `SELECT id FROM leads WHERE state = 'unowned' ORDER BY id LIMIT $1`, limit)
}

// HasLeads says whether there is any lead.
func HasLeads(ctx context.Context, tx *dbctx.Tx) (bool, error) {
	var any bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM leads)`).Scan(&any)
	return any, err
}
