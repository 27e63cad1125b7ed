package jobs

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

func TestFilesGiveWayToLeadsThatComeOneByOne(t *testing.T) {
	g := newGiveWay()
	enter := func(queue string) func() {
		t.Helper()
		leave, err := g.enter(t.Context(), queue)
		if err != nil {
			t.Fatal(err)
		}
		return leave
	}
	enter(Bulk)() // nobody waits: as many as there are places
	both := []func(){enter(Bulk), enter(Bulk)}
	for _, leave := range both {
		leave()
	}

	enter(Live)()
	leave := enter(Bulk)
	enter(Live)() // is never held up
	enter(Outbound)()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.enter(ended, Bulk); !errors.Is(err, context.Canceled) {
		t.Errorf("a second chunk beside leads from the web: %v, want that it waits until its context ends", err)
	}
	next := make(chan func())
	go func() {
		leave, _ := g.enter(context.Background(), Bulk)
		next <- leave
	}()
	leave()
	(<-next)() // the next one goes on when the first has left

	g.live.Store(time.Now().Add(-calm).UnixNano())
	enter(Bulk)
	enter(Bulk) // all is calm again
}

func TestAReaderOfAFileGivesWayToo(t *testing.T) {
	poisonDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		q := newQueue(db, Options{})
		q.register()
		if err := q.connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(q.Close)
		id, _, err := q.TakeFile(t.Context(), "fair", "list.csv", strings.NewReader("Email\none@example.com\ntwo@example.com\n"))
		if err != nil {
			t.Fatal(err)
		}
		read := func(ctx context.Context) (int64, error) {
			failed := importFile(ctx, q, Job{ID: 1}, ImportFile{ImportID: id})
			m, err := q.GetImport(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			return m.Rows, failed
		}
		q.giveWay.live.Store(time.Now().Add(time.Hour).UnixNano()) // leads come all the while
		leave, err := q.giveWay.enter(t.Context(), Bulk)           // a chunk that is worked
		if err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if rows, err := read(short); rows != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d rows were stored beside a chunk, %v; want none until it is through", rows, err)
		}
		leave()
		if rows, err := read(t.Context()); rows != 2 || err != nil {
			t.Errorf("%d rows behind the chunk, %v; want both", rows, err)
		}
	})
}
