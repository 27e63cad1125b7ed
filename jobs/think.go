package jobs

import "runtime"

// brisk is how many intakes are judged without asking for a place.
const brisk = 20

// thinkers are the places for those who judge a chunk, which takes a processor for tens of milliseconds. One is left free: while
// all are taken nobody looks whether an answer has come on the wire, and a lead from the web waits at each of its statements.
func thinkers() chan struct{} { return make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1)) }

// think waits for a place if there are many intakes to judge; call what it returns to give it back.
func (q *Queue) think(intakes int) (done func()) {
	if intakes <= brisk {
		return func() {}
	}
	q.thinking <- struct{}{}
	return func() { <-q.thinking }
}
