package web

import (
	"time"

	"github.com/leadmill/leadmill/lead/intake"
	"github.com/leadmill/leadmill/schema"
)

// suspicion is the code of the trap that a submission went into, "" if it went into none. The sender is told nothing of it.
func suspicion(f schema.Form, members []intake.Member, now time.Time) string {
	if f.Honeypot != "" && intake.Filled(members, f.Honeypot) {
		return intake.Honeypot
	}
	token := intake.Text(members, intake.StartedField)
	if token == "" || f.ID == "" || f.MinTime == 0 { // a form without a script cannot say when it was opened
		return ""
	}
	started, ok := intake.Started(f.Secret, token)
	switch {
	case !ok:
		return intake.BadToken
	case now.Sub(started) < f.MinTime:
		return intake.TooFast
	}
	return ""
}
