package dbctx_test

import (
	"slices"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// shrinkLimit is how long a failing program is made smaller.
const shrinkLimit = time.Minute

// shrinker makes a program that fails as small as it can, on databases of its own.
type shrinker struct {
	t       *testing.T
	dialect dbctx.Dialect
	lane    *modelLane // of the last try
}

// shrink returns the smallest program it finds that still fails, and how. wrong is "" if the program does not fail again.
func (s *shrinker) shrink(p program) (smallest program, wrong string) {
	wrong = s.fails(p)
	if wrong == "" {
		return p, ""
	}
	deadline := time.Now().Add(shrinkLimit)
	for again := true; again && time.Now().Before(deadline); {
		again = false
		for i := 0; time.Now().Before(deadline); {
			smaller := p.clone()
			if !smaller.simplify(i) {
				break
			}
			if w := s.fails(smaller); w != "" {
				p, wrong, again = smaller, w, true
			} else {
				i++
			}
		}
	}
	return p, wrong
}

// fails tries a program on a clean database. Where two answers are allowed it is tried more than once.
func (s *shrinker) fails(p program) (wrong string) {
	tries := 1
	if slices.ContainsFunc(p.scopes, func(b *block) bool { return b.late > 0 }) {
		tries = 30
	}
	for ; tries > 0 && wrong == ""; tries-- {
		if s.lane == nil || s.lane.broken {
			s.lane = openModelLane(s.t, s.dialect, 2*time.Second)
		}
		wrong = s.lane.try(p)
	}
	return wrong
}

// simplify makes the i-th of all simplifications; false if there are not so many.
func (p *program) simplify(i int) bool {
	all := changes(&p.scopes)
	for _, b := range p.scopes {
		all = append(all, b.simplifications(true)...)
	}
	if i < len(all) {
		all[i]()
	}
	return i < len(all)
}

// changes leave out one element each.
func changes[T any](list *[]T) (all []func()) {
	for i := range *list {
		all = append(all, func() { *list = slices.Delete(*list, i, i+1) })
	}
	return all
}

// simplifications of a block, those that take most away first.
func (b *block) simplifications(outermost bool) []func() {
	all := changes(&b.steps)
	for i, s := range b.steps {
		if s.nested != nil {
			all = append(all, func() { b.steps = slices.Concat(b.steps[:i], s.nested.steps, b.steps[i+1:]) })
		}
	}
	all = slices.Concat(all,
		reset(&b.once), reset(&b.readOnly), reset(&b.dead), reset(&b.end), reset(&b.level), reset(&b.retries), reset(&b.late),
		reset(&b.joins), reset(&b.bound), reset(&b.limited))
	for i := range b.steps {
		all = append(all, b.steps[i].simplifications()...)
	}
	if !outermost {
		all = append(all, reset(&b.recovers)...)
	}
	return all
}

func (s *step) simplifications() []func() {
	all := slices.Concat(reset(&s.up), reset(&s.context), reset(&s.hook.panics), reset(&s.hook.writes))
	if s.do == doRun {
		return append(all, s.nested.simplifications(false)...)
	}
	if s.do == doReturning || s.do == doNative {
		all = append(all, func() { s.do = doExec })
	}
	if s.write.kind == insert || s.write.kind == extend || s.write.kind == set {
		all = append(all, func() { s.write.kind = put })
	}
	return all
}

// reset sets a value to zero, if it is not.
func reset[T comparable](v *T) []func() {
	var zero T
	if *v == zero {
		return nil
	}
	return []func(){func() { *v = zero }}
}
