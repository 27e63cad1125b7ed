package jobs

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// Take stores a submission and enqueues its processing in the open scope. Say yes to the sender only after the
// commit. A submission that repeats an idempotency key is not stored: replayed is true and id is the first
// one's; with another body behind the key the error is schema.ErrKeyReused, and id the same.
func (q *Queue) Take(ctx context.Context, tx *dbctx.Tx, in schema.NewIntake) (id int64, replayed bool, err error) {
	id, replayed, err = schema.InsertIntake(ctx, tx, in, q.now())
	if err != nil || replayed {
		return id, replayed, err
	}
	return id, false, q.enqueueOne(ctx, tx, ProcessLeads{IntakeIDs: []int64{id}})
}

// TakeMessage is Take for messages of platforms, which are told apart by their id alone: what comes under an id again is
// a repeat, whatever it says.
func (q *Queue) TakeMessage(ctx context.Context, tx *dbctx.Tx, in schema.NewIntake) (id int64, repeated bool, err error) {
	id, repeated, err = q.Take(ctx, tx, in)
	if errors.Is(err, schema.ErrKeyReused) {
		return id, true, nil
	}
	return id, repeated, err
}

// liveBatch is how many submissions may come together and still be worked as if a person waited.
const liveBatch = 20

// TakeBatch stores many submissions of one source and enqueues their processing in the open scope, and returns their
// ids in the same order. Idempotency keys of the single ones are not looked at.
func (q *Queue) TakeBatch(ctx context.Context, tx *dbctx.Tx, batch []schema.NewIntake) ([]int64, error) {
	ids, err := schema.InsertRows(ctx, tx, batch, q.now())
	if err != nil || len(ids) == 0 {
		return ids, err
	}
	if len(ids) > liveBatch {
		return ids, q.EnqueueRows(ctx, tx, batch[0].SourceID, ids)
	}
	return ids, q.Enqueue(ctx, tx, ProcessLeads{IntakeIDs: ids})
}

// ReleaseIntake lets a quarantined submission go on; schema.ErrNotFound if it is not in quarantine.
func (q *Queue) ReleaseIntake(ctx context.Context, tx *dbctx.Tx, id int64) error {
	if err := schema.ReleaseIntake(ctx, tx, id); err != nil {
		return err
	}
	return q.Enqueue(ctx, tx, ProcessLeads{IntakeIDs: []int64{id}})
}

// RetryDelivery makes a parked, uncertain or retrying delivery again, at once and with all its tries before it;
// schema.ErrNotFound if it is none of these.
func (q *Queue) RetryDelivery(ctx context.Context, tx *dbctx.Tx, id int64) error {
	destination, err := schema.ReopenDelivery(ctx, tx, id, q.now())
	if err != nil {
		return err
	}
	return q.Enqueue(ctx, tx, DeliverLead{DeliveryID: id, DestinationID: destination})
}

// ConfirmDelivery closes an uncertain delivery as done, for a person who has found it at the receiver; schema.ErrNotFound if
// it is not uncertain. actor signs the event: "user/7".
func (q *Queue) ConfirmDelivery(ctx context.Context, tx *dbctx.Tx, id int64, actor string) error {
	now := q.now()
	leadID, err := schema.ConfirmDelivery(ctx, tx, id, now)
	if err != nil {
		return err
	}
	schema.AddEvents(tx, actor, now, schema.NewEvent{
		LeadID: leadID, Kind: schema.DeliveryConfirmed, Data: map[string]any{"delivery": id}})
	return nil
}

// NewKey makes a source's key and the hash that is stored of it. The key has 130 random bits, so a plain hash
// is enough.
func NewKey() (key, hash string) {
	key = "lmk_" + rand.Text()
	return key, HashKey(key)
}

// HashKey is the SHA-256 of a key, hex.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// NewSecret makes a secret to sign webhooks with: whsec_ and 32 random bytes in base64.
func NewSecret() string {
	b := make([]byte, 32)
	rand.Read(b)
	return "whsec_" + base64.StdEncoding.EncodeToString(b)
}
