package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// busyListener accepts nobody until it has time, as a process does that is short of it.
type busyListener struct {
	*net.TCPListener
	time chan struct{}
}

func (l *busyListener) Accept() (net.Conn, error) {
	<-l.time
	return l.TCPListener.Accept()
}

func TestWhoIsConnectedBeforeTheDoorClosesIsAnswered(t *testing.T) {
	t.Parallel()
	plain, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &busyListener{plain.(*net.TCPListener), make(chan struct{})}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "welcome") })}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, t.Context(), server, l, func() {}) }()
	body := make(chan string, 1)
	connected := make(chan struct{})
	go func() {
		c, err := net.Dial("tcp", l.Addr().String())
		close(connected)
		if err != nil {
			body <- err.Error()
			return
		}
		client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return c, nil }}}
		answer, err := client.Get("http://" + l.Addr().String())
		if err != nil {
			body <- err.Error()
			return
		}
		defer answer.Body.Close()
		b, _ := io.ReadAll(answer.Body)
		body <- string(b)
	}()
	<-connected
	stop()
	knock := time.NewTicker(50 * time.Millisecond) // not so often that the kernel's queue is full
	defer knock.Stop()
	for range knock.C {
		c, err := net.DialTimeout("tcp", l.Addr().String(), 200*time.Millisecond)
		if err != nil { // nobody gets in any more
			break
		}
		c.Close()
	}
	close(l.time)
	if got := <-body; got != "welcome" {
		t.Errorf("who was connected already got %q", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("serve = %v", err)
	}
}
