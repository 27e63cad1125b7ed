package jobs

import (
	"context"
	"errors"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
)

func TestAScopeWaitsForTheDatabaseAndForNothingElse(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, story := range []struct {
		name string
		says []error // at each try
		want error
	}{
		{"away, then there", []error{dbctx.ErrUnreachable, dbctx.ErrNoConnection, nil}, nil},
		{"away, then done already", []error{dbctx.ErrUnreachable, dbctx.ErrAlreadyDone}, dbctx.ErrAlreadyDone},
		{"a fault of its own", []error{broken}, broken},
		{"a commit that may have happened", []error{dbctx.ErrCommitUnknown}, dbctx.ErrCommitUnknown},
	} {
		tries := 0
		err := patiently(t.Context(), func() error { tries++; return story.says[tries-1] })
		if !errors.Is(err, story.want) || tries != len(story.says) {
			t.Errorf("%s: %d tries, then %v; want %d and %v", story.name, tries, err, len(story.says), story.want)
		}
	}
}

// The queue gives the attempt back only of a job that says it was cancelled.
func TestWaitingForTheDatabaseEndsWithTheJobsContextAndSaysSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	err := patiently(ctx, func() error { cancel(); return dbctx.ErrUnreachable })
	if !errors.Is(err, context.Canceled) || !errors.Is(err, dbctx.ErrUnreachable) {
		t.Errorf("= %v, want both the cause and that it was cancelled", err)
	}
}
