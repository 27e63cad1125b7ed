package faulttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Load posts submissions of made-up people until each is acknowledged.
type Load struct {
	URL     string   // of web, without a path
	Keys    []string // of the sources it sends through
	Total   int      // submissions
	People  int      // who they are of
	Clients int      // at once
	Pace    int      // submissions in a second at most; 0 as many as go
	Seed    uint64   // the same seed sends the same
	Cuts    bool     // a connection may break while it is waited for an answer: processes are killed

	next atomic.Int64
	acks acks
}

// Ack is a submission that was acknowledged.
type Ack struct {
	Submission
	Intake string // the id in the answer
}

// Submission is what a client sends.
type Submission struct {
	Key    string // Idempotency-Key
	Body   string
	Person int  // who it is of
	Bad    bool // it can only be rejected
}

// acks are shared by the clients.
type acks struct {
	mu       sync.Mutex
	all      []Ack
	problems []string
	refused  int // answers of 503 and refused connections
	cut      int // connections that broke while an answer was waited for
}

// submission returns the nth. A person comes up to several times, in several spellings; one of thirty has nothing to
// reach it by.
func (l *Load) submission(n int) Submission {
	random := rand.New(rand.NewPCG(l.Seed, uint64(n)))
	p := random.IntN(l.People)
	s := Submission{Key: fmt.Sprintf("load-%d-%d", l.Seed, n), Person: p}
	switch form := random.IntN(30); {
	case form == 0:
		s.Bad, s.Body = true, fmt.Sprintf(`{"name":"Nobody %d"}`, p)
	case form < 10:
		s.Body = fmt.Sprintf(`{"email":"person%d@example.com","name":"Person %d","campaign":"c%d"}`, p, p, n)
	case form < 20:
		s.Body = fmt.Sprintf(`{"email":"PERSON%d+tag@Example.com","company":"Company %d"}`, p, n)
	default:
		s.Body = fmt.Sprintf(`{"phone":"+1 212 %03d %04d","email":"person%d@example.com","name":"person %d"}`, 200+p/10000, p%10000, p, p)
	}
	return s
}

// Run posts everything; it returns when all is acknowledged or ctx ends.
func (l *Load) Run(ctx context.Context) {
	transport := &http.Transport{MaxIdleConnsPerHost: l.Clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	begun := time.Now()
	var wg sync.WaitGroup
	for range l.Clients {
		wg.Go(func() {
			for n := int(l.next.Add(1)); n <= l.Total && l.wait(ctx, begun, n); n = int(l.next.Add(1)) {
				l.insist(ctx, client, n)
			}
		})
	}
	wg.Wait()
}

// wait waits for the turn of the nth submission, and says whether it still comes.
func (l *Load) wait(ctx context.Context, begun time.Time, n int) bool {
	if l.Pace == 0 {
		return ctx.Err() == nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Until(begun.Add(time.Duration(n) * time.Second / time.Duration(l.Pace)))):
		return true
	}
}

// insist posts one submission until it is acknowledged.
func (l *Load) insist(ctx context.Context, client *http.Client, n int) {
	s := l.submission(n)
	for ctx.Err() == nil {
		intake, err := l.post(ctx, client, s, l.Keys[n%len(l.Keys)])
		if err == nil {
			l.acks.add(Ack{s, intake})
			return
		}
		l.note(ctx, err)
		select {
		case <-ctx.Done():
		case <-time.After(50*time.Millisecond + rand.N(200*time.Millisecond)):
		}
	}
}

var (
	errLater = errors.New("503")
	errWrong = errors.New("wrong answer")
)

func (l *Load) post(ctx context.Context, client *http.Client, s Submission, key string) (intake string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.URL+"/api/v1/leads", bytes.NewReader([]byte(s.Body)))
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", s.Key)
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	var accepted struct{ ID string }
	switch {
	case err != nil:
		return "", err
	case response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") != "":
		return "", errLater
	case response.StatusCode == http.StatusConflict:
		return "", errLater
	case response.StatusCode != http.StatusAccepted:
		return "", fmt.Errorf("%w: %d %s", errWrong, response.StatusCode, text)
	}
	if err := json.Unmarshal(text, &accepted); err != nil || accepted.ID == "" {
		return "", fmt.Errorf("%w: 202 without an id", errWrong)
	}
	return accepted.ID, nil
}

// note sorts what went wrong: a client may be sent away and may find nobody at home; nothing else may happen to it.
func (l *Load) note(ctx context.Context, err error) {
	l.acks.mu.Lock()
	defer l.acks.mu.Unlock()
	var dial *net.OpError
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, errLater), errors.As(err, &dial) && dial.Op == "dial" && errors.Is(err, syscall.ECONNREFUSED):
		l.acks.refused++
	case l.Cuts && !errors.Is(err, errWrong):
		l.acks.cut++
	default:
		l.acks.problems = append(l.acks.problems, "a client saw: "+err.Error())
	}
}

func (a *acks) add(one Ack) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, one)
}

// Acknowledged returns what was acknowledged so far.
func (l *Load) Acknowledged() []Ack {
	l.acks.mu.Lock()
	defer l.acks.mu.Unlock()
	return append([]Ack(nil), l.acks.all...)
}

// Refused counts the answers of 503 and the refused connections so far.
func (l *Load) Refused() int {
	l.acks.mu.Lock()
	defer l.acks.mu.Unlock()
	return l.acks.refused
}

// problems returns what clients saw that they must not see.
func (l *Load) problems() []string {
	l.acks.mu.Lock()
	defer l.acks.mu.Unlock()
	return l.acks.problems
}
