package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// Limits of waiting for a database that is away. A job keeps its place meanwhile: there is no other that could do better, and
// its failure could not be written down either.
const (
	shortestPause = 50 * time.Millisecond
	longestPause  = 5 * time.Second
	mostPatience  = 10 * time.Minute // then it counts as a failure of the job
)

// patiently runs a scope again while the database is away, with growing pauses of random length, so that those who wait do
// not come back all at once. Of a commit that may have happened it leaves the decision to the caller.
func patiently(ctx context.Context, run func() error) error {
	begun := time.Now()
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		err := run()
		if !dbctx.IsUnavailable(err) || errors.Is(err, dbctx.ErrCommitUnknown) || time.Since(begun) > mostPatience {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, ctx.Err())
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
	}
}
