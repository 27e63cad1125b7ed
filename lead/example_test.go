package lead_test

import (
	"fmt"

	"github.com/leadmill/leadmill/lead"
)

func ExampleAbsorb() {
	known := lead.Lead{ID: 1, Submissions: 1, Fields: map[string]lead.Field{
		"email":   {Value: "anna@example.com", Source: "web", Intake: 1},
		"company": {Value: "Example Widgets Ltd", Source: "web", Intake: 1},
	}}
	sent := lead.Clean{Verdict: lead.Accepted, Fields: map[string]lead.Field{
		"email":   {Value: "anna@example.com"},
		"company": {Value: "Muster GmbH"},
		"city":    {Value: "Leeds"},
	}}

	l, took := lead.Absorb(known, sent, lead.Origin{Source: "trade fair", Intake: 2})

	fmt.Println(l.Value("company"), "and not", took.Kept["company"].Value)
	fmt.Println(l.Value("city"), "from", l.Fields["city"].Source)
	fmt.Println(l.Submissions, "submissions")
	// Output:
	// Example Widgets Ltd and not Muster GmbH
	// Leeds from trade fair
	// 2 submissions
}
