package leadmill_test

import (
	"go/ast"
	"os"
	"regexp"
	"testing"
)

func TestTheGuaranteesNameTestsThatExist(t *testing.T) {
	text, err := os.ReadFile("docs/guarantees.md")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, f := range sources(t) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.tests {
				there[fn.Name.Name] = true
			}
		}
	}
	named := regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(string(text), -1)
	for _, name := range named {
		if !there[name[1]] {
			t.Errorf("docs/guarantees.md names %s, and there is no such test", name[1])
		}
	}
	if len(named) < 20 {
		t.Errorf("docs/guarantees.md names %d tests, want one for each promise", len(named))
	}
}
