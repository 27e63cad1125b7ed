package dbctx_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/leadmill/leadmill/dbctx"
)

func TestTheCommitTravelsWithTheLastWrites(t *testing.T) {
	db, proxy := openThroughProxy(t)
	read := func(ctx context.Context, tx *dbctx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM notes`).Scan(new(int64))
	}
	write := func(tx *dbctx.Tx, id int) {
		tx.Queue(addNote, id, "a")
		tx.Queue(addNote, id+1, "b")
	}
	for _, work := range []struct {
		name string
		want int64
		fn   func(ctx context.Context, tx *dbctx.Tx, id int) error
	}{
		{"nothing", 0, func(context.Context, *dbctx.Tx, int) error { return nil }},
		{"two writes", 1, func(_ context.Context, tx *dbctx.Tx, id int) error { write(tx, id); return nil }},
		{"a read and two writes", 2, func(ctx context.Context, tx *dbctx.Tx, id int) error { write(tx, id); return read(ctx, tx) }},
		{"two writes in a nested scope", 1, func(ctx context.Context, _ *dbctx.Tx, id int) error {
			return dbctx.Run(ctx, db, func(_ context.Context, tx *dbctx.Tx) error { write(tx, id); return nil })
		}},
		{"a read in a nested scope", 3, func(ctx context.Context, tx *dbctx.Tx, id int) error {
			write(tx, id)
			return dbctx.Run(ctx, db, read)
		}},
	} {
		run := func(id int) {
			if err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error { return work.fn(ctx, tx, id) }); err != nil {
				t.Fatal(err)
			}
		}
		id := 100 * int(proxy.trips.Load())
		run(id) // prepares the statements
		before := proxy.trips.Load()
		run(id + 10)
		if got := proxy.trips.Load() - before; got != work.want {
			t.Errorf("%s: %d round trips, want %d", work.name, got, work.want)
		}
	}
}

func TestTheKeyOfOnceCostsNoTrip(t *testing.T) {
	db, proxy := openThroughProxy(t)
	work := func(id int64) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, id, "a")
			return tx.QueryRow(ctx, `SELECT count(*) FROM notes`).Scan(new(int64))
		}, dbctx.Once(fmt.Sprint("job/", id)))
		if err != nil {
			t.Fatal(err)
		}
	}
	work(1)
	before := proxy.trips.Load()
	work(2)
	if got := proxy.trips.Load() - before; got != 2 {
		t.Errorf("%d round trips, want 2", got)
	}
}

func TestAWireLostWhileCommittingIsSaid(t *testing.T) {
	db, proxy := openThroughProxy(t)
	hooks := 0
	run := func(id int64, before func()) error {
		return dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			tx.AfterCommit(func() { hooks++ })
			if _, err := tx.Exec(ctx, addNote, id, "a"); err != nil {
				return err
			}
			before()
			return nil
		})
	}
	for _, lost := range []struct {
		name    string
		arrives bool // COMMIT, at the server
		want    []int64
	}{{"the answer", true, []int64{1, 2, 3}}, {"the request", false, []int64{1, 3}}} {
		if err := run(1, func() {}); err != nil { // prepares the statements
			t.Fatal(err)
		}
		if err := run(2, func() { proxy.cut(lost.arrives) }); !errors.Is(err, dbctx.ErrCommitUnknown) || !dbctx.IsUnavailable(err) {
			t.Errorf("%s is lost: Run = %v, want ErrCommitUnknown", lost.name, err)
		}
		if err := run(3, func() {}); err != nil {
			t.Errorf("the next scope = %v, want a new connection", err)
		}
		expect(t, db, lost.want...)
		clearNotes(t, db)
	}
	if hooks != 4 {
		t.Errorf("%d hooks ran, want 4 of the commits that are known", hooks)
	}
}

func TestAWireLostBeforeTheCommitRollsBack(t *testing.T) {
	db, proxy := openThroughProxy(t)
	err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		if _, err := tx.Exec(ctx, addNote, 1, "a"); err != nil {
			return err
		}
		proxy.cut(false)
		_, _ = tx.Exec(ctx, addNote, 2, "b")
		return nil
	})
	if err == nil || errors.Is(err, dbctx.ErrCommitUnknown) || !dbctx.IsUnavailable(err) {
		t.Errorf("Run = %v, want the lost wire, and no doubt", err)
	}
	expect(t, db)
}

func clearNotes(t *testing.T, db *dbctx.DB) {
	t.Helper()
	err := dbctx.Run(t.Context(), db, func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(`DELETE FROM notes`); return nil })
	if err != nil {
		t.Fatal(err)
	}
}

func openThroughProxy(t *testing.T) (*dbctx.DB, *proxy) {
	t.Helper()
	p := newProxy(t, databases.URL(t, dbctx.Postgres))
	db, err := dbctx.Open(t.Context(), p.url, dbctx.Pool{Size: 1, MaxOverflow: -1, NoPrePing: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db, p
}

// proxy stands between dbctx and PostgreSQL. It counts what the client sends as round trips: messages from it after an
// answer.
type proxy struct {
	url    string
	target string
	trips  atomic.Int64
	knife  atomic.Pointer[knife]
	wg     sync.WaitGroup
}

// knife cuts the wire at the next message of the client, before or behind the server's answer.
type knife struct{ arrives bool }

func (p *proxy) cut(arrives bool) { p.knife.Store(&knife{arrives}) }

func newProxy(t *testing.T, url string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := proxyOf(t, url, l.Addr())
	p.listen(t, l)
	return p
}

// proxyOf is a proxy that does not listen yet.
func proxyOf(t *testing.T, url string, at net.Addr) *proxy {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	theirs := fmt.Sprint(":", config.Port)
	return &proxy{
		url:    strings.Replace(url, theirs, fmt.Sprint(":", at.(*net.TCPAddr).Port), 1),
		target: net.JoinHostPort(config.Host, fmt.Sprint(config.Port)),
	}
}

func (p *proxy) listen(t *testing.T, l net.Listener) {
	p.wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", p.target)
			if err != nil {
				client.Close()
				return
			}
			p.join(client, server)
		}
	})
	t.Cleanup(func() { l.Close(); p.wg.Wait() })
}

// join carries the bytes of one connection both ways.
func (p *proxy) join(client, server net.Conn) {
	var answered, dying atomic.Bool
	answered.Store(true)
	p.wg.Go(func() {
		pump(server, client, func(b []byte) bool {
			if answered.Swap(false) && !bytes.HasPrefix(b, []byte("X")) { // X is good-bye
				p.trips.Add(1)
			}
			k := p.knife.Swap(nil)
			if k != nil {
				dying.Store(true)
			}
			return k == nil || k.arrives
		})
	})
	p.wg.Go(func() {
		pump(client, server, func([]byte) bool { answered.Store(true); return !dying.Load() })
	})
}

// pump carries bytes as long as pass lets it, and closes both ends behind the last.
func pump(to, from net.Conn, pass func([]byte) bool) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil || !pass(b[:n]) {
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}
