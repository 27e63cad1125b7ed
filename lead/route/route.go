// Package route decides who owns a new lead: smooth weighted round robin, the
// algorithm of nginx's upstream balancer (ngx_http_upstream_round_robin.c,
// since nginx 1.3.1).
//
// Before each pick every member's credit grows by its weight; the highest
// credit wins and pays the sum of all weights. Weights 5, 1, 1 give
// a a b a c a a, not five leads in a row for a.
package route

import "fmt"

// Member is a user who takes leads.
type Member struct {
	UserID int64
	Weight int // share of the leads; 0 or less takes none
	Credit int // state, to be stored and handed in again; 0 at the start
}

// Pick is the owner of one lead, and why.
type Pick struct {
	UserID int64
	Weight int
	Credit int    // the credit that won, before it paid
	Total  int    // sum of the weights
	Among  int    // members with a weight
	Reason string // a sentence for people
}

// Assign picks the owners of n leads, and returns the members with their new
// credits in the order given. Without a member of positive weight the picks are nil.
//
// Equal credits go to the lowest user id. Members may come, go and change
// their weights between calls; see restart.
func Assign(ms []Member, n int) ([]Pick, []Member) {
	ms = append([]Member(nil), ms...)
	total, among := weights(ms)
	if among == 0 {
		return nil, ms
	}
	picks := make([]Pick, max(n, 0))
	for i := range picks {
		picks[i] = next(ms, total, among)
	}
	return picks, ms
}

func weights(ms []Member) (total, among int) {
	for _, m := range ms {
		if m.Weight > 0 {
			total += m.Weight
			among++
		}
	}
	return total, among
}

// next picks one owner and changes the credits.
func next(ms []Member, total, among int) Pick {
	restart(ms, total)
	best, equals := -1, 0
	for i := range ms {
		if ms[i].Weight <= 0 {
			continue
		}
		ms[i].Credit += ms[i].Weight
		switch {
		case best < 0 || ms[i].Credit > ms[best].Credit:
			best, equals = i, 1
		case ms[i].Credit == ms[best].Credit:
			equals++
			if ms[i].UserID < ms[best].UserID {
				best = i
			}
		}
	}
	m := &ms[best]
	p := Pick{UserID: m.UserID, Weight: m.Weight, Credit: m.Credit, Total: total, Among: among}
	p.Reason = reason(p, equals)
	m.Credit -= total
	return p
}

// restart clears the credits if they are not those of a round among these
// members. A round adds and takes the same, so the credits sum to 0; they do
// not after somebody left or came back. And none goes far beyond the sum of the
// weights; one does after weights were cut, and would win or lose many leads in a row.
func restart(ms []Member, total int) {
	sum, far := 0, false
	for _, m := range ms {
		if m.Weight > 0 {
			sum += m.Credit
			far = far || m.Credit > 2*total || m.Credit < -2*total
		}
	}
	for i := range ms {
		if sum != 0 || far || ms[i].Weight <= 0 {
			ms[i].Credit = 0
		}
	}
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
