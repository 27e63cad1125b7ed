package dbctx_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/leadmill/leadmill/dbctx"
)

const (
	wireLanes = 8                      // databases that are tried on at the same time, most of them waiting
	patience  = 30 * time.Second       // for what must happen
	impatient = 300 * time.Millisecond // of a scope whose wire falls silent, and of its end
)

func TestWhateverHappensOnTheWireTheAnswerIsTrue(t *testing.T) {
	t.Parallel()
	for name, once := range map[string]bool{"with a key": true, "without a key": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tryEveryFault(t, once)
		})
	}
}

func tryEveryFault(t *testing.T, once bool) {
	lanes := make([]*lane, wireLanes)
	for i := range lanes {
		lanes[i] = openLane(t, once)
	}
	clean := lanes[0].listen(t)
	faults := everyFault(clean)
	var answers tally
	var wg sync.WaitGroup
	for _, l := range lanes {
		wg.Go(func() {
			for f := range faults {
				l.try(t, f, clean, &answers)
			}
			l.expectNothingLeft(t)
		})
	}
	wg.Wait()
	t.Logf("%s; messages of a scope: frontend %s, backend %s", &answers, clean[frontend], clean[backend])
}

// everyFault harms every message in every way.
func everyFault(messages [2]string) <-chan fault {
	var all []fault
	for _, from := range []direction{frontend, backend} {
		for i := range messages[from] {
			for _, harm := range []harm{cutBefore, cutAfter, delay, swallow} {
				all = append(all, fault{harm, from, i + 1})
			}
		}
	}
	faults := make(chan fault, len(all))
	for _, f := range all {
		faults <- f
	}
	close(faults)
	return faults
}

// tally counts what Run said.
type tally struct{ committed, not, unknown, unknownButDone atomic.Int64 }

func (a *tally) add(err error, found traces) {
	switch {
	case err == nil:
		a.committed.Add(1)
	case !errors.Is(err, dbctx.ErrCommitUnknown):
		a.not.Add(1)
	default:
		a.unknown.Add(1)
		if found != (traces{}) {
			a.unknownButDone.Add(1)
		}
	}
}

func (a *tally) String() string {
	return fmt.Sprintf("%d faults tried: %d committed, %d not committed, %d unknown (of which %d were committed)",
		a.committed.Load()+a.not.Load()+a.unknown.Load(), a.committed.Load(), a.not.Load(), a.unknown.Load(), a.unknownButDone.Load())
}

// lane is a database, the way to it through a proxy, and one that is never harmed.
type lane struct {
	db     *dbctx.DB
	proxy  *wireProxy
	direct *pgx.Conn
	once   bool
	told   int64 // stories
}

func openLane(t *testing.T, once bool) *lane {
	t.Helper()
	url := databases.URL(t, dbctx.Postgres)
	direct, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = direct.Close(context.Background()) })
	p := newWireProxy(t, url)
	db, err := dbctx.Open(t.Context(), p.url, dbctx.Pool{Size: 1, MaxOverflow: 4, NoPrePing: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	dbctx.SetEndLimit(db, impatient)
	return &lane{db: db, proxy: p, direct: direct, once: once}
}

// story is a scope that makes every kind of trip.
type story struct {
	id    int64 // of its first row
	once  bool
	hooks int // that ran
}

// traces are what a story leaves in the database.
type traces struct {
	rows string
	keys int
}

func (l *lane) newStory() *story {
	l.told++
	return &story{id: 10 * l.told, once: l.once}
}

func (s *story) key() string { return fmt.Sprint("story/", s.id) }

// whole is what a story leaves that was committed.
func (s *story) whole() traces {
	done := traces{rows: "0 told, 1 kept, 3 last, 4 last"}
	if s.once {
		done.keys = 1
	}
	return done
}

func (s *story) run(db *dbctx.DB, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var options []dbctx.Option
	if s.once {
		options = append(options, dbctx.Once(s.key()))
	}
	return dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
		tx.AfterCommit(func() { s.hooks++ })
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM notes WHERE id = $1`, s.id).Scan(new(int64)); err != nil {
			return err
		}
		tx.Queue(addNote, s.id, "queued")
		if err := s.succeedNested(ctx, db); err != nil {
			return err
		}
		_ = s.failNested(ctx, db) // a lost wire is ignored here too, and must not become half a commit
		if _, err := tx.Exec(ctx, `UPDATE notes SET text = 'told' WHERE id = $1`, s.id); err != nil {
			return err
		}
		tx.Queue(addNote, s.id+3, "last")
		tx.Queue(addNote, s.id+4, "last")
		return nil
	}, options...)
}

func (s *story) succeedNested(ctx context.Context, db *dbctx.DB) error {
	return dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
		_, err := tx.Exec(ctx, addNote, s.id+1, "kept")
		return err
	})
}

// failNested fails at the server, behind a write that would have succeeded.
func (s *story) failNested(ctx context.Context, db *dbctx.DB) error {
	return dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
		tx.AfterCommit(func() { s.hooks += 100 })
		tx.Queue(addNote, s.id+2, "undone")
		_, err := tx.Exec(ctx, `INSERT INTO notes (id, text) SELECT id, text FROM notes WHERE id = $1`, s.id)
		return err
	})
}

// find reads what a story has left, past the proxy.
func (l *lane) find(s *story) (found traces, err error) {
	err = l.direct.QueryRow(context.Background(),
		`SELECT coalesce(string_agg(concat(id - $1, ' ', text), ', ' ORDER BY id), ''),
			(SELECT count(*) FROM done_keys WHERE key = $2)
		FROM notes WHERE id >= $1 AND id < $1 + 10`, s.id, s.key()).Scan(&found.rows, &found.keys)
	return found, err
}

// listen returns the messages of a story whose statements have been prepared.
func (l *lane) listen(t *testing.T) [2]string {
	t.Helper()
	if !l.tellUnharmed(t) {
		t.FailNow()
	}
	w := l.proxy.last.Load()
	w.arm(fault{})
	if !l.tellUnharmed(t) {
		t.FailNow()
	}
	return w.messages()
}

func (l *lane) tellUnharmed(t *testing.T) bool {
	s := l.newStory()
	err := s.run(l.db, patience)
	found, unread := l.find(s)
	if err == nil && unread == nil && found == s.whole() && s.hooks == 1 {
		return true
	}
	t.Errorf("without a fault: Run = %v, %d hooks ran, found %+v, %v", err, s.hooks, found, unread)
	return false
}

// steady returns a wire whose story takes just the clean messages; nil if there is none. The pool opens new ones when it
// likes, and on those statements are prepared first.
func (l *lane) steady(t *testing.T, clean [2]string) *wire {
	var got [2]string
	for range 20 {
		w := l.proxy.last.Load()
		w.arm(fault{})
		if !l.tellUnharmed(t) {
			return nil
		}
		if got = w.messages(); got == clean {
			return w
		}
	}
	t.Errorf("without a fault the messages are %q, and were %q before", got, clean)
	return nil
}

// try lets a fault happen to a story. A story that ended before it came, by its limit or on another wire, is judged
// and told again.
func (l *lane) try(t *testing.T, f fault, clean [2]string, answers *tally) {
	limit := patience
	if f.harm == swallow {
		limit = impatient
	}
	for range 5 {
		w := l.steady(t, clean)
		if w == nil {
			return
		}
		w.arm(f)
		s := l.newStory()
		err := s.run(l.db, limit)
		struck := w.wasStruck()
		if err != nil || struck && f.harm != delay {
			w.close() // a black hole has an end, or the server would keep its side open
			l.expectGone(t, f, w.backendPID())
		}
		found, unread := l.find(s)
		if unread != nil {
			t.Error(unread)
			return
		}
		l.judge(t, f, s, err, found)
		l.expectUsable(t, f, err, struck)
		if struck {
			answers.add(err, found)
			return
		}
		limit *= 2
	}
	t.Errorf("%s: it never came", f)
}

// judge compares what Run said with what is in the database.
func (l *lane) judge(t *testing.T, f fault, s *story, err error, found traces) {
	whole, nothing := s.whole(), traces{}
	unknown := errors.Is(err, dbctx.ErrCommitUnknown)
	wrong := ""
	switch {
	case found != whole && found != nothing:
		wrong = "want all or nothing"
	case err == nil && found != whole:
		wrong = "want the whole story"
	case err == nil && s.hooks != 1:
		wrong = "want the hook to run once"
	case err != nil && s.hooks != 0:
		wrong = "want no hook"
	case err != nil && !unknown && found != nothing:
		wrong = "want nothing of it, or ErrCommitUnknown"
	case errors.Is(err, dbctx.ErrAlreadyDone):
		wrong = "nobody else had this key"
	case err != nil && f.harm == delay:
		wrong = "want nil: nothing was lost"
	case unknown && l.once:
		wrong = "want an answer: new connections work"
	}
	if wrong != "" {
		t.Errorf("%s: Run = %v, %d hooks ran, found %+v; %s", f, err, s.hooks, found, wrong)
	}
}

// expectGone waits for the end of a backend; until then it may still commit.
func (l *lane) expectGone(t *testing.T, f fault, pid uint32) {
	var left int
	var err error
	if !eventually(func() bool {
		err = l.direct.QueryRow(context.Background(), `SELECT count(*) FROM pg_stat_activity WHERE pid = $1`, int64(pid)).Scan(&left)
		return err != nil || left == 0
	}) || err != nil {
		t.Errorf("%s: its backend is still there, %v", f, err)
	}
}

// expectUsable runs another scope. Where the wire was cut behind the end of a scope, by the fault or because the story had
// ended at its limit before the fault came, a pool that does not ping cannot know, and one scope may find out.
func (l *lane) expectUsable(t *testing.T, f fault, before error, struck bool) {
	err := l.runPlain()
	cutBehind := !struck || before == nil && (f.harm == cutBefore || f.harm == cutAfter)
	if cutBehind && dbctx.IsUnavailable(err) {
		err = l.runPlain()
	}
	if err != nil {
		t.Errorf("%s: the next scope = %v, want nil on a new connection", f, err)
	}
	if !eventually(func() bool { return l.db.Stats().InUse == 0 }) {
		t.Errorf("%s: %d connections in use after it, want none", f, l.db.Stats().InUse)
	}
}

func (l *lane) runPlain() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return dbctx.Run(ctx, l.db, func(ctx context.Context, tx *dbctx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM notes WHERE id = 0`).Scan(new(int64))
	})
}

// expectNothingLeft wants no backends but those of the pool, and no transaction; without the pool, none.
func (l *lane) expectNothingLeft(t *testing.T) {
	var backends, idle int
	var err error
	count := func() bool {
		err = l.direct.QueryRow(context.Background(),
			`SELECT count(*), count(*) FILTER (WHERE state LIKE 'idle in transaction%') FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`).Scan(&backends, &idle)
		return err == nil && idle == 0 && backends == l.db.Stats().Open
	}
	if !eventually(count) {
		t.Errorf("at the end: %d backends, %d idle in transaction, %v; want the %d of the pool", backends, idle, err, l.db.Stats().Open)
	}
	l.db.Close()
	if !eventually(count) {
		t.Errorf("the pool is closed: %d backends, %v; want none", backends, err)
	}
}

// eventually polls until it is so, or patience ends.
func eventually(so func() bool) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for !so() {
		if time.Now().After(deadline) {
			return false
		}
		<-tick.C
	}
	return true
}
