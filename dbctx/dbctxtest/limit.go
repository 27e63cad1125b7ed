package dbctxtest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// Limit is what PostgreSQL itself allows, as pgbench measured it.
type Limit struct {
	Name      string   `json:"name"`
	TPS       float64  `json:"tps"`
	PgCPU     *float64 `json:"pg_cpu_us_per_tx"`
	ClientCPU float64  `json:"client_cpu_us_per_tx"`
}

// MeasureLimit runs a script of the reference in folder on an empty database and prints its line. The benchmark is skipped
// where there is no such folder.
func MeasureLimit(tb testing.TB, folder, url, script string, seconds int) (l Limit) {
	tb.Helper()
	program, err := filepath.Abs(filepath.Join(folder, "limit.sh"))
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		tb.Skip("the reference to compare with is not here: ", folder)
	}
	c := exec.Command(program, strconv.Itoa(seconds), script)
	c.Env = append(os.Environ(), "DATABASE_URL="+url)
	c.Stderr = os.Stderr
	line, err := c.Output()
	if err != nil {
		tb.Fatalf("%s: %v", script, err)
	}
	fmt.Printf("%s", line)
	if err := json.Unmarshal(line, &l); err != nil {
		tb.Fatal(err)
	}
	return l
}
