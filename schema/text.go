package schema

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/leadmill/leadmill/dbctx"
)

// text is one statement for both databases.
//
// It is written for PostgreSQL. For SQLite three things are taken out or replaced:
//
//	$1::timestamptz            casts go: SQLite stores what it is given
//	FOR UPDATE OF i            goes, as FOR NO KEY UPDATE does: a writing scope holds SQLite's one write lock from its start
//	{r: id bigint, name text}  a set sent as one JSON array of objects, the statement's $1
//
// The set becomes jsonb_to_recordset here and json_each there.
type text struct{ postgres, sqlite string }

var (
	setPattern  = regexp.MustCompile(`\{(\w+): ([^}]+)\}`)
	castPattern = regexp.MustCompile(`::[a-z]+`)
	lockPattern = regexp.MustCompile(` FOR (NO KEY )?UPDATE( OF \w+)?( SKIP LOCKED)?`)
)

func both(sql string) text {
	lite := lockPattern.ReplaceAllString(castPattern.ReplaceAllString(sql, ""), "")
	return text{
		postgres: setPattern.ReplaceAllString(sql, `jsonb_to_recordset($$1::jsonb) AS $1($2)`),
		sqlite:   setPattern.ReplaceAllStringFunc(lite, sqliteSet),
	}
}

// sqliteSet reads each column out of the array's objects; -> keeps JSON as JSON, ->> gives the value.
func sqliteSet(set string) string {
	m := setPattern.FindStringSubmatch(set)
	var columns []string
	for column := range strings.SplitSeq(m[2], ", ") {
		name, kind, _ := strings.Cut(column, " ")
		arrow := "->>"
		if strings.HasPrefix(kind, "json") {
			arrow = "->"
		}
		columns = append(columns, fmt.Sprintf("value %s '$.%s' AS %s", arrow, name, name))
	}
	return "(SELECT " + strings.Join(columns, ", ") + " FROM json_each($1)) AS " + m[1]
}

// with adds another text behind this one.
func (t text) with(behind text) text {
	return text{postgres: t.postgres + behind.postgres, sqlite: t.sqlite + behind.sqlite}
}

func (t text) on(tx *dbctx.Tx) string {
	if tx.Dialect() == dbctx.SQLite {
		return t.sqlite
	}
	return t.postgres
}

// set renders rows as the JSON array that a {r: ...} reads.
func set(rows any) string {
	return string(must(json.Marshal(rows)))
}

type idRow struct {
	ID int64 `json:"id"`
}

func idRows(ids []int64) []idRow {
	rows := make([]idRow, len(ids))
	for i, id := range ids {
		rows[i].ID = id
	}
	return rows
}

func idSet(ids []int64) string { return set(idRows(ids)) }

// must is for values that are always marshallable: our own structs of strings, numbers and JSON.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("schema: a value that cannot be written as JSON: %v", err))
	}
	return v
}

// notFound turns "no rows" into a sentence that names what was looked for.
func notFound(err error, what string, key any) error {
	if err == dbctx.ErrNoRows {
		return fmt.Errorf("%s %v: %w", what, key, ErrNotFound)
	}
	return err
}

// oneOf turns "no row was changed" into a sentence that names what was looked for.
func oneOf(n int64, err error, what string, key any) error {
	if err == nil && n == 0 {
		return fmt.Errorf("%s %v: %w", what, key, ErrNotFound)
	}
	return err
}
