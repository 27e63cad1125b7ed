package dbctx

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// commit sends what is pending and COMMIT, and says whether it took place.
func (s *session) commit(ctx context.Context) error {
	if s.conn == nil && len(s.pending) == 0 {
		return nil
	}
	if err := s.connect(ctx); err != nil {
		return err
	}
	defer s.disconnect()
	err := s.conn.commit(ctx, s.leave())
	if errors.Is(err, ErrCommitUnknown) {
		err = s.resolve(ctx, err)
	} else if err != nil {
		ending, cancel := s.db.ending(ctx)
		defer cancel()
		s.conn.rollback(ending)
	}
	switch {
	case err == nil:
		s.stands = true
		return nil
	case errors.Is(err, ErrAlreadyDone):
		return err
	}
	if ctx.Err() == nil { // else it was the server that gave up for its sake
		err = s.overdue(err)
	}
	return fmt.Errorf("commit: %w", err)
}

// lostCommit is an error of which nobody knows whether COMMIT came before it.
type lostCommit struct {
	err     error
	backend uint32 // process id of the server's end of the wire, as it said
}

// Error tells the doubt first.
func (l *lostCommit) Error() string { return ErrCommitUnknown.Error() + ": " + l.err.Error() }

// Unwrap gives the doubt and the cause.
func (l *lostCommit) Unwrap() []error { return []error{ErrCommitUnknown, l.err} }

// Limits of asking for the outcome of a commit.
const (
	resolveLimit = 10 * time.Second // altogether
	claimLimit   = time.Second      // for a commit that is under way to end by itself
)

// resolve finds out whether the scope has committed: nil if so, the cause alone if not. Without a fence nobody can.
//
// It claims the key of the fence as the scope did, on another connection, and takes the claim back. The claim waits
// for a commit that is still under way, where a plain read would say "not there" and be wrong; its answer is final. A server that
// does not know yet that the wire is gone would let it wait for hours: its end of the wire is closed.
func (s *session) resolve(ctx context.Context, lost error) error {
	var cause *lostCommit
	if s.fence == "" || !errors.As(lost, &cause) {
		return lost
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resolveLimit)
	defer cancel()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := s.db.claim(ctx, s.fence)
		switch {
		case errors.Is(err, ErrAlreadyDone):
			return nil
		case err == nil:
			return cause.err
		case s.db.engine.isOverdue(err):
			err = errors.Join(err, s.db.hangUp(ctx, cause.backend))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; asking for the outcome: %w", lost, err)
		case <-time.After(pause):
		}
	}
}

// claim says ErrAlreadyDone if the key is written for good, nil if it is free. It waits for a while for whoever is about to write
// it. It passes by the gate: the scope that asks still has its own place there, and its connection is gone.
func (db *DB) claim(ctx context.Context, key string) error {
	return db.aside(ctx, options{timeout: claimLimit}, onceStatement(key))
}

// hangUp ends the server's end of a lost wire if it still has a transaction that writes a key. Behind a pooler the number may
// be nobody's; that somebody else has it and writes a key is next to impossible.
func (db *DB) hangUp(ctx context.Context, backend uint32) error {
	return db.aside(ctx, options{}, statement{sql: `SELECT pg_terminate_backend(pid) FROM pg_locks
		WHERE pid = $1 AND relation = 'done_keys'::regclass AND mode = 'RowExclusiveLock' AND granted`, args: []any{int64(backend)}})
}

// aside runs a statement on a connection of its own and rolls it back.
func (db *DB) aside(ctx context.Context, o options, st statement) error {
	c, err := db.engine.acquire(ctx, o)
	if err != nil {
		return err
	}
	defer c.release()
	_, err = c.exec(ctx, []statement{st})
	c.rollback(ctx)
	return err
}
