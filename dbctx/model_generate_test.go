package dbctx_test

import (
	"math/rand/v2"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// generator makes a program out of one number.
type generator struct {
	*rand.Rand
	hooks int
	texts int
}

// generate makes the program of a seed, the same each time.
func generate(seed uint64) program {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0))}
	p := program{seed: seed}
	for range 1 + g.IntN(3) {
		p.scopes = append(p.scopes, g.outermost())
	}
	return p
}

// chance is true in so many of a thousand.
func (g *generator) chance(of1000 int) bool { return g.IntN(1000) < of1000 }

func (g *generator) outermost() *block {
	b := &block{readOnly: g.chance(20), dead: g.chance(15)}
	if g.chance(350) && (!b.readOnly || g.chance(50)) {
		b.once = g.key()
	}
	if g.chance(100) {
		b.level = dbctx.Level(1 + g.IntN(3))
	}
	if g.chance(100) {
		b.retries = 1 + g.IntN(2)
	}
	g.fill(b, 0)
	if b.end == endsNil && b.retries == 0 && g.chance(8) {
		b.late = time.Duration(1+g.IntN(300)) * time.Microsecond
	}
	return b
}

func (g *generator) nested(depth int) *block {
	b := &block{readOnly: g.chance(20), dead: g.chance(20), bound: g.chance(40), limited: g.chance(10), recovers: g.chance(500)}
	if g.chance(200) {
		b.once = g.key()
	}
	if g.chance(50) {
		b.joins = g.IntN(depth)
	}
	g.fill(b, depth)
	return b
}

func (g *generator) fill(b *block, depth int) {
	for range g.IntN(7 - depth) {
		b.steps = append(b.steps, g.step(depth))
	}
	b.end = g.end()
}

func (g *generator) key() string { return string(rune('a' + g.IntN(4))) }

func (g *generator) end() end {
	switch n := g.IntN(100); {
	case n < 68:
		return endsNil
	case n < 82:
		return endsError
	case n < 89:
		return endsKeep
	case n < 92:
		return endsKeepWrapped
	case n < 97:
		return endsPanic
	}
	return endsGoexit
}

// deepest is how many scopes stand in each other at most, besides the outermost.
const deepest = 3

// shares of the actions in a thousand.
var shares = []struct {
	do  action
	had int
}{
	{doQueue, 230}, {doExec, 160}, {doReturning, 50}, {doNative, 20}, {doReadAll, 70}, {doReadOne, 40}, {doReadKeys, 40}, {doMisread, 6},
	{doReadSome, 12}, {doReadSomeShut, 15}, {doReadOn, 25}, {doBeside, 12}, {doHook, 80}, {doCancel, 14}, {doLate, 8}, {doElsewhere, 8}, {doRun, 210},
}

func (g *generator) action(depth int) action {
	all := 0
	for _, s := range shares {
		all += s.had
	}
	n := g.IntN(all)
	for _, s := range shares {
		if n -= s.had; n < 0 {
			if s.do == doRun && depth == deepest {
				return doQueue
			}
			return s.do
		}
	}
	panic("the shares do not add up")
}

func (g *generator) step(depth int) step {
	s := step{do: g.action(depth), ignored: g.chance(600), misuse: misuse(g.IntN(4)), rows: g.IntN(4)}
	if g.chance(100) {
		s.up = g.IntN(depth + 1)
	}
	s.write = g.write()
	if s.do == doNative || s.do == doReadOne || s.do == doMisread {
		s.write.kind = put
	}
	switch s.do {
	case doQueue, doBeside, doHook, doReadOn, doCancel, doLate, doElsewhere:
	case doRun:
		s.nested = g.nested(depth + 1)
	default:
		s.context = g.life(s.do)
	}
	if s.do == doHook {
		g.hooks++
		s.hook = hook{number: g.hooks, panics: g.chance(150), writes: g.chance(100)}
	}
	return s
}

// life of a context. Rows that stay open are not read with one that ends: see doCancel in the model.
func (g *generator) life(of action) life {
	switch {
	case g.chance(10):
		return over
	case g.chance(50) && of != doReadSome:
		return short
	}
	return asScope
}

func (g *generator) write() write {
	g.texts++
	w := write{id: int64(1 + g.IntN(9)), text: string(rune('a' + g.texts%26)), times: 1 + g.IntN(3)}
	switch n := g.IntN(1000); {
	case n < 350:
		w.kind = insert
	case n < 560:
		w.kind = put
	case n < 660:
		w.kind = set
	case n < 820:
		w.kind = extend
	case n < 950:
		w.kind = remove
	case n < 980:
		w.kind = badSQL
	case n < 985:
		w.kind = badArg // dear: a connection each
	default:
		w.kind = victim
	}
	return w
}
