package schema

import (
	"context"

	"github.com/leadmill/leadmill/dbctx"
)

// KeyClaim asks for a match key on behalf of a lead that may yet turn out to be another one.
type KeyClaim struct {
	Key    string `json:"key"`
	LeadID int64  `json:"lead_id"`
}

// ClaimKeys claims each key for its lead and returns who holds it: the lead that asked, or the one that
// had it before. A key may be named once. Until the scope ends no other scope can claim the same keys, which is
// what makes several submissions of one person, arriving at once, one lead: the second waits here and
// then finds the first.
//
// The keys are taken in sorted order, by every scope, so that two scopes never wait for each other in a
// circle. DO UPDATE, and not DO NOTHING, because it locks a known key and returns it.
func ClaimKeys(ctx context.Context, tx *dbctx.Tx, claims []KeyClaim) (map[string]int64, error) {
	held, err := dbctx.All(ctx, tx, scanClaim, claimKeys.on(tx), claimKeys.args(tx, claims)...)
	if err != nil {
		return nil, err
	}
	holders := make(map[string]int64, len(held))
	for _, c := range held {
		holders[c.Key] = c.LeadID
	}
	return holders, nil
}

var claimKeys = columns(`INSERT INTO lead_keys (key, lead_id)
	SELECT r.key, r.lead_id FROM {r: key text, lead_id bigint} WHERE true ORDER BY r.key
	ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING key, lead_id`)

func scanClaim(row dbctx.Scanner) (c KeyClaim, err error) { return c, row.Scan(&c.Key, &c.LeadID) }

// GiveKeys hands claimed keys to the leads they turned out to belong to.
func GiveKeys(tx *dbctx.Tx, claims []KeyClaim) {
	tx.Queue(giveKeys.on(tx), giveKeys.args(tx, claims)...)
}

var giveKeys = columns(`UPDATE lead_keys SET lead_id = r.lead_id FROM {r: key text, lead_id bigint}
	WHERE lead_keys.key = r.key`)
