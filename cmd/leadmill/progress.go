package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/leadmill/leadmill/schema"
)

// painter shows how far an import is: one line that is painted over on a terminal, a plain line every five seconds
// elsewhere.
type painter struct {
	w        io.Writer
	terminal bool
	began    time.Time
	last     time.Time
}

func newPainter(w io.Writer) *painter {
	return &painter{w: w, terminal: isTerminal(w), began: time.Now(), last: time.Now()}
}

const plainEvery = 5 * time.Second

func (p *painter) paint(m schema.Import) {
	if !p.terminal && time.Since(p.last) < plainEvery {
		return
	}
	p.last = time.Now()
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K%s %s", bar(m), p.line(m))
		return
	}
	fmt.Fprintln(p.w, p.line(m))
}

func (p *painter) line(m schema.Import) string {
	done := m.Counts.Rows - m.Counts.Pending
	rate := float64(done) / max(time.Since(p.began).Seconds(), 0.001)
	return fmt.Sprintf("%d of %d rows, %.0f/s, %d new, %d known, %d rejected",
		done, m.Rows, rate, m.Counts.Accepted, m.Counts.Duplicate, m.Counts.Rejected)
}

// bar is twelve characters; how long the file is shows only when it has been read.
func bar(m schema.Import) string {
	const width = 12
	full := 0
	if m.State == schema.ImportDone && m.Rows > 0 {
		full = int(width * (m.Counts.Rows - m.Counts.Pending) / m.Rows)
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]"
}

func (p *painter) end() {
	if p.terminal {
		fmt.Fprintln(p.w)
	}
}
