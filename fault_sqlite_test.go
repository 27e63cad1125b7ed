package leadmill_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What happens to a SQLite file.

var liteFaults = []fault{
	{name: "SQLite with a full disk", sqlite: true, leads: 2000, pace: 30, disk: tinyDisk("24m"), hurt: fillDisk},
	{name: "SQLite locked by somebody else", sqlite: true, leads: 2000, pace: 30, hurt: lockFile},
}

// lockFile is a backup, or a person with a shell, who takes the file for longer than anybody waits.
func lockFile(s *scene) {
	s.acknowledged(0.3)
	c, err := s.db.Conn(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	defer c.Close()
	if _, err := c.ExecContext(s.Context(), "BEGIN IMMEDIATE"); err != nil {
		s.Fatal(err)
	}
	s.expectRefusal()
	<-time.After(5 * time.Second)
	if _, err := c.ExecContext(s.Context(), "ROLLBACK"); err != nil {
		s.Fatal(err)
	}
}

func TestACorruptFileIsSaidAndNotOverwritten(t *testing.T) {
	f := &fleet{tb: t, folder: t.TempDir(), address: freeAddress(t)}
	file := filepath.Join(f.folder, "leads.db")
	f.environ = append(os.Environ(), "PATH="+filepath.Dir(program(t))+":"+os.Getenv("PATH"), "DATABASE_URL=sqlite:///"+file, "ADDR="+f.address)
	f.run("leadmill source add form")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, broken := range map[string][]byte{
		"not a database": []byte(strings.Repeat("this was somebody's letter\n", 400)),
		"a torn header":  append(bytes.Repeat([]byte{0xFF}, 100), whole[100:]...),
		"a torn page":    append(append(bytes.Clone(whole[:4096]), bytes.Repeat([]byte{0xA5}, 8*4096)...), whole[9*4096:]...),
	} {
		for _, wal := range []string{"-wal", "-shm"} {
			_ = os.Remove(file + wal)
		}
		if err := os.WriteFile(file, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"leadmill web", "leadmill worker", "leadmill migrate up"} {
			c := f.command(line)
			var said bytes.Buffer
			c.Stderr = &said
			err := c.Run()
			if _, ended := err.(*exec.ExitError); !ended || !strings.Contains(said.String(), "restore") {
				t.Errorf("%s: %s = %v, and said %q; want it to end, and to say how to restore", name, line, err, said.String())
			}
			if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, broken) {
				t.Errorf("%s: %s has changed the file", name, line)
			}
		}
	}
}
