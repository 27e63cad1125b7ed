package dbctx_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// contextOf is the context of a statement, and what ends it behind the statement.
func (s step) contextOf(h *handle) (context.Context, context.CancelFunc) {
	if s.context == asScope {
		return h.ctx, func() {}
	}
	ctx, cancel := context.WithCancel(h.ctx)
	if s.context == over {
		cancel()
	}
	return ctx, cancel
}

func (p *player) write(h *handle, s step) error {
	if !p.plays(s.write) || s.do == doNative && h.readOnly {
		return nil
	}
	ctx, cancel := s.contextOf(h)
	defer cancel()
	var n int64
	var err error
	tx := h.up(s.up).tx
	sql, args := s.write.statement()
	switch s.do {
	case doExec:
		n, err = tx.Exec(ctx, sql, args...)
	case doReturning:
		n, err = returning(ctx, tx, sql, args)
	default:
		n, err = native(ctx, tx, sql, args)
	}
	p.say(s.label(), err, fmt.Sprint(n))
	return err
}

// returning counts the rows of a write. Where its error shows first, in Query or behind the rows, is the driver's choice.
func returning(ctx context.Context, tx *dbctx.Tx, sql string, args []any) (n int64, err error) {
	if !strings.HasPrefix(sql, "DO") && !strings.Contains(sql, "nowhere") {
		sql += " RETURNING id"
	}
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return 0, err
	}
	for rows.Next() {
		n++
	}
	return n, rows.Err()
}

func native(ctx context.Context, tx *dbctx.Tx, sql string, args []any) (int64, error) {
	if tx.Dialect() == dbctx.Postgres {
		theirs, err := tx.Pgx(ctx)
		if err != nil {
			return 0, err
		}
		tag, err := theirs.Exec(ctx, sql, args...)
		return tag.RowsAffected(), err
	}
	theirs, err := tx.SQL(ctx)
	if err != nil {
		return 0, err
	}
	result, err := theirs.ExecContext(ctx, sql, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

const readNotes = `SELECT id, text FROM notes ORDER BY id`

// beside reads in a scope that has nothing to do with the open one.
func (p *player) beside() (text string, err error) {
	err = dbctx.Run(context.Background(), p.db, func(ctx context.Context, tx *dbctx.Tx) error {
		rows, err := tx.Query(ctx, readNotes)
		if err == nil {
			text, err = readRows(rows, -1)
		}
		return err
	}, dbctx.ReadOnly())
	return text, err
}

// readRows reads n rows, or to the end if n is negative.
func readRows(rows *dbctx.Rows, n int) (string, error) {
	var b strings.Builder
	for ; n != 0 && rows.Next(); n-- {
		var id int64
		var text string
		if err := rows.Scan(&id, &text); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%d=%s ", id, text)
	}
	if n == 0 {
		return b.String(), nil
	}
	return b.String(), rows.Err()
}

func (p *player) read(h *handle, s step) error {
	ctx, cancel := s.contextOf(h)
	defer cancel()
	tx := h.up(s.up).tx
	var text string
	var err error
	switch s.do {
	case doReadOne:
		err = tx.QueryRow(ctx, `SELECT text FROM notes WHERE id = $1`, s.write.id).Scan(&text)
	case doMisread:
		err = tx.QueryRow(ctx, `SELECT text FROM notes WHERE id = $1`, s.write.id).Scan(new(time.Duration))
	case doReadKeys:
		var keys []string
		keys, err = dbctx.All(ctx, tx, func(row dbctx.Scanner) (key string, err error) { return key, row.Scan(&key) },
			`SELECT key FROM done_keys ORDER BY key`)
		text = strings.Join(keys, " ")
	default:
		text, err = p.readNotes(ctx, h, tx, s)
	}
	p.say(s.label(), err, text)
	return err
}

func (p *player) readNotes(ctx context.Context, h *handle, tx *dbctx.Tx, s step) (text string, err error) {
	rows, err := tx.Query(ctx, readNotes)
	if err != nil {
		return "", err
	}
	if s.do == doReadAll {
		return readRows(rows, -1)
	}
	text, err = readRows(rows, s.rows)
	if s.do == doReadSomeShut {
		rows.Close()
		return text, errors.Join(err, rows.Err())
	}
	if read := strings.Count(text, " "); err == nil && read == s.rows {
		h.left = rows
		*h.open++
	}
	return text, err
}

func (p *player) readOn(h *handle, s step) error {
	if h.left == nil {
		return nil
	}
	text, err := readRows(h.left, -1)
	h.left = nil
	*h.open--
	p.say(s.label(), err, text)
	return err
}
