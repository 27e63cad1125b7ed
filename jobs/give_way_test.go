package jobs

import (
	"context"
	"errors"
	"testing"
	"time"
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
