package dbctx_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// player does with dbctx what a program says, and records what fn and its caller see.
type player struct {
	db      *dbctx.DB
	said    []string
	heard   []string // what Run said of each scope
	gone    *handle  // the scope that ended last
	attempt int
	session int // attempts so far, of all scopes
}

// handle is an open scope.
type handle struct {
	outer   *handle
	tx      *dbctx.Tx
	ctx     context.Context
	cancel  context.CancelFunc
	left    *dbctx.Rows
	open    *int // how many rows are open in the transaction
	session int

	readOnly bool // the outermost
}

func (h *handle) up(levels int) *handle {
	for ; levels > 0 && h.outer != nil; levels-- {
		h = h.outer
	}
	return h
}

func (p *player) say(what string, err error, text string) {
	if err != nil {
		text = reason(err)
	}
	p.said = append(p.said, what+": "+text)
}

// traced marks the context of what belongs to the program; see account.
type traced struct{}

func background() context.Context { return context.WithValue(context.Background(), traced{}, true) }

// run is Run of an outermost scope, on a goroutine of its own, because it may end. It says false if it does not come back.
func (p *player) run(b *block, patience time.Duration) bool {
	ctx, cancel := context.WithCancel(background())
	defer cancel()
	if b.dead {
		cancel()
	}
	p.attempt = 0
	answer := make(chan string, 1)
	go func() {
		text := exited
		defer func() {
			if v := recover(); v != nil {
				text = panicText(v)
			}
			answer <- text
		}()
		if text = reason(p.call(&handle{cancel: cancel, readOnly: b.readOnly}, b, ctx)); text == "" {
			text = "nil"
		}
	}()
	select {
	case text := <-answer:
		p.said = append(p.said, "Run: "+text)
		p.heard = append(p.heard, text)
		return true
	case <-time.After(patience):
		return false
	}
}

var errRecovered = errors.New("recovered")

func recovered(v any) error {
	if v == any(errOops) {
		return errRecovered
	}
	return errors.New(panicText(v))
}

func panicText(v any) string {
	if v == any(errOops) {
		return panicked
	}
	return fmt.Sprint("panic: ", v)
}

func (b *block) options() (opts []dbctx.Option) {
	if b.once != "" {
		opts = append(opts, dbctx.Once(b.once))
	}
	if b.readOnly {
		opts = append(opts, dbctx.ReadOnly())
	}
	if b.level != 0 {
		opts = append(opts, dbctx.Isolation(b.level))
	}
	if b.retries != 0 {
		opts = append(opts, dbctx.Retry(b.retries))
	}
	if b.limited {
		opts = append(opts, dbctx.Timeout(time.Minute))
	}
	return opts
}

// call calls Run. h is the scope to be, but for its Tx.
func (p *player) call(h *handle, b *block, ctx context.Context) error {
	return dbctx.Run(ctx, p.db, func(ctx context.Context, tx *dbctx.Tx) error {
		own := *h
		own.tx, own.ctx = tx, ctx
		if own.outer == nil {
			p.attempt++
			p.session++
			own.session, own.open = p.session, new(int)
		}
		before := *own.open
		defer func() { p.gone, *own.open = &own, before }() // Run closes what is open
		for _, s := range b.steps {
			if err := p.step(&own, s); err != nil && !s.ignored {
				return err
			}
		}
		if b.late > 0 {
			time.AfterFunc(b.late, own.cancel)
		}
		return b.end.do()
	}, b.options()...)
}

func (e end) do() error {
	switch e {
	case endsError:
		return errOops
	case endsKeep:
		return dbctx.Keep(errOops)
	case endsKeepWrapped:
		return fmt.Errorf("later: %w", dbctx.Keep(errOops))
	case endsPanic:
		panic(errOops)
	case endsGoexit:
		runtime.Goexit()
	}
	return nil
}

// nest is Run inside another scope.
func (p *player) nest(h *handle, b *block) (err error) {
	joined := h.up(b.joins)
	ctx := joined.ctx
	if b.bound {
		ctx = dbctx.Bind(background(), joined.tx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if b.dead {
		cancel()
	}
	if b.recovers {
		defer func() {
			if v := recover(); v != nil {
				err = recovered(v)
			}
		}()
	}
	return p.call(&handle{outer: h, cancel: cancel, open: h.open, session: h.session, readOnly: h.readOnly}, b, ctx)
}

func (p *player) step(h *handle, s step) error {
	switch s.do {
	case doQueue:
		if p.plays(s.write) {
			sql, args := s.write.statement()
			h.up(s.up).tx.Queue(sql, args...)
		}
	case doExec, doReturning, doNative:
		return p.write(h, s)
	case doHook:
		p.register(h, s)
	case doCancel:
		if *h.open == 0 {
			h.up(s.up).cancel()
		}
	case doBeside:
		text, err := p.beside()
		p.say(s.label(), err, text)
		return err
	case doLate:
		return p.late(h, s)
	case doElsewhere:
		return p.elsewhere(h, s)
	case doReadOn:
		return p.readOn(h, s)
	case doRun:
		err := p.nest(h, s.nested)
		p.say(s.label(), err, "nil")
		return err
	default:
		return p.read(h, s)
	}
	return nil
}

// plays is the same as in the model.
func (p *player) plays(w write) bool {
	return w.kind != victim || p.db.Dialect() == dbctx.Postgres && p.attempt <= w.times
}

func (p *player) register(h *handle, s step) {
	ctx := context.WithoutCancel(h.up(deepest).ctx)
	h.up(s.up).tx.AfterCommit(func() {
		p.say(s.hook.String(), nil, "runs")
		if s.hook.writes {
			sql, args := s.hook.write().statement()
			err := dbctx.Run(ctx, p.db, func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(sql, args...); return nil })
			p.say(s.hook.String(), err, "nil")
		}
		if s.hook.panics {
			panic("a hook")
		}
	})
}

func (p *player) late(h *handle, s step) error {
	if p.gone == nil || s.misuse == byRun && p.gone.session != h.session {
		return nil
	}
	return p.misuse(h, p.gone, s)
}

func (p *player) elsewhere(h *handle, s step) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = p.misuse(h, h.up(s.up), s)
	}()
	<-done
	return err
}

func (p *player) misuse(h, used *handle, s step) (err error) {
	sql, args := write{kind: put, id: 99, text: "misuse"}.statement()
	switch s.misuse {
	case byExec:
		_, err = used.tx.Exec(h.ctx, sql, args...)
	case byQueue:
		used.tx.Queue(sql, args...)
	case byHook:
		used.tx.AfterCommit(func() { p.say("misuse", nil, "a hook runs") })
	case byRun:
		err = dbctx.Run(used.ctx, p.db, nothing)
	}
	if !s.silent() {
		p.say(s.label(), err, "")
	}
	return err
}
