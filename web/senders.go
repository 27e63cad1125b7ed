package web

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

// senderFreshFor is how long a source that was looked up is believed: for so long a key that was revoked, or a limit
// that was changed, still counts for requests that begin.
const senderFreshFor = time.Second

// sender is a source that sends leads, by a key or through its form.
type sender struct {
	schema.Source
	keyHash string // "" for a form
	key     schema.SourceKey
	marked  atomic.Bool // somebody has written, or is about to, that the key was used
}

// markUsed writes that the key was used, once in a minute.
func (s *sender) markUsed(tx *dbctx.Tx, now time.Time) {
	recently := s.key.UsedAt != nil && now.Sub(*s.key.UsedAt) < time.Minute
	if s.keyHash != "" && !recently && s.marked.CompareAndSwap(false, true) {
		schema.MarkKeyUsed(tx, s.keyHash, now)
	}
}

// senders remembers for a moment who sends, so that a busy source is not looked up for each of its leads. Those who ask at
// once share one look-up. Only what was found is kept, so strangers cannot fill it.
type senders struct {
	mu    sync.Mutex
	known map[string]*lookup
}

// lookup is one look into the database.
type lookup struct {
	began  time.Time
	ready  chan struct{} // closed when the rest is there
	sender *sender
	err    error
}

// get returns who goes by a name, and reads it unless it was read a moment ago.
func (s *senders) get(ctx context.Context, name string, now time.Time, read func(context.Context) (*sender, error)) (*sender, error) {
	s.mu.Lock()
	l := s.known[name]
	if l != nil && now.Sub(l.began) < senderFreshFor {
		s.mu.Unlock()
		return l.wait(ctx)
	}
	l = &lookup{began: now, ready: make(chan struct{}), err: context.Canceled}
	if s.known == nil {
		s.known = map[string]*lookup{}
	}
	s.known[name] = l
	s.mu.Unlock()
	defer s.done(name, l)
	l.sender, l.err = read(context.WithoutCancel(ctx)) // others wait for it
	return l.sender, l.err
}

func (l *lookup) wait(ctx context.Context) (*sender, error) {
	select {
	case <-l.ready:
		return l.sender, l.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *senders) done(name string, l *lookup) {
	close(l.ready)
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.err != nil && s.known[name] == l {
		delete(s.known, name)
	}
}

// senderOf returns the source whose key a request shows.
func (s *Server) senderOf(r *http.Request) (*sender, error) {
	hash, err := keyHashOf(r)
	if err != nil {
		return nil, err
	}
	now := s.now()
	found, err := s.senders.get(r.Context(), "key/"+hash, now, func(ctx context.Context) (*sender, error) {
		found := &sender{keyHash: hash}
		err := dbctx.Run(ctx, s.db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
			found.Source, found.key, err = sourceByKey(ctx, tx, hash, now)
			return err
		}, dbctx.ReadOnly())
		return found, err
	})
	if err == nil && !found.key.ValidAt(now) {
		return nil, errNoKey
	}
	return found, err
}

// senderByForm returns the source that a form belongs to; schema.ErrNotFound if there is none.
func (s *Server) senderByForm(r *http.Request) (*sender, error) {
	form := r.PathValue("form")
	if !jobs.ValidName(form) { // a database may refuse to look for it
		return nil, schema.ErrNotFound
	}
	return s.senders.get(r.Context(), "form/"+form, s.now(), func(ctx context.Context) (*sender, error) {
		found := &sender{}
		err := dbctx.Run(ctx, s.db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
			found.Source, err = schema.SourceByForm(ctx, tx, form)
			return err
		}, dbctx.ReadOnly())
		return found, err
	})
}
