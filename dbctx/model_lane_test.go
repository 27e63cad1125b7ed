package dbctx_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leadmill/leadmill/dbctx"
)

// modelLane is a database that programs run on, one after the other.
type modelLane struct {
	db     *dbctx.DB
	direct *sql.DB // past dbctx
	echo   *account
	limit  time.Duration // of what must happen at once
	broken bool          // something is left behind that the next program would stumble over
}

func openModelLane(t *testing.T, d dbctx.Dialect, limit time.Duration) *modelLane {
	t.Helper()
	l := &modelLane{echo: &account{}, limit: limit}
	pool := dbctx.Pool{
		Size: 1, MaxOverflow: 7, ConnectAttempts: 1, Wait: limit, Echo: true, Logger: slog.New(l.echo),
	}
	var err error
	if l.db, err = dbctx.Open(t.Context(), databases.URL(t, d), pool); err != nil {
		t.Fatal(err)
	}
	if l.direct, err = l.db.OpenSQL(); err != nil {
		t.Fatal(err)
	}
	l.direct.SetMaxOpenConns(1)
	t.Cleanup(l.close)
	return l
}

// close does not wait for connections that a bug has kept.
func (l *modelLane) close() {
	l.direct.Close()
	if l.db.Stats().InUse == 0 {
		l.db.Close()
	}
}

// try runs a program and says how dbctx and the model disagree; "" if they do not.
func (l *modelLane) try(p program) string {
	r := &player{db: l.db}
	l.broken = true
	for i, b := range p.scopes {
		if !r.run(b, l.limit) {
			return fmt.Sprintf("scope %d does not come back", i+1)
		}
		if wrong := l.leak(); wrong != "" {
			return fmt.Sprintf("behind scope %d: %s", i+1, wrong)
		}
	}
	w := foresee(p, l.db.Dialect(), r.heard)
	found, err := l.take()
	if err != nil {
		return err.Error()
	}
	l.broken = false
	var wrong strings.Builder
	if diff := cmp.Diff(w.said, r.said); diff != "" {
		fmt.Fprintf(&wrong, "what was seen (-want +got):\n%s", diff)
	}
	if !maps.Equal(found.rows, w.stands.rows) || !maps.Equal(found.keys, w.stands.keys) {
		fmt.Fprintf(&wrong, "found afterwards: rows %s, keys %s\nwant: rows %s, keys %s\n",
			found.notes(-1), found.keyList(), w.stands.notes(-1), w.stands.keyList())
	}
	wrong.WriteString(l.echo.take())
	return wrong.String()
}

// leak is what a scope that has ended still holds. The pool itself looks after idle connections now and then.
func (l *modelLane) leak() string {
	deadline := time.Now().Add(l.limit)
	for {
		s := l.db.Stats()
		switch {
		case s.Scopes == 0 && s.InUse == 0:
			return ""
		case time.Now().After(deadline):
			return fmt.Sprintf("%d scopes open and %d connections in use, want none", s.Scopes, s.InUse)
		}
		<-time.After(100 * time.Microsecond)
	}
}

// take reads both tables and empties them.
func (l *modelLane) take() (found state, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), l.limit)
	defer cancel()
	found = state{map[int64]string{}, map[string]bool{}}
	texts := []string{`SELECT id, text FROM notes UNION ALL SELECT 0, key FROM done_keys`, `DELETE FROM notes`, `DELETE FROM done_keys`}
	if l.db.Dialect() == dbctx.Postgres {
		texts = []string{`WITH n AS (DELETE FROM notes RETURNING id, text), k AS (DELETE FROM done_keys RETURNING key)
			SELECT id, text FROM n UNION ALL SELECT 0, key FROM k`}
	}
	rows, err := l.direct.QueryContext(ctx, texts[0])
	if err != nil {
		return found, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var text string
		if err := rows.Scan(&id, &text); err != nil {
			return found, err
		}
		if id == 0 {
			found.keys[text] = true
		} else {
			found.rows[id] = text
		}
	}
	if err := rows.Err(); err != nil {
		return found, err
	}
	return found, l.empty(ctx, texts[1:], found)
}

func (l *modelLane) empty(ctx context.Context, texts []string, found state) error {
	if len(found.rows)+len(found.keys) == 0 {
		return nil
	}
	for _, text := range texts {
		if _, err := l.direct.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// account follows the statements that the echo tells: whoever commits has released every savepoint.
type account struct {
	savepoints []string
	wrong      string
}

// Enabled is always.
func (a *account) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs and WithGroup are not used by the echo.
func (a *account) WithAttrs([]slog.Attr) slog.Handler { return a }

// WithGroup is not used.
func (a *account) WithGroup(string) slog.Handler { return a }

// Handle takes a statement.
func (a *account) Handle(ctx context.Context, r slog.Record) error {
	if ctx.Value(traced{}) == nil || r.Message != "sql" {
		return nil
	}
	r.Attrs(func(attr slog.Attr) bool {
		if attr.Key == "statement" {
			a.book(attr.Value.String())
		}
		return true
	})
	return nil
}

func (a *account) book(sql string) {
	name := sql[strings.LastIndex(sql, " ")+1:]
	switch {
	case sql == "BEGIN":
		a.savepoints = nil
	case strings.HasPrefix(sql, "SAVEPOINT "):
		a.savepoints = append(a.savepoints, name)
	case strings.HasPrefix(sql, "RELEASE "):
		a.back(name, 0)
	case strings.HasPrefix(sql, "ROLLBACK TO "):
		a.back(name, 1)
	case sql == "COMMIT" && len(a.savepoints) > 0:
		a.wrong += fmt.Sprintf("COMMIT with savepoints %v not released\n", a.savepoints)
	}
}

// back drops the savepoints behind the last of that name; keep says whether it stays itself.
func (a *account) back(name string, keep int) {
	for i := len(a.savepoints) - 1; i >= 0; i-- {
		if a.savepoints[i] == name {
			a.savepoints = a.savepoints[:i+keep]
			return
		}
	}
}

func (a *account) take() string {
	wrong := a.wrong
	a.wrong = ""
	return wrong
}
