package dbctx_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// A process that is stopped in the middle of a scope keeps its connection, and cannot say anything about it.
func TestTheServerEndsAScopeWhoseProcessIsStopped(t *testing.T) {
	t.Parallel()
	url := databases.URL(t, dbctx.Postgres)
	stopped := openPool(t, url, dbctx.Pool{Size: 1, MaxOverflow: 1, Reserve: -1, StallAfter: 100 * time.Millisecond})
	other := openPool(t, url, dbctx.Pool{Size: 1, MaxOverflow: 1, Reserve: -1})
	holds, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- dbctx.Run(context.Background(), stopped, func(ctx context.Context, tx *dbctx.Tx) error {
			if _, err := tx.Exec(ctx, addNote, 1, "of the one that is stopped"); err != nil {
				return err
			}
			close(holds)
			<-goOn
			return nil
		}, dbctx.Once("job/1"))
	}()
	<-holds
	err := dbctx.Run(t.Context(), other, func(ctx context.Context, tx *dbctx.Tx) error {
		_, err := tx.Exec(ctx, addNote, 2, "of the one that goes on")
		return err
	}, dbctx.Once("job/1"))
	if err != nil {
		t.Errorf("the other one = %v, want the key once the server has ended the first scope", err)
	}
	close(goOn)
	if err := <-ended; err == nil || !dbctx.IsUnavailable(err) || errors.Is(err, dbctx.ErrTimeout) {
		t.Errorf("the one that woke up = %v, want that it may try again", err)
	}
	expect(t, other, 2)
}
