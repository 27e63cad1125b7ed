package route

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func owners(picks []Pick) []int64 {
	ids := make([]int64, len(picks))
	for i, p := range picks {
		ids[i] = p.UserID
	}
	return ids
}

// turns are n consecutive ones.
func turns(first int64, n int) []int64 {
	all := make([]int64, n)
	for i := range all {
		all[i] = first + int64(i)
	}
	return all
}

func TestSequences(t *testing.T) {
	tests := []struct {
		promise string
		ms      []Member
		first   int64
		want    []int64
	}{
		{"the sequence of nginx", []Member{{1, 5}, {2, 1}, {3, 1}}, 0, []int64{1, 1, 2, 1, 3, 1, 1}},
		{"equal credits go to the lowest id", []Member{{9, 1}, {4, 1}, {6, 1}}, 0, []int64{4, 6, 9, 4, 6, 9}},
		{"who has no weight gets none", []Member{{1, 0}, {2, 1}, {3, -4}}, 0, []int64{2, 2, 2}},
		{"one member gets all", []Member{{1, 3}}, 0, []int64{1, 1}},
		{"a running round goes on", []Member{{1, 5}, {2, 1}, {3, 1}}, 7*1000 + 2, []int64{2, 1, 3, 1, 1, 1, 1, 2}},
		{"weights with a common divisor alternate as their ratio does", []Member{{1, 20}, {2, 10}}, 0, []int64{1, 2, 1, 1, 2, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.promise, func(t *testing.T) {
			if d := cmp.Diff(tt.want, owners(Assign(tt.ms, turns(tt.first, len(tt.want))))); d != "" {
				t.Errorf("Assign(%v) (-want +got):\n%s", tt.ms, d)
			}
		})
	}
}

func TestNobody(t *testing.T) {
	for _, ms := range [][]Member{nil, {{1, 0}}} {
		if picks := Assign(ms, turns(0, 3)); picks != nil {
			t.Errorf("Assign(%v) = %v, want nil", ms, picks)
		}
	}
}

func TestReasons(t *testing.T) {
	picks := Assign([]Member{{1, 5}, {2, 1}, {3, 1}}, turns(0, 3))
	want := []string{
		"credit 5 of 7 was the highest among 3",
		"credit 3 of 7 was the highest among 3",
		"credit 3 of 7 was the highest among 3, shared by 2; the lowest id won",
	}
	for i, p := range picks {
		if p.Reason != want[i] || p.Turn != int64(i) {
			t.Errorf("turn %d: reason %q, want that of turn %d: %q", p.Turn, p.Reason, i, want[i])
		}
	}
	if got := Assign([]Member{{1, 1}, {2, 0}}, turns(0, 1))[0].Reason; got != "the only one who takes leads" {
		t.Errorf("reason of a single member = %q", got)
	}
}

// FuzzAssign: as many consecutive turns as the weights add up to give each
// member exactly its weight, wherever they begin; and a turn has the same owner
// alone as among others, in whatever order.
func FuzzAssign(f *testing.F) {
	f.Add(uint64(1), uint8(3), uint8(7))
	f.Add(uint64(2), uint8(20), uint8(1))
	f.Add(uint64(3), uint8(1), uint8(255))
	f.Fuzz(func(t *testing.T, seed uint64, n, heaviest uint8) {
		r := rand.New(rand.NewPCG(seed, 0))
		ms, total := make([]Member, int(n)%24+1), 0
		for i := range ms {
			ms[i] = Member{UserID: int64(i + 1), Weight: r.IntN(int(heaviest) + 1)}
			total += ms[i].Weight
		}
		r.Shuffle(len(ms), func(i, j int) { ms[i], ms[j] = ms[j], ms[i] })
		all := turns(r.Int64N(1<<40), 3*total)
		picks := Assign(ms, all)
		checkWindows(t, ms, owners(picks), total)
		for _, i := range r.Perm(len(all))[:min(len(all), 20)] {
			if alone := Assign(ms, all[i:i+1]); alone[0] != picks[i] {
				t.Fatalf("%v: turn %d alone = %+v, among others %+v", ms, all[i], alone[0], picks[i])
			}
		}
	})
}

func checkWindows(t *testing.T, ms []Member, ids []int64, total int) {
	t.Helper()
	for start := 0; start+total <= len(ids); start++ {
		got := map[int64]int{}
		for _, id := range ids[start : start+total] {
			got[id]++
		}
		for _, m := range ms {
			if got[m.UserID] != m.Weight {
				t.Fatalf("%v: window at %d gives %d to user %d, want %d", ms, start, got[m.UserID], m.UserID, m.Weight)
			}
		}
	}
}

func ExampleAssign() {
	members := []Member{{UserID: 1, Weight: 5}, {UserID: 2, Weight: 1}, {UserID: 3, Weight: 1}}
	picks := Assign(members, []int64{0, 1, 2, 3, 4, 5, 6})
	fmt.Println(owners(picks))
	fmt.Println(picks[0].Reason)
	// Output:
	// [1 1 2 1 3 1 1]
	// credit 5 of 7 was the highest among 3
}
