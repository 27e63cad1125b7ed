package faulttest

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// event is a row of events.
type event struct {
	id, lead int64
	kind     string
	data     json.RawMessage
}

// row is what the story of a lead must add up to: the columns of leads that are not derived from the others.
type row struct {
	State       string
	Fields      map[string]any
	Extra       map[string]any
	Submissions int
	Score       int
	Parts       any
	OwnerID     int64
	OwnerReason string
}

// story is a lead told from its events alone.
type story struct {
	lead    int64
	row     row
	intakes map[int64]int // told how often
	planned map[int64]int // deliveries
	done    map[int64]int
	over    bool // the lead was removed with its import
	wrong   []string
}

func (s *story) problem(format string, args ...any) {
	s.wrong = append(s.wrong, fmt.Sprintf("lead %d: ", s.lead)+fmt.Sprintf(format, args...))
}

// tell replays the events of one lead, oldest first.
func tell(lead int64, events []event) *story {
	s := &story{lead: lead, intakes: map[int64]int{}, planned: map[int64]int{}, done: map[int64]int{}}
	s.row.Fields, s.row.Extra, s.row.State = map[string]any{}, map[string]any{}, "new"
	for n, e := range events {
		if (n == 0) != (e.kind == "received") {
			s.problem("event %d is %s: a story has one beginning, at its beginning", n, e.kind)
		}
		s.replay(e)
	}
	if s.row.State == "new" {
		s.problem("nobody was asked to own it")
	}
	return s
}

func (s *story) replay(e event) {
	var d struct {
		Intake   int64
		Filled   map[string]any
		Extra    map[string]any
		Score    int
		Parts    any
		UserID   int64 `json:"user_id"`
		Reason   string
		Delivery int64
	}
	if err := json.Unmarshal(e.data, &d); err != nil {
		s.problem("the data of event %d cannot be read", e.id)
	}
	if s.over {
		s.problem("event %d is %s, behind the end of the story", e.id, e.kind)
	}
	switch e.kind {
	case "reverted":
		s.over = true
	case "received", "absorbed":
		s.intakes[d.Intake]++
		s.row.Submissions++
		fill(s.row.Fields, d.Filled)
		fill(s.row.Extra, d.Extra)
	case "scored":
		s.row.Score, s.row.Parts = d.Score, d.Parts
	case "assigned":
		if s.row.OwnerID != 0 {
			s.problem("it is assigned twice")
		}
		s.row.State, s.row.OwnerID, s.row.OwnerReason = "owned", d.UserID, d.Reason
	case "unassigned":
		s.row.State, s.row.OwnerReason = "unowned", d.Reason
	case "delivery_planned":
		s.planned[d.Delivery]++
	case "delivered":
		if s.done[d.Delivery]++; s.planned[d.Delivery] == 0 {
			s.problem("delivery %d is made before it is planned", d.Delivery)
		}
	}
}

func fill(into, from map[string]any) {
	for name, value := range from {
		into[name] = value
	}
}

// compare says where the row and the story differ.
func (s *story) compare(r row) {
	told, has := reflect.ValueOf(s.row), reflect.ValueOf(r)
	for i := range told.NumField() {
		if !reflect.DeepEqual(told.Field(i).Interface(), has.Field(i).Interface()) {
			s.problem("its events do not rebuild its %s", told.Type().Field(i).Name)
		}
	}
}
