// Package hook reads what ad platforms and other programs post, each in the form that it documents, and checks that it
// was they who sent it.
//
// What is stored of a request is what came, so a payload is read anew whenever it is worked: by [Read], which picks the
// reader by the format that is kept beside it.
package hook

import (
	"slices"

	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/intake"
)

// Kinds of hooks, and the formats of what comes through them.
const (
	Google   = "google"   // a lead form of Google Ads
	Meta     = "meta"     // a lead ad of Meta: its notification and what was fetched for it
	Standard = "standard" // Standard Webhooks
)

// Kinds are all there are.
var Kinds = []string{Google, Meta, Standard}

// TestLead is the code of a payload that its sender marks as a test.
const TestLead = "test_lead"

var testLead = lead.Reason{Code: TestLead, Message: "This is a test of the form and not a person: it goes no further."}

// IsTest says that reasons of Read mark a test.
func IsTest(reasons []lead.Reason) bool {
	return slices.ContainsFunc(reasons, func(r lead.Reason) bool { return r.Code == TestLead })
}

// Read reads a payload of one of the Kinds into the fields of a lead, as intake.Parse does plain objects: reasons and
// what they mean are the same, and TestLead besides. Any other format is a plain object.
func Read(format string, payload []byte) (lead.Submission, []lead.Reason) {
	members, err := intake.Decode(payload)
	if err != nil {
		return intake.Parse(payload, nil)
	}
	switch format {
	case Google:
		return readGoogle(members)
	case Meta:
		return readMeta(members)
	case Standard:
		return readStandard(payload, members)
	}
	return intake.Parse(payload, nil)
}

// longestID is the most characters of an id by which a sender tells its messages apart.
const longestID = 200

// isID takes what can be a key: printable and without blanks.
func isID(s string) bool {
	return s != "" && len(s) <= longestID && !slices.ContainsFunc([]byte(s), func(c byte) bool { return c <= ' ' || c > '~' })
}
