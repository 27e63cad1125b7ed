package schema

import (
	"context"
	"strings"
	"time"
	"unicode"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead/contact"
	"github.com/leadmill/leadmill/lead/match"
)

// LeadRow is a lead in a list.
type LeadRow struct {
	ID                                                 int64
	Name, Email, Phone, Company, Country, Owner, State string
	Score, Submissions                                 int
	CreatedAt                                          time.Time
}

// LeadQuery narrows a list of leads; zero values do not narrow.
type LeadQuery struct {
	Search   string // the beginning of a name, last name, company, e-mail address, or a telephone number
	EmailKey string // contact.EmailKey: exactly this address
	SourceID int64  // only leads that this source sent something to
	Before   int64  // only ids below this one: the cursor
	Limit    int    // 0 means 50
}

// ListLeads returns leads, newest first.
func ListLeads(ctx context.Context, tx *dbctx.Tx, q LeadQuery) ([]LeadRow, error) {
	var w where
	w.add(q.EmailKey != "", `l.id = (SELECT lead_id FROM lead_keys WHERE key = $%d)`, q.EmailKey)
	w.add(q.SourceID != 0, `EXISTS (SELECT 1 FROM intakes i WHERE i.lead_id = l.id AND i.source_id = $%d)`, q.SourceID)
	w.add(q.Before != 0, `l.id < $%d`, q.Before)
	if s := strings.TrimSpace(q.Search); s != "" {
		search(&w, s)
	}
	return dbctx.All(ctx, tx, scanLeadRow, `SELECT l.id, l.name, l.email, l.phone, l.company, l.country,
			coalesce(u.email, ''), l.state, l.score, l.submissions, l.created_at
		FROM leads l LEFT JOIN users u ON u.id = l.owner_id `+w.sql()+` ORDER BY l.id DESC `+limit(q.Limit), w.args...)
}

func scanLeadRow(row dbctx.Scanner) (l LeadRow, err error) {
	return l, row.Scan(&l.ID, &l.Name, &l.Email, &l.Phone, &l.Company, &l.Country, &l.Owner, &l.State,
		&l.Score, &l.Submissions, &l.CreatedAt)
}

// search finds by prefix. Every arm is a range on an index of its own, in both databases: the columns
// compare byte by byte, so a prefix is everything from it up to it followed by the highest character.
func search(w *where, s string) {
	var arms where
	arms.args = w.args
	folded := match.NameKey(s)
	if folded != "" {
		for _, column := range []string{"name_key", "last_key", "company_key"} {
			arms.add(true, `SELECT id FROM leads WHERE `+column+` >= $%d AND `+column+` < $%d`, folded, after(folded))
		}
	}
	for _, prefix := range keyPrefixes(s) {
		arms.add(true, `SELECT lead_id FROM lead_keys WHERE key >= $%d AND key < $%d`, prefix, after(prefix))
	}
	w.args = arms.args
	w.add(true, `l.id IN (`+strings.Join(arms.conditions, ` UNION `)+`)`)
}

func after(prefix string) string { return prefix + "\U0010FFFF" }

// keyPrefixes are the match keys that what was typed may begin: a telephone number's, in any country's way of
// writing it, if it looks like one, else an e-mail address's.
func keyPrefixes(s string) []string {
	if looksLikePhone(s) {
		return contact.PhoneKeyPrefixes(s)
	}
	return []string{contact.EmailKeyPrefix(s)}
}

func looksLikePhone(s string) bool {
	digits := 0
	for _, r := range s {
		switch {
		case unicode.IsDigit(r):
			digits++
		case !strings.ContainsRune("+-/(). \u00a0", r):
			return false
		}
	}
	return digits >= 4
}
