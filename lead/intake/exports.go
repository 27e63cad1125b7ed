package intake

import "slices"

// export is a file that a program writes, always with the same columns.
type export struct {
	system string
	marks  [][]string        // columns, folded: a header that has all of one list is of this program
	means  map[string]string // columns, folded, that mean something else than their name says
}

// exports are the programs we know. Mind the order: the first that fits is it.
var exports = []export{
	{system: "google", marks: [][]string{
		{"e mail 1 value", "given name", "family name"}, {"e mail 1 value", "e mail 1 label"}, {"phone 1 value", "phone 1 label"},
	}},
	{system: "outlook", marks: [][]string{
		{"business street", "home street", "other street"}, {"e mail address", "e mail 2 address", "business phone"},
	}, means: map[string]string{"title": Ignored, "account": Ignored}}, // Mr or Ms; a mailbox
	{system: "linkedin", marks: [][]string{
		{"connected on", "position", "url"},
	}, means: map[string]string{"url": Ignored}}, // of the person's page there
	{system: "meta", marks: [][]string{
		{"ad id", "form id", "is organic"}, {"ad id", "form id", "created time"},
	}},
	{system: "zoho", marks: [][]string{
		{"record id", "lead owner id"}, {"record id", "contact owner id"},
	}},
	{system: "hubspot", marks: [][]string{
		{"record id", "contact owner"}, {"record id", "lifecycle stage"}, {"record id contact"},
	}},
	{system: "salesforce", marks: [][]string{
		{"isdeleted", "masterrecordid", "lastname"}, {"lead owner", "company account"}, {"lead id", "company account"},
	}},
}

// exportOf recognises a header in any order of its columns; nil if it is of no program we know.
func exportOf(header []string) *export {
	folded := make([]string, len(header))
	for i, name := range header {
		folded[i] = fold(name)
	}
	has := func(name string) bool { return slices.Contains(folded, name) }
	for i, e := range exports {
		if slices.ContainsFunc(e.marks, func(all []string) bool {
			return !slices.ContainsFunc(all, func(name string) bool { return !has(name) })
		}) {
			return &exports[i]
		}
	}
	return nil
}
