package web

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/schema"
)

// told is an event as a sentence.
type told struct {
	schema.Event
	Text string
	Link string // where to read more; "" nowhere
	Job  int64  // that did it; 0 if it was no job
	By   string // who did it otherwise
}

// facts are the data of every kind of event; each kind has some.
type facts struct {
	Source      string                `json:"source"`
	Intake      int64                 `json:"intake"`
	By          string                `json:"by"`
	Filled      map[string]lead.Field `json:"filled"`
	Kept        map[string]lead.Field `json:"kept"`
	Extra       map[string]any        `json:"extra"`
	Score       int                   `json:"score"`
	UserID      int64                 `json:"user_id"`
	Reason      string                `json:"reason"`
	Delivery    int64                 `json:"delivery"`
	Destination string                `json:"destination"`
	Status      int                   `json:"status"`
	Try         int                   `json:"try"`
	NextAt      *time.Time            `json:"next_at"`
	Lead        int64                 `json:"lead"`
}

// story tells the events of a lead, oldest first.
func story(events []schema.Event, users []schema.User, deliveries []schema.Delivery) []told {
	names := map[int64]string{}
	for _, u := range users {
		names[u.ID] = u.Email
	}
	to := map[int64]string{}
	for _, d := range deliveries {
		to[d.ID] = d.Destination
	}
	all := make([]told, len(events))
	for i, e := range events {
		all[i] = tell(e, names, to)
	}
	return all
}

func tell(e schema.Event, users, destinations map[int64]string) told {
	t := told{Event: e, Job: actorID(e.Actor, "job")}
	if t.Job == 0 {
		t.By = e.Actor
		if name := users[actorID(e.Actor, "user")]; name != "" {
			t.By = name
		}
	}
	var f facts
	if json.Unmarshal(e.Data, &f) != nil {
		f = facts{}
	}
	if f.Destination == "" {
		f.Destination = destinations[f.Delivery]
	}
	t.Text = f.sentence(e.Kind, users)
	t.Link = f.link(e.Kind)
	return t
}

func (f facts) sentence(kind string, users map[int64]string) string {
	switch kind {
	case schema.Received:
		return fmt.Sprintf("First heard of through %s, with %s.", f.Source, f.learned())
	case schema.Absorbed:
		return f.absorbed()
	case schema.PhoneShared:
		return fmt.Sprintf("Has the telephone number of lead %d, who is somebody else.", f.Lead)
	case schema.Scored:
		return fmt.Sprintf("Scored %d of 100.", f.Score)
	case schema.Assigned:
		return fmt.Sprintf("Given to %s: %s.", named(users[f.UserID], "user", f.UserID), f.because())
	case schema.Unassigned:
		return fmt.Sprintf("Given to nobody: %s.", f.because())
	default:
		return f.delivery(kind)
	}
}

func (f facts) delivery(kind string) string {
	to := named(f.Destination, "delivery", f.Delivery)
	switch kind {
	case schema.DeliveryPlanned:
		return fmt.Sprintf("To be delivered to %s.", to)
	case schema.Delivered:
		return fmt.Sprintf("Delivered to %s at try %d; it answered %d.", to, f.Try, f.Status)
	case schema.DeliveryRetry:
		again := "later"
		if f.NextAt != nil {
			again = "at " + f.NextAt.UTC().Format("2006-01-02 15:04:05")
		}
		return fmt.Sprintf("Try %d to deliver to %s was not taken: %s. It is called again %s.", f.Try, to, f.answer(), again)
	case schema.DeliveryParked:
		return fmt.Sprintf("Delivery to %s given up: %s.", to, f.because())
	case schema.DeliveryDoubted:
		return fmt.Sprintf("Delivery to %s is uncertain: %s. A person finds out.", to, f.because())
	case schema.DeliveryConfirmed:
		return fmt.Sprintf("Delivery to %s marked as delivered.", to)
	}
	text := words(kind)
	return strings.ToUpper(text[:min(1, len(text))]) + text[min(1, len(text)):] + "."
}

func (f facts) absorbed() string {
	by := ""
	if f.By != "" {
		by = ", known by the same " + strings.ToLower(label(f.By))
	}
	text := fmt.Sprintf("Heard of again through %s%s, with %s.", f.Source, by, f.learned())
	if len(f.Kept) > 0 {
		text += fmt.Sprintf(" What we had stands for %s.", fieldList(f.Kept))
	}
	return text
}

func (f facts) learned() string {
	switch {
	case len(f.Filled) > 0:
		return fieldList(f.Filled)
	case len(f.Extra) > 0:
		return "more details"
	default:
		return "nothing new"
	}
}

func (f facts) answer() string {
	if f.Status == 0 {
		return "no answer"
	}
	return fmt.Sprintf("it answered %d", f.Status)
}

func (f facts) because() string {
	if f.Reason == "" {
		return "no reason given"
	}
	return strings.TrimSuffix(f.Reason, ".")
}

func (f facts) link(kind string) string {
	switch {
	case kind == schema.PhoneShared && f.Lead != 0:
		return fmt.Sprintf("/leads/%d", f.Lead)
	case f.Intake != 0:
		return fmt.Sprintf("/intakes/%d", f.Intake)
	}
	return ""
}

func named(name, kind string, id int64) string {
	if name != "" {
		return name
	}
	return fmt.Sprintf("%s %d", kind, id)
}

// fieldList names fields in their order: "e-mail, phone and name".
func fieldList(fields map[string]lead.Field) string {
	var names []string
	for _, name := range lead.FieldNames {
		if _, ok := fields[name]; ok {
			names = append(names, strings.ToLower(label(name)))
		}
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
