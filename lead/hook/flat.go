package hook

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/intake"
)

// flat gathers what a payload nests into one object, which is then read as any other.
type flat struct {
	members []intake.Member
	taken   map[string]bool
	repeats map[string]int // of a name: to count them anew for each takes minutes if somebody repeats it ten thousand times
	mapping intake.Mapping
}

func newFlat() *flat {
	return &flat{taken: map[string]bool{}, repeats: map[string]int{}, mapping: intake.Mapping{}}
}

// answer adds what a person filled in: its name says what field it is. A name that is taken gets a number.
func (f *flat) answer(name string, value any) string {
	free := name
	for f.taken[free] {
		f.repeats[name]++
		free = fmt.Sprintf("%s %d", name, f.repeats[name]+1)
	}
	f.taken[free] = true
	f.members = append(f.members, intake.Member{Key: free, Value: value})
	return free
}

// detail adds what the platform says itself, which is no field of the person whatever it is called.
func (f *flat) detail(name string, value any) { f.mapping[f.answer(name, value)] = intake.Ignored }

// details adds those whose names are not taken.
func (f *flat) details(of map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(of)) {
		if !f.taken[name] {
			f.detail(name, of[name])
		}
	}
}

func (f *flat) read() (lead.Submission, []lead.Reason) {
	object := make(map[string]any, len(f.members))
	for _, m := range f.members {
		object[m.Key] = m.Value
	}
	payload, err := json.Marshal(object)
	if err != nil {
		payload = nil // what was decoded can be encoded; if not, it cannot be read
	}
	return intake.Parse(payload, f.mapping)
}
