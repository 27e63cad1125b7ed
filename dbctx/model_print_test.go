package dbctx_test

import (
	"cmp"
	"fmt"
	"strings"
)

// String is the program as one would write it, nearly. check returns the error from fn, if there is one.
func (p program) String() string {
	var b strings.Builder
	for _, s := range p.scopes {
		s.print(&b, 0)
		b.WriteString(")\n")
	}
	return b.String()
}

func (b *block) print(w *strings.Builder, depth int) {
	in := strings.Repeat("\t", depth+1)
	fmt.Fprintf(w, "Run(%s, func(ctx%d, tx%d) error {\n", b.contextText(depth), depth, depth)
	for _, s := range b.steps {
		w.WriteString(in)
		s.print(w, depth)
		w.WriteString("\n")
	}
	if b.late > 0 {
		fmt.Fprintf(w, "%stime.AfterFunc(%s, cancel)\n", in, b.late)
	}
	fmt.Fprintf(w, "%s%s\n%s}%s", in, b.end, in[1:], b.optionText())
}

func (b *block) contextText(depth int) string {
	text := "background"
	if depth > 0 {
		text = fmt.Sprint("ctx", max(depth-1-b.joins, 0))
		if b.bound {
			text = fmt.Sprintf("Bind(background, tx%d)", max(depth-1-b.joins, 0))
		}
	}
	if b.dead {
		text = "cancelled(" + text + ")"
	}
	return text
}

func (b *block) optionText() string {
	var w strings.Builder
	if b.once != "" {
		fmt.Fprintf(&w, ", Once(%q)", b.once)
	}
	if b.readOnly {
		w.WriteString(", ReadOnly()")
	}
	if b.level != 0 {
		fmt.Fprintf(&w, ", Isolation(%d)", b.level)
	}
	if b.retries != 0 {
		fmt.Fprintf(&w, ", Retry(%d)", b.retries)
	}
	if b.limited {
		w.WriteString(", Timeout(time.Minute)")
	}
	return w.String()
}

// String is the statement that ends fn.
func (e end) String() string {
	return [...]string{"return nil", "return errOops", "return Keep(errOops)", `return fmt.Errorf("later: %w", Keep(errOops))`,
		"panic(errOops)", "runtime.Goexit()"}[e]
}

func (s step) print(w *strings.Builder, depth int) {
	switch {
	case s.do != doRun && (s.quiet() || s.do == doHook):
		s.printPlain(w, depth)
		return
	case s.ignored:
		w.WriteString("_ = ")
	default:
		w.WriteString("check(")
	}
	if s.do == doRun {
		if s.nested.recovers {
			w.WriteString("recovered(")
		}
		s.nested.print(w, depth+1)
		w.WriteString(")")
		if s.nested.recovers {
			w.WriteString(")")
		}
	} else {
		s.printPlain(w, depth)
	}
	if !s.ignored {
		w.WriteString(")")
	}
}

// quiet steps answer nothing.
func (s step) quiet() bool {
	return s.do == doQueue || s.do == doHook || s.do == doCancel || (s.do == doLate || s.do == doElsewhere) && s.silent()
}

// silent misuse is refused without an answer.
func (s step) silent() bool { return s.misuse == byQueue || s.misuse == byHook }

func (s step) printPlain(w *strings.Builder, depth int) {
	tx, ctx := fmt.Sprint("tx", max(depth-s.up, 0)), [...]string{fmt.Sprint("ctx", depth), "short", "ended"}[s.context]
	use := [...]string{"Exec(ctx, insert(99))", "Queue(insert(99))", "AfterCommit(hook99)", "Run()"}[s.misuse]
	switch s.do {
	case doQueue:
		fmt.Fprintf(w, "%s.Queue(%s)", tx, s.write)
	case doHook:
		fmt.Fprintf(w, "%s.AfterCommit(%s)", tx, s.hook)
	case doCancel:
		fmt.Fprintf(w, "cancel%d()", max(depth-s.up, 0))
	case doLate:
		fmt.Fprintf(w, "txThatEnded.%s", use)
	case doElsewhere:
		fmt.Fprintf(w, "onAnotherGoroutine(%s.%s)", tx, use)
	case doReadOn:
		w.WriteString("rows.readOn()")
	case doBeside:
		w.WriteString("Run(background, readAll, ReadOnly())")
	default:
		fmt.Fprintf(w, "%s.%s", tx, strings.Replace(s.label(), "(", "("+ctx+", ", 1))
	}
}

// label is what a step is called in the record of what was seen.
func (s step) label() string {
	switch s.do {
	case doExec:
		return "Exec(" + s.write.String() + ")"
	case doReturning:
		return "Query(" + s.write.String() + " RETURNING id)"
	case doNative:
		return "Native(" + s.write.String() + ")"
	case doReadAll:
		return "Query(notes)"
	case doReadOne:
		return fmt.Sprintf("QueryRow(note %d)", s.write.id)
	case doReadKeys:
		return "Query(keys)"
	case doMisread:
		return fmt.Sprintf("QueryRow(note %d).Scan(wrong)", s.write.id)
	case doReadSome:
		return fmt.Sprintf("Query(notes).Next*%d", s.rows)
	case doReadSomeShut:
		return fmt.Sprintf("Query(notes).Next*%d.Close", s.rows)
	}
	return [...]string{doReadOn: "read on", doBeside: "beside", doLate: "late", doElsewhere: "elsewhere", doRun: "nested Run"}[s.do]
}

// String tells a hook.
func (h hook) String() string {
	text := fmt.Sprint("hook", h.number)
	if h.panics {
		text += "Panics"
	}
	if h.writes {
		text += "Writes"
	}
	return text
}

// String tells a write.
func (w write) String() string {
	name := [...]string{"insert", "put", "set", "extendFrom", "remove", "badSQL", "badArg", "victim"}[w.kind]
	switch w.kind {
	case badSQL, badArg:
		return name
	case victim:
		return fmt.Sprintf("victim(%d times)", w.times)
	case remove:
		return fmt.Sprintf("remove(%d)", w.id)
	}
	return fmt.Sprintf("%s(%d, %q)", name, w.id, cmp.Or(w.text, "-"))
}
