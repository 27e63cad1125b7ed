package leadmill_test

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// How much memory a big file takes, in each of the processes that it goes through.

var bigFile = flag.String("bigfile", "", "rows of files to be imported, as 200000,1000000")

// memoryLimit is what a process may take for a file of any size.
const memoryLimit = 256 << 20

func TestABigFileFitsIntoTheMemory(t *testing.T) {
	if *bigFile == "" {
		t.Skip("make bigfile imports files of 200,000 and 1,000,000 rows; it takes minutes")
	}
	if runtime.GOOS != "linux" {
		t.Skip("what a process has taken at most is read from /proc, which is not here")
	}
	for text := range strings.SplitSeq(*bigFile, ",") {
		t.Run(text, func(t *testing.T) {
			rows, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			importBig(t, rows)
		})
	}
}

func importBig(t *testing.T, rows int) {
	f := &fleet{tb: t, folder: t.TempDir()}
	f.build()
	f.environ = append(os.Environ(), "PATH="+f.folder+":"+os.Getenv("PATH"), "DATABASE_URL="+unmigrated.URL(t, dbctx.Postgres), "LOG_LEVEL=warn")
	f.run("leadmill migrate up")
	f.run("leadmill user add ada@example.com --role admin --password-stdin", "correct horse battery\n")
	path := filepath.Join(f.folder, "big.csv")
	writeBig(t, path, rows)
	worker := f.start("leadmill worker")
	begun := time.Now()
	importing := f.start("leadmill import " + path + " --wait")
	peak := peaks(t, worker, importing)
	took := time.Since(begun)
	fmt.Printf("bigfile rows=%d seconds=%.1f rows_per_s=%.0f worker_peak_mib=%d import_peak_mib=%d\n",
		rows, took.Seconds(), float64(rows)/took.Seconds(), peak[0]>>20, peak[1]>>20)
	for i, name := range []string{"worker", "import"} {
		if peak[i] > memoryLimit {
			t.Errorf("%s took %d MiB for %d rows, want at most %d", name, peak[i]>>20, rows, memoryLimit>>20)
		}
	}
}

// writeBig writes a file of people, all different, with what such files have.
func writeBig(t *testing.T, path string, rows int) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(file)
	fmt.Fprintln(w, "First Name,Last Name,Email,Phone,Company,Job Title,Country,Notes")
	for i := range rows {
		fmt.Fprintf(w, "Ada,Lovelace %[1]d,ada%[1]d@company%[2]d.example.com,+44 20 %08[1]d,Company %[2]d Ltd,Buyer,United Kingdom,\"Saw us at the fair, wants a call\"\n",
			i, i/7)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// peaks follows processes until the last of them ends, and returns what each has taken at most.
func peaks(t *testing.T, processes ...*exec.Cmd) []int64 {
	t.Helper()
	most := make([]int64, len(processes))
	ended := make(chan error, 1)
	go func() { ended <- processes[len(processes)-1].Wait() }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		for i, p := range processes {
			most[i] = max(most[i], residentMost(p.Process.Pid))
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the import ended with %v", err)
			}
			return most
		case <-tick.C:
		}
	}
}

// residentMost is the most memory that a process has had, in bytes; 0 if it is gone.
func residentMost(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}
