package faulttest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Wires carry connections to a server, and can be cut.
type Wires struct {
	Address string

	target string
	mu     sync.Mutex
	cut    bool
	open   map[net.Conn]struct{}
}

// NewWires lead to a server until the test ends.
func NewWires(tb testing.TB, target string) *Wires {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	w := &Wires{Address: l.Addr().String(), target: target, open: map[net.Conn]struct{}{}}
	tb.Cleanup(func() {
		l.Close()
		w.Cut()
	})
	go w.accept(l)
	return w
}

func (w *Wires) accept(l net.Listener) {
	for {
		near, err := l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", w.target)
		if err != nil || !w.hold(near, far) {
			near.Close()
			continue
		}
		go w.carry(near, far)
		go w.carry(far, near)
	}
}

// hold remembers a pair of ends, so that they can be cut; it refuses them while the wires are.
func (w *Wires) hold(ends ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, end := range ends {
		if w.cut {
			end.Close()
			continue
		}
		w.open[end] = struct{}{}
	}
	return !w.cut
}

func (w *Wires) carry(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, end := range []net.Conn{to, from} {
		end.Close()
		delete(w.open, end)
	}
}

// Cut breaks every connection, in the middle of whatever it carries, and each new one until Mend.
func (w *Wires) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for end := range w.open {
		_ = end.(*net.TCPConn).SetLinger(0) // a reset, not a farewell
		end.Close()
	}
}

// Mend lets new connections through.
func (w *Wires) Mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
}
