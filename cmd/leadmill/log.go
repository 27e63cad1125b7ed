package main

import (
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/term"
)

// newLog writes JSON, or lines for people where people read.
func newLog(s settings, w io.Writer) (*slog.Logger, error) {
	level, err := zerolog.ParseLevel(strings.ToLower(s.LogLevel))
	if err != nil || s.LogLevel == "" {
		return nil, usagef("LOG_LEVEL cannot be read: want trace, debug, info, warn or error")
	}
	switch s.LogFormat {
	case "json":
	case "console":
		w = console(w)
	case "auto":
		if isTerminal(w) {
			w = console(w)
		}
	default:
		return nil, usagef("LOG_FORMAT cannot be read: want json, console or auto")
	}
	logger := zerolog.New(w).Level(level).With().Timestamp().Logger()
	return slog.New(zerolog.NewSlogHandler(logger)), nil
}

func console(w io.Writer) io.Writer {
	return zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly, NoColor: !isTerminal(w)}
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
