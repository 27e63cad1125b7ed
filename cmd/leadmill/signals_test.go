package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func TestAProcessThatIsAskedToEndBeforeItIsReadyEndsWell(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		ctx, end := context.WithCancel(t.Context())
		end()
		for command, want := range map[string]int{"web": exitDone, "worker": exitDone, "status": exitInterrupted} {
			var out bytes.Buffer
			if code := run(ctx, []string{command}, append(on(url), "ADDR=127.0.0.1:0"), strings.NewReader(""), &out, &out); code != want {
				t.Errorf("%s ended with %d, want %d: %s", command, code, want, out.String())
			}
		}
	})
}
