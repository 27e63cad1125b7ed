package dbctx_test

import (
	"flag"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

var (
	programs = flag.Int("programs", share, "how many random programs TestModel runs on each database")
	seed     = flag.Uint64("seed", 0, "the seed of the first program; 0 means another one each time")
)

// modelLanes is how many databases of a kind programs run on at the same time.
const modelLanes = 4

// TestModel runs random programs against dbctx and against a plain model of what must be seen, and compares.
//
//	go test ./dbctx -run TestModel -programs 100000 -seed 1
//
// A program that ends otherwise than foreseen is made smaller and printed, with the command that runs it again.
func TestModel(t *testing.T) {
	t.Parallel()
	first := *seed
	if first == 0 {
		first = rand.Uint64N(1e9) + 1
	}
	for _, d := range []dbctx.Dialect{dbctx.SQLite, dbctx.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			agree(t, d, first, uint64(*programs))
		})
	}
}

func agree(t *testing.T, d dbctx.Dialect, first, count uint64) {
	t.Logf("programs %d, seed %d", count, first)
	var next atomic.Uint64
	var wg sync.WaitGroup
	failed := make(chan program, modelLanes)
	for range modelLanes {
		l := openModelLane(t, d, 10*time.Second)
		wg.Go(func() {
			for i := next.Add(1) - 1; i < count && len(failed) == 0; i = next.Add(1) - 1 {
				if p := generate(first + i); l.try(p) != "" {
					failed <- p
					return
				}
			}
		})
	}
	wg.Wait()
	close(failed)
	if p, ok := <-failed; ok {
		report(t, d, p, p.seed-first+1)
	}
}

// report makes a program smaller on which dbctx and the model disagree, and shows it.
func report(t *testing.T, d dbctx.Dialect, p program, number uint64) {
	t.Helper()
	s := &shrinker{t: t, dialect: d}
	smallest, wrong := s.shrink(p)
	if wrong == "" {
		wrong = "They did so once, and not again.\n"
	}
	t.Errorf("dbctx and the model disagree on %s, program %d, made smaller:\n\n%s\n%s\nAgain: go test ./dbctx -run TestModel/%s -programs 1 -seed %d\n",
		d, number, smallest, wrong, d, p.seed)
}
