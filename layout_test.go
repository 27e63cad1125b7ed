package leadmill_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The shape of the house: who may import whom, and where things live.

const ours = "github.com/leadmill/leadmill/"

// room says what the packages below a folder may import besides the standard library.
type room struct {
	folder string
	may    []string // prefixes of import paths
	why    string
}

var rooms = []room{
	{"dbctx", []string{"github.com/jackc/pgx", "modernc.org/sqlite", "go.opentelemetry.io/otel", ours + "dbctx"},
		"dbctx lies beneath everything and can be used by itself: it knows nothing of ours and nothing of the queue"},
	{"lead", []string{"github.com/gogs/chardet", "github.com/nyaruka/phonenumbers", "golang.org/x/text", "golang.org/x/net/idna", ours + "lead"},
		"lead holds rules: pure functions that can be tried without a database, a clock or a network"},
	{"schema", []string{"github.com/pressly/goose", ours + "dbctx", ours + "lead"},
		"schema speaks SQL through dbctx only; who knows the queue or HTTP does not belong here"},
	{"jobs", []string{"github.com/robfig/cron", "github.com/sony/gobreaker", ours + "dbctx", ours + "lead", ours + "schema"},
		"a job takes, decides, saves and tells; River and pgx stay behind jobs/queue*.go, so that they can be changed there"},
	{"web", []string{"github.com/prometheus/client_golang", "golang.org/x/crypto", "golang.org/x/time",
		ours + "dbctx", ours + "lead", ours + "schema", ours + "jobs", ours + "docs/snippets"},
		"web shows and takes in; it reaches the queue through jobs and the tables through schema"},
}

// queueMay is what jobs/queue*.go may import besides.
var queueMay = []string{"github.com/riverqueue/river", "riverqueue.com/riverui", "github.com/jackc/pgx"}

// pureMayNot is what rules may not import of the standard library.
var pureMayNot = []string{"os", "net/http", "database/sql", "log", "log/slog", "math/rand", "math/rand/v2", "crypto/rand"}

// file is a parsed source file.
type file struct {
	path  string // from the root, with slashes
	ast   *ast.File
	fset  *token.FileSet
	tests bool
}

func sources(t *testing.T) (files []file) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		fset := token.NewFileSet()
		parsed, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		files = append(files, file{filepath.ToSlash(path), parsed, fset, strings.HasSuffix(path, "_test.go")})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// isCode leaves out tests, and the packages that only tests use.
func (f file) isCode() bool {
	return !f.tests && !strings.Contains(f.path, "dbctxtest/") && !strings.HasPrefix(f.path, "faulttest/")
}

func (f file) at(n ast.Node) token.Position { return f.fset.Position(n.Pos()) }

func (f file) imports() (paths []string) {
	for _, i := range f.ast.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		paths = append(paths, path)
	}
	return paths
}

func startsWithAny(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

func TestImportsPointOneWay(t *testing.T) {
	for _, f := range sources(t) {
		if !f.isCode() {
			continue
		}
		for _, r := range rooms {
			if !strings.HasPrefix(f.path, r.folder+"/") {
				continue
			}
			may := r.may
			if strings.HasPrefix(f.path, "jobs/queue") {
				may = append(slices.Clone(may), queueMay...)
			}
			for _, path := range f.imports() {
				first, _, _ := strings.Cut(path, "/")
				if strings.Contains(first, ".") && !startsWithAny(path, may) {
					t.Errorf("%s imports %s: %s", f.path, path, r.why)
				}
			}
		}
		for _, path := range f.imports() {
			if strings.HasPrefix(path, ours+"cmd") {
				t.Errorf("%s imports %s: commands wire things together, nothing is built on them", f.path, path)
			}
		}
	}
}

func TestRulesArePure(t *testing.T) {
	for _, f := range sources(t) {
		if !f.isCode() || !strings.HasPrefix(f.path, "lead/") {
			continue
		}
		for _, path := range f.imports() {
			if slices.Contains(pureMayNot, path) {
				t.Errorf("%s imports %s: a rule gives the same answer every time, so it asks no machine", f.path, path)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Now" {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" {
					t.Errorf("%s calls time.Now: the time is an argument of a rule, so that it can be tried", f.at(n))
				}
			}
			return true
		})
	}
}

var sqlPattern = regexp.MustCompile(`^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|DROP|WITH) `)

func TestSQLLivesInSchema(t *testing.T) {
	for _, f := range sources(t) {
		if !f.isCode() || strings.HasPrefix(f.path, "schema/") || strings.HasPrefix(f.path, "dbctx/") {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if text, err := strconv.Unquote(l.Value); err == nil && sqlPattern.MatchString(text) {
					t.Errorf("%s holds SQL: it belongs to schema, where it is read, planned and tested on both databases", f.at(n))
				}
			}
			return true
		})
	}
}

func TestAKindIsNamedLikeItsFile(t *testing.T) {
	kinds := 0
	for _, f := range sources(t) {
		if f.tests || !strings.HasPrefix(f.path, "jobs/") {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Name.Name != "Kind" || len(fn.Body.List) != 1 {
				continue
			}
			kinds++
			returned, ok := fn.Body.List[0].(*ast.ReturnStmt)
			if !ok || len(returned.Results) != 1 {
				t.Errorf("%s: want Kind to return a constant", f.at(fn))
				continue
			}
			l, ok := returned.Results[0].(*ast.BasicLit)
			if want := strconv.Quote(strings.TrimSuffix(filepath.Base(f.path), ".go")); !ok || l.Value != want {
				t.Errorf("%s: want the kind %s, so that the folder is the table of contents", f.at(fn), want)
			}
		}
	}
	if kinds == 0 {
		t.Error("no kinds were found in jobs/")
	}
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	for _, f := range sources(t) {
		if f.tests || !startsWithAny(f.path, []string{"dbctx/", "jobs/", "schema/", "lead/", "web/"}) {
			continue
		}
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil {
					t.Errorf("%s: %s has no comment; say what the signature cannot", f.at(d), d.Name.Name)
				}
			case *ast.GenDecl:
				undocumented(t, f, d)
			}
		}
	}
}

// undocumented complains about exported names that neither their group nor a comment of their own explains.
func undocumented(t *testing.T, f file, d *ast.GenDecl) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
				t.Errorf("%s: %s has no comment; say what the signature cannot", f.at(s), s.Name.Name)
			}
		case *ast.ValueSpec:
			if s.Names[0].IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
				t.Errorf("%s: %s has no comment; say what the signature cannot", f.at(s), s.Names[0].Name)
			}
		}
	}
}

func TestNothingHappensBehindTheBack(t *testing.T) {
	shelves := []string{"util", "utils", "common", "helpers", "models", "misc"}
	for _, f := range sources(t) {
		if slices.Contains(shelves, f.ast.Name.Name) {
			t.Errorf("%s: a package is named after what it holds, and %s holds anything", f.path, f.ast.Name.Name)
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: no init; wire it where it can be read", f.at(fn))
			}
		}
	}
}
