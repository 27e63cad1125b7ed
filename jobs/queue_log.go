package jobs

import (
	"context"
	"log/slog"
)

// quiet lets River report what an operator acts on: warnings and errors. Its own steps are of interest to
// somebody who debugs.
func quiet(log *slog.Logger) *slog.Logger { return slog.New(quietHandler{log.Handler()}) }

type quietHandler struct{ slog.Handler }

// Enabled lowers River's information to the level of debugging.
func (h quietHandler) Enabled(ctx context.Context, level slog.Level) bool {
	if level < slog.LevelWarn {
		return h.Handler.Enabled(ctx, slog.LevelDebug)
	}
	return h.Handler.Enabled(ctx, level)
}

// WithAttrs keeps the handler quiet.
func (h quietHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quietHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the handler quiet.
func (h quietHandler) WithGroup(name string) slog.Handler {
	return quietHandler{h.Handler.WithGroup(name)}
}
