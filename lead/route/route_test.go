package route

import (
	"fmt"
	"math/rand/v2"
	"slices"
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

func TestSequences(t *testing.T) {
	tests := []struct {
		promise string
		ms      []Member
		want    []int64
	}{
		{"the sequence of nginx", []Member{{1, 5, 0}, {2, 1, 0}, {3, 1, 0}}, []int64{1, 1, 2, 1, 3, 1, 1}},
		{"equal credits go to the lowest id", []Member{{9, 1, 0}, {4, 1, 0}, {6, 1, 0}}, []int64{4, 6, 9, 4, 6, 9}},
		{"who has no weight gets none", []Member{{1, 0, 0}, {2, 1, 0}, {3, -4, 0}}, []int64{2, 2, 2}},
		{"one member gets all", []Member{{1, 3, 0}}, []int64{1, 1}},
		{"a running round goes on", []Member{{1, 5, -4}, {2, 1, 2}, {3, 1, 2}}, []int64{2, 1, 3, 1, 1}},
		{"somebody left: a new round", []Member{{1, 5, -4}, {2, 1, 2}}, []int64{1, 1, 1, 2, 1, 1}},
		{"weights were cut: a new round", []Member{{1, 1, -500}, {2, 1, 500}}, []int64{1, 2, 1, 2}},
		{"a newcomer takes part at once", []Member{{1, 1, -1}, {2, 1, 1}, {3, 1, 0}}, []int64{2, 3, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.promise, func(t *testing.T) {
			picks, _ := Assign(tt.ms, len(tt.want))
			if d := cmp.Diff(tt.want, owners(picks)); d != "" {
				t.Errorf("Assign(%v) (-want +got):\n%s", tt.ms, d)
			}
		})
	}
}

func TestNobody(t *testing.T) {
	for _, ms := range [][]Member{nil, {{1, 0, 3}}} {
		if picks, _ := Assign(ms, 3); picks != nil {
			t.Errorf("Assign(%v) = %v, want nil", ms, picks)
		}
	}
}

func TestReasons(t *testing.T) {
	picks, _ := Assign([]Member{{1, 5, 0}, {2, 1, 0}, {3, 1, 0}}, 3)
	want := []string{
		"credit 5 of 7 was the highest among 3",
		"credit 3 of 7 was the highest among 3",
		"credit 3 of 7 was the highest among 3, shared by 2; the lowest id won",
	}
	for i, p := range picks {
		if p.Reason != want[i] {
			t.Errorf("reason %d = %q, want %q", i, p.Reason, want[i])
		}
	}
	picks, _ = Assign([]Member{{1, 1, 0}, {2, 1, 0}}, 1)
	if got := picks[0].Reason; got != "credit 1 of 2 was the highest among 2, shared by 2; the lowest id won" {
		t.Errorf("reason of a tie = %q", got)
	}
	picks, _ = Assign([]Member{{1, 1, 0}, {2, 0, 0}}, 1)
	if got := picks[0].Reason; got != "the only one who takes leads" {
		t.Errorf("reason of a single member = %q", got)
	}
}

func TestArgumentIsNotChanged(t *testing.T) {
	ms := []Member{{1, 2, 0}, {2, 1, 0}}
	_, after := Assign(ms, 2)
	if d := cmp.Diff([]Member{{1, 2, 0}, {2, 1, 0}}, ms); d != "" {
		t.Errorf("argument (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]Member{{1, 2, 1}, {2, 1, -1}}, after); d != "" {
		t.Errorf("members (-want +got):\n%s", d)
	}
}

// FuzzAssign: from a clean start, every window as long as the sum of the
// weights gives each member exactly its weight; a batch is the same as single
// picks; credits sum to 0. From any start, a batch is the same as single picks.
func FuzzAssign(f *testing.F) {
	f.Add(uint64(1), uint8(3), uint8(7))
	f.Add(uint64(2), uint8(20), uint8(1))
	f.Add(uint64(3), uint8(1), uint8(255))
	f.Fuzz(func(t *testing.T, seed uint64, n, heaviest uint8) {
		r := rand.New(rand.NewPCG(seed, 0))
		ms := make([]Member, int(n)%24+1)
		for i := range ms {
			ms[i] = Member{UserID: int64(i + 1), Weight: r.IntN(int(heaviest) + 1)}
		}
		r.Shuffle(len(ms), func(i, j int) { ms[i], ms[j] = ms[j], ms[i] })
		total, _ := weights(ms)
		picks, after := Assign(ms, 3*total)
		checkWindows(t, ms, owners(picks), total)
		checkSingles(t, ms, picks, after)
		if d := cmp.Diff(ms, after); d != "" {
			t.Errorf("after whole rounds the credits are not 0 (-want +got):\n%s", d)
		}
		for i := range ms {
			ms[i].Credit = r.IntN(2*total+1) - total
		}
		picks, after = Assign(ms, total+3)
		checkSingles(t, ms, picks, after)
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

func checkSingles(t *testing.T, ms []Member, picks []Pick, after []Member) {
	t.Helper()
	single := slices.Clone(ms)
	for i, want := range picks {
		var got []Pick
		got, single = Assign(single, 1)
		if got[0] != want {
			t.Fatalf("%v: pick %d alone = %+v, in the batch %+v", ms, i, got[0], want)
		}
	}
	if len(picks) > 0 && !slices.Equal(single, after) {
		t.Errorf("%v: credits after single picks %v, after the batch %v", ms, single, after)
	}
}

func ExampleAssign() {
	members := []Member{{UserID: 1, Weight: 5}, {UserID: 2, Weight: 1}, {UserID: 3, Weight: 1}}
	picks, _ := Assign(members, 7)
	fmt.Println(owners(picks))
	fmt.Println(picks[0].Reason)
	// Output:
	// [1 1 2 1 3 1 1]
	// credit 5 of 7 was the highest among 3
}
