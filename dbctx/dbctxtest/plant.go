package dbctxtest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Bug is a change of the source that a test must notice.
type Bug struct {
	Name string
	File string // from the folder of the test, such as "run.go" or "jobs/queue.go"
	Old  string // stands in File exactly once
	New  string // in its place; it must compile
}

// Hunt is the test that must notice, in the package of the test that plants.
type Hunt struct {
	Test  string   // its name, that of a subtest behind a slash
	Args  []string // for its flags, such as "-programs", "20000"
	Shows string   // what its message holds if it fails for the right reason
}

// Plant runs the hunt as a program of its own, in which a copy of the bug's file stands for the file; nothing here is
// changed. A hunt that builds programs gives go build the overlay of LEADMILL_OVERLAY. It fails the test if the bug is not noticed, does not compile or no longer applies, and returns what the
// hunt printed.
func Plant(t *testing.T, bug Bug, hunt Hunt) string {
	t.Helper()
	changes := overlay(t, bug)
	program := build(t, changes)
	pattern := "^" + strings.ReplaceAll(hunt.Test, "/", "$/^") + "$"
	run := exec.Command(program, append([]string{"-test.run", pattern, "-test.count", "1"}, hunt.Args...)...)
	run.Env = append(os.Environ(), "LEADMILL_OVERLAY="+changes)
	out, err := run.CombinedOutput()
	text := string(out)
	switch {
	case err == nil:
		t.Fatalf("%s: %s did not notice:\n%s", bug.Name, hunt.Test, text)
	case !strings.Contains(text, "--- FAIL: "+hunt.Test), !strings.Contains(text, hunt.Shows):
		t.Fatalf("%s: %s ended with %v, want it to fail and to say %q:\n%s", bug.Name, hunt.Test, err, hunt.Shows, text)
	}
	return text
}

// Planted is the file with the bug in it. It fails the test if the bug no longer applies.
func (b Bug) Planted(t *testing.T) []byte {
	t.Helper()
	source, err := os.ReadFile(b.File)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), b.Old); n != 1 {
		t.Fatalf("%s: its old text stands %d times in %s, want once; write the bug anew:\n%s", b.Name, n, b.File, b.Old)
	}
	return []byte(strings.Replace(string(source), b.Old, b.New, 1))
}

// overlay writes the changed copy of a file and returns what tells the compiler to take it.
func overlay(t *testing.T, bug Bug) string {
	t.Helper()
	path, err := filepath.Abs(bug.File)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	changed := filepath.Join(folder, filepath.Base(bug.File))
	write(t, changed, bug.Planted(t))
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "overlay.json")
	write(t, file, list)
	return file
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// build compiles the tests of the package in this folder.
func build(t *testing.T, overlay string) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "hunt")
	if out, err := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("the planted bug does not compile: %v\n%s", err, out)
	}
	return program
}
