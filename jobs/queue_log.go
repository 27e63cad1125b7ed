package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// quiet lets River report what an operator acts on: warnings and errors, each message once in a while. Its own steps
// are of interest to somebody who debugs; and while the database is away, each of its loops would say so five times
// a second.
func quiet(log *slog.Logger) *slog.Logger {
	return slog.New(quietHandler{log.Handler(), &repeats{said: map[string]time.Time{}}})
}

// repeatAfter is how long a message is not repeated.
const repeatAfter = 10 * time.Second

// repeats remembers when each message was let through. River's messages are constants, so they are few.
type repeats struct {
	mu   sync.Mutex
	said map[string]time.Time
}

func (r *repeats) tooSoon(message string, at time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at.Sub(r.said[message]) < repeatAfter {
		return true
	}
	r.said[message] = at
	return false
}

type quietHandler struct {
	slog.Handler
	repeats *repeats
}

// Enabled lowers River's information to the level of debugging.
func (h quietHandler) Enabled(ctx context.Context, level slog.Level) bool {
	if level < slog.LevelWarn {
		return h.Handler.Enabled(ctx, slog.LevelDebug)
	}
	return h.Handler.Enabled(ctx, level)
}

// Handle drops a message that was just said.
func (h quietHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn && h.repeats.tooSoon(r.Message, r.Time) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the handler quiet.
func (h quietHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quietHandler{h.Handler.WithAttrs(attrs), h.repeats}
}

// WithGroup keeps the handler quiet.
func (h quietHandler) WithGroup(name string) slog.Handler {
	return quietHandler{h.Handler.WithGroup(name), h.repeats}
}
