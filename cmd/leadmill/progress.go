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
	first    *schema.Import // as it was when this began: it may have been under way for long
}

func newPainter(w io.Writer) *painter {
	return &painter{w: w, terminal: isTerminal(w), began: time.Now(), last: time.Now()}
}

const plainEvery = 5 * time.Second

func (p *painter) paint(m schema.Import) {
	if p.first == nil {
		p.first = &m
	}
	if !p.terminal && time.Since(p.last) < plainEvery {
		return
	}
	p.last = time.Now()
	if p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K", cut(bar(m)+" "+p.line(m), lineWidth-1))
		return
	}
	fmt.Fprintln(p.w, p.line(m))
}

func (p *painter) line(m schema.Import) string {
	if m.State == schema.ImportReverting || m.State == schema.ImportReverted {
		return fmt.Sprintf("%d of %d rows undone", m.Undone, m.Rows)
	}
	took := max(time.Since(p.began), time.Millisecond)
	line := fmt.Sprintf("%d of %s rows, %.0f/s", m.Processed(), rowsOf(m), float64(m.Processed()-p.first.Processed())/took.Seconds())
	if left := p.left(m, took); left > 0 {
		line += ", " + left.String() + " left"
	}
	return line + fmt.Sprintf(", %d new, %d known, %d rejected", m.Counts.Accepted, m.Counts.Duplicate, m.Counts.Rejected)
}

// rowsOf is how many rows the file has, as far as that is known.
func rowsOf(m schema.Import) string {
	if m.Total < 0 {
		return fmt.Sprintf("%d+", m.Rows)
	}
	return fmt.Sprint(m.Total)
}

// left is how long the rest will take if it goes on as it went; 0 if that cannot be said.
func (p *painter) left(m schema.Import, took time.Duration) time.Duration {
	did := m.Fraction() - p.first.Fraction()
	if did <= 0 || m.Fraction() >= 1 {
		return 0
	}
	return max(time.Second, time.Duration(float64(took)*(1-m.Fraction())/did).Round(time.Second))
}

// bar is twelve characters.
func bar(m schema.Import) string {
	const width = 12
	full := int(width * m.Fraction())
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]"
}

func (p *painter) end() {
	if p.terminal {
		fmt.Fprintln(p.w)
	}
}
