package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
)

// slow is a server of which one request goes on until let.
func slow(t *testing.T) (server *http.Server, began, let chan struct{}) {
	began, let = make(chan struct{}), make(chan struct{})
	return &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		select {
		case <-let:
			_, _ = io.WriteString(w, "done")
		case <-r.Context().Done():
		}
	})}, began, let
}

func TestAnOpenRequestEndsWellAfterTheFirstSignalAndIsCutOffByTheSecond(t *testing.T) {
	for name, c := range map[string]struct {
		hurried bool
		body    string
		err     error
	}{
		"first":  {false, "done", nil},
		"second": {true, "", context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, began, let := slow(t)
			l, err := listen("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, first := context.WithCancel(t.Context())
			hurry, second := context.WithCancel(t.Context())
			defer second()
			stopping, ended, body := make(chan struct{}), make(chan error, 1), make(chan string, 1)
			go func() { ended <- serve(ctx, hurry, server, l, func() { close(stopping) }) }()
			go func() {
				answer, err := http.Get("http://" + l.Addr().String())
				if err != nil {
					body <- ""
					return
				}
				defer answer.Body.Close()
				b, _ := io.ReadAll(answer.Body)
				body <- string(b)
			}()
			<-began
			first()
			<-stopping
			if c.hurried {
				second()
			} else {
				close(let)
			}
			if err := <-ended; !errors.Is(err, c.err) {
				t.Errorf("serve = %v, want %v", err, c.err)
			}
			if got := <-body; got != c.body {
				t.Errorf("the open request got %q, want %q", got, c.body)
			}
		})
	}
}
