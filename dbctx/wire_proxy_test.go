package dbctx_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// direction is who sends a message.
type direction int

const (
	frontend direction = iota
	backend
)

func (d direction) String() string { return [...]string{"frontend", "backend"}[d] }

// harm is what happens to a message.
type harm int

const (
	none      harm = iota
	cutBefore      // both ends are closed instead of passing it on
	cutAfter       // both ends are closed behind it
	delay          // it is held for a while
	swallow        // it and all that follows vanish, both ways, while both ends stay open
)

func (h harm) String() string {
	return [...]string{"nothing", "cut before", "cut after", "delay", "swallow"}[h]
}

// holdTime of a delay.
const holdTime = 20 * time.Millisecond

// fault is a harm to one message of one direction, counted from 1. The zero fault harms nothing.
type fault struct {
	harm harm
	from direction
	at   int
}

func (f fault) String() string { return fmt.Sprintf("%s %s message %d", f.harm, f.from, f.at) }

// wireProxy stands between dbctx and PostgreSQL and knows where messages begin and end.
type wireProxy struct {
	url    string
	target string
	last   atomic.Pointer[wire] // that the frontend said something on
	wg     sync.WaitGroup
}

func newWireProxy(t *testing.T, direct string) *wireProxy {
	t.Helper()
	config, err := pgx.ParseConfig(direct)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &wireProxy{
		url:    throughPlainText(t, direct, l.Addr().String()),
		target: net.JoinHostPort(config.Host, fmt.Sprint(config.Port)),
	}
	p.wg.Go(func() { p.accept(l) })
	t.Cleanup(func() { l.Close(); p.wg.Wait() })
	return p
}

// throughPlainText is the URL by way of another address. Messages inside TLS could not be counted.
func throughPlainText(t *testing.T, direct, address string) string {
	t.Helper()
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = address
	parameters := u.Query()
	parameters.Set("sslmode", "disable")
	u.RawQuery = parameters.Encode()
	return u.String()
}

// accept joins whoever comes, until the listener is closed, and then closes what is left.
func (p *wireProxy) accept(l net.Listener) {
	var wires []*wire
	defer func() {
		for _, w := range wires {
			w.close()
		}
	}()
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		w := newWire(client, server)
		wires = append(wires, w)
		p.wg.Go(func() { w.carry(frontend, func() { p.last.Store(w) }) })
		p.wg.Go(func() { w.carry(backend, func() {}) })
	}
}

// wire is one connection.
type wire struct {
	ends  [2]net.Conn // by who is there
	gone  chan struct{}
	close func() // both ends, a black hole included

	mu     sync.Mutex
	pid    uint32    // of the backend
	heard  [2][]byte // the types of the messages since it was armed
	fault  fault
	struck bool
	silent bool
}

func newWire(client, server net.Conn) *wire {
	w := &wire{ends: [2]net.Conn{client, server}, gone: make(chan struct{})}
	w.close = sync.OnceFunc(func() {
		client.Close()
		server.Close()
		close(w.gone)
	})
	return w
}

// arm counts anew, and lets the fault happen when its message comes.
func (w *wire) arm(f fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault, w.heard, w.struck = f, [2][]byte{}, false
}

// messages are the types of those that came since it was armed.
func (w *wire) messages() [2]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return [2]string{string(w.heard[frontend]), string(w.heard[backend])}
}

func (w *wire) wasStruck() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.struck
}

func (w *wire) backendPID() uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pid
}

// carry passes the messages of one direction on until an end is closed or a fault says so.
func (w *wire) carry(d direction, heard func()) {
	defer w.end()
	from, to := bufio.NewReader(w.ends[d]), w.ends[1-d]
	if d == frontend { // what opens a connection, a request to cancel included, has no type
		opening, err := readBody(from, nil)
		if err != nil {
			return
		}
		if _, err := to.Write(opening); err != nil {
			return
		}
	}
	for {
		message, err := readMessage(from)
		if err != nil {
			return
		}
		heard()
		if !w.pass(d, message, to) {
			return
		}
	}
}

// end closes both ends. A black hole keeps even the news that one of them has closed.
func (w *wire) end() {
	w.mu.Lock()
	silent := w.silent
	w.mu.Unlock()
	if silent {
		<-w.gone
	}
	w.close()
}

// pass says whether the wire still works.
func (w *wire) pass(d direction, message []byte, to io.Writer) bool {
	harm := w.note(d, message)
	switch harm {
	case cutBefore, swallow:
		return false
	case delay:
		select {
		case <-time.After(holdTime):
		case <-w.gone:
		}
	}
	_, err := to.Write(message)
	return err == nil && harm != cutAfter
}

// note counts a message and says what is to happen to it.
func (w *wire) note(d direction, message []byte) harm {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.silent {
		return swallow
	}
	if d == backend && message[0] == 'K' {
		w.pid = binary.BigEndian.Uint32(message[5:])
	}
	w.heard[d] = append(w.heard[d], message[0])
	if d != w.fault.from || len(w.heard[d]) != w.fault.at {
		return none
	}
	w.struck, w.silent = true, w.fault.harm == swallow
	return w.fault.harm
}

// readMessage reads a type and what belongs to it.
func readMessage(from *bufio.Reader) ([]byte, error) {
	kind, err := from.ReadByte()
	if err != nil {
		return nil, err
	}
	return readBody(from, []byte{kind})
}

// readBody reads a length, which counts itself, and as much as it says, and returns it behind what was read before.
func readBody(from io.Reader, before []byte) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(from, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n < 4 {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	whole := append(before, length[:]...)
	whole = append(whole, make([]byte, n-4)...)
	_, err := io.ReadFull(from, whole[len(before)+4:])
	return whole, err
}
