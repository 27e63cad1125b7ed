package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// print writes data on stdout: as one JSON value, or as people read it.
func (a *app) print(v any, people func()) error {
	if !a.json {
		people()
		return nil
	}
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// lineWidth is what a terminal shows without breaking lines.
const lineWidth = 80

// table writes rows under a header. A cell is cut to 32 characters, the last one to what is left of the line.
func (a *app) table(header []string, rows [][]string) {
	left := lineWidth
	last := len(header) - 1
	for column := range last {
		widest := utf8.RuneCountInString(header[column])
		for _, row := range rows {
			row[column] = cut(printable(row[column]), 32)
			widest = max(widest, utf8.RuneCountInString(row[column]))
		}
		left -= widest + 2
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(header, "\t"))
	for _, row := range rows {
		row[last] = cut(printable(row[last]), max(left, 8))
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // a pipe that is closed is not an error
}

// printable keeps what others typed from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// when is a time for people; "-" if there is none.
func when(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func (a *app) say(format string, args ...any) { fmt.Fprintf(a.stderr, format+"\n", args...) }
