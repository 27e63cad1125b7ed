// Package score rates a lead by rules that add up: each part gives points up to
// its maximum, the maxima sum to 100, and the parts are the explanation.
//
// No part takes points away. So a field that was empty and is filled never
// lowers the score.
package score

import "github.com/leadmill/leadmill/lead"

// Part is one line of the explanation.
type Part struct {
	Name   string `json:"name"`
	Points int    `json:"points"` // 0 to Max
	Max    int    `json:"max"`
	Why    string `json:"why"` // a sentence for people; never holds a value of the lead
}

// Rating is a score with its parts, which sum to it.
type Rating struct {
	Score int // 0 (cold) to 100 (hot)
	Parts []Part
}

// rule gives the points of one part, at most max, and why.
type rule struct {
	name string
	max  int
	rate func(l lead.Lead) (points int, why string)
}

// rules in the order in which they are shown. The maxima sum to 100.
var rules = []rule{
	{"email_domain", 24, emailDomain},
	{"phone", 14, phone},
	{"message", 12, message},
	{"company", 10, company},
	{"title", 10, title},
	{"name", 8, name},
	{"repeat", 8, repeat},
	{"place", 6, place},
	{"website", 4, website},
	{"consent", 4, consent},
}

// Rate rates a lead.
func Rate(l lead.Lead) Rating {
	r := Rating{Parts: make([]Part, len(rules))}
	for i, rule := range rules {
		points, why := rule.rate(l)
		r.Parts[i] = Part{Name: rule.name, Points: points, Max: rule.max, Why: why}
		r.Score += points
	}
	return r
}
