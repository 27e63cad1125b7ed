// Package route decides who owns a new lead: smooth weighted round robin, the
// algorithm of nginx's upstream balancer (ngx_http_upstream_round_robin.c,
// since nginx 1.3.1).
//
// Before each pick every member's credit grows by its weight; the highest
// credit wins and pays the sum of all weights. Weights 5, 1, 1 give
// a a b a c a a, not five leads in a row for a.
//
// The credits are not kept. After a round they are all 0 again, so where in a
// round a pick falls says everything, and that is the number of its turn. Turns
// are drawn from a counter for which nobody waits: workers that kept the credits
// would have to lead each other through one row, a commit at a time.
package route

import (
	"fmt"
	"slices"
)

// Member is a user who takes leads.
type Member struct {
	UserID int64
	Weight int // share of the leads; 0 or less takes none
}

// Pick is the owner of one lead, and why.
type Pick struct {
	UserID int64
	Turn   int64 // as drawn
	Weight int
	Credit int    // the credit that won, before it paid
	Total  int    // sum of the weights
	Among  int    // members with a weight
	Reason string // a sentence for people
}

// Assign picks the owner for each turn. Turns are 0 or more; any as many
// consecutive ones as the weights add up to give each member exactly its weight.
// Without a member of positive weight the picks are nil.
//
// Equal credits go to the lowest user id. Members may come, go and change their
// weights between calls: a new round holds from the next turn on.
func Assign(ms []Member, turns []int64) []Pick {
	r := newRound(ms)
	if r.length == 0 {
		return nil
	}
	for _, turn := range turns {
		r.playTo(int(turn % int64(r.length)))
	}
	picks := make([]Pick, len(turns))
	for i, turn := range turns {
		picks[i] = r.picks[turn%int64(r.length)]
		picks[i].Turn = turn
	}
	return picks
}

// round is the picks from credits of 0 to credits of 0.
type round struct {
	members []Member // with a weight, by user id
	credits []int
	total   int
	length  int // picks of the whole round; 0 without members
	picks   []Pick
}

func newRound(ms []Member) *round {
	r := &round{}
	divisor := 0
	for _, m := range ms {
		if m.Weight > 0 {
			r.members = append(r.members, m)
			r.total += m.Weight
			divisor = gcd(m.Weight, divisor)
		}
	}
	slices.SortFunc(r.members, func(a, b Member) int { return int(a.UserID - b.UserID) })
	r.credits = make([]int, len(r.members))
	if divisor > 0 {
		r.length = r.total / divisor
	}
	return r
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// playTo adds picks up to that place in the round.
func (r *round) playTo(place int) {
	for len(r.picks) <= place {
		r.picks = append(r.picks, r.next())
	}
}

// next picks one owner and changes the credits.
func (r *round) next() Pick {
	best, equals := 0, 0
	for i, m := range r.members {
		r.credits[i] += m.Weight
		switch {
		case equals == 0 || r.credits[i] > r.credits[best]:
			best, equals = i, 1
		case r.credits[i] == r.credits[best]:
			equals++
		}
	}
	m := r.members[best]
	p := Pick{UserID: m.UserID, Weight: m.Weight, Credit: r.credits[best], Total: r.total, Among: len(r.members)}
	p.Reason = reason(p, equals)
	r.credits[best] -= r.total
	return p
}

func reason(p Pick, equals int) string {
	switch {
	case p.Among == 1:
		return "the only one who takes leads"
	case equals > 1:
		return fmt.Sprintf("credit %d of %d was the highest among %d, shared by %d; the lowest id won", p.Credit, p.Total, p.Among, equals)
	}
	return fmt.Sprintf("credit %d of %d was the highest among %d", p.Credit, p.Total, p.Among)
}
