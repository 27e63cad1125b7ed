package schema

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/leadmill/leadmill/dbctx"
)

// wide is a text whose set is long: hundreds of rows, on the way of every lead. SQLite gets it as any other, as one JSON array.
// PostgreSQL gets an array for each column, which it need not parse: half of what JSON costs both sides.
type wide struct {
	text
	columns []column
}

type column struct{ name, kind string }

var numberPattern = regexp.MustCompile(`\$(\d+)`)

// columns reads a text with one set in it. The arrays are $1 and on, so the other arguments move behind them.
func columns(sql string) wide {
	w := wide{text: both(sql)}
	m := setPattern.FindStringSubmatch(sql)
	var arrays, names []string
	for of := range strings.SplitSeq(m[2], ", ") {
		name, kind, _ := strings.Cut(of, " ")
		w.columns = append(w.columns, column{name, kind})
		arrays = append(arrays, fmt.Sprintf("$%d::%s[]", len(w.columns), kind))
		names = append(names, name)
	}
	moved := numberPattern.ReplaceAllStringFunc(sql, func(arg string) string {
		n, _ := strconv.Atoi(arg[1:])
		return "$" + strconv.Itoa(n-1+len(arrays))
	})
	set := "unnest(" + strings.Join(arrays, ", ") + ") AS " + m[1] + "(" + strings.Join(names, ", ") + ")"
	w.postgres = setPattern.ReplaceAllLiteralString(moved, set)
	return w
}

// args are the rows, a slice of structs whose JSON names are those of the columns, and the arguments behind them.
func (w wide) args(tx *dbctx.Tx, rows any, behind ...any) []any {
	if tx.Dialect() == dbctx.SQLite {
		return append([]any{set(rows)}, behind...)
	}
	v := reflect.ValueOf(rows)
	args := make([]any, 0, len(w.columns)+len(behind))
	for _, c := range w.columns {
		args = append(args, c.of(v))
	}
	return append(args, behind...)
}

// of collects the column from the rows.
func (c column) of(rows reflect.Value) any {
	at := fieldNamed(rows.Type().Elem(), c.name)
	switch c.kind {
	case "bigint", "integer":
		return collect(rows, at, reflect.Value.Int)
	case "json", "jsonb":
		return collect(rows, at, func(v reflect.Value) string {
			if raw, ok := v.Interface().(json.RawMessage); ok {
				return string(raw)
			}
			return string(must(json.Marshal(v.Interface())))
		})
	}
	return collect(rows, at, reflect.Value.String)
}

func collect[T any](rows reflect.Value, at []int, read func(reflect.Value) T) []T {
	values := make([]T, rows.Len())
	for i := range values {
		values[i] = read(rows.Index(i).FieldByIndex(at))
	}
	return values
}

// fieldNamed is the field that JSON knows by that name.
func fieldNamed(row reflect.Type, name string) []int {
	for _, f := range reflect.VisibleFields(row) {
		if f.Tag.Get("json") == name {
			return f.Index
		}
	}
	panic(fmt.Sprintf("schema: %s has no column %s", row, name))
}
