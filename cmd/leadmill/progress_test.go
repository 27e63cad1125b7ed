package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/leadmill/leadmill/schema"
)

func TestProgressIsPaintedOnATerminalAndPlainElsewhere(t *testing.T) {
	m := schema.Import{State: schema.ImportDone, Rows: 200, Total: 200, Counts: schema.Counts{Rows: 200, Pending: 100, Accepted: 80, Duplicate: 15, Rejected: 5}}
	var out bytes.Buffer
	p := newPainter(&out)
	p.paint(m)
	p.end()
	if out.Len() != 0 {
		t.Errorf("a file that takes no five seconds is talked about: %q", &out)
	}
	p.last = time.Now().Add(-time.Minute)
	p.paint(m)
	p.paint(m)
	if got := out.String(); !strings.HasPrefix(got, "100 of 200 rows, ") || strings.Count(got, "\n") != 1 || strings.Contains(got, "\x1b") {
		t.Errorf("off a terminal: %q, want one plain line in five seconds", got)
	}
	out.Reset()
	p.terminal = true
	p.paint(m)
	p.paint(m)
	if got := out.String(); strings.Count(got, "\r\x1b[K[######......] 100 of 200 rows, ") != 2 || strings.Contains(got, "\n") {
		t.Errorf("on a terminal: %q, want one line painted over", got)
	}
}
