package schema

import (
	"fmt"
	"strings"
)

// where collects the conditions of a list that can be narrowed in several ways.
type where struct {
	conditions []string
	args       []any
}

// add joins a condition with AND if wanted; each %d in it becomes the number of its argument.
func (w *where) add(wanted bool, condition string, args ...any) {
	if !wanted {
		return
	}
	numbers := make([]any, len(args))
	for i := range args {
		numbers[i] = len(w.args) + i + 1
	}
	w.conditions = append(w.conditions, fmt.Sprintf(condition, numbers...))
	w.args = append(w.args, args...)
}

func (w *where) sql() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return "WHERE " + strings.Join(w.conditions, " AND ")
}

// limit bounds a list: 0 means 50, and no list is longer than 1,000.
func limit(n int) string {
	if n <= 0 {
		n = 50
	}
	return fmt.Sprintf("LIMIT %d", min(n, 1000))
}
