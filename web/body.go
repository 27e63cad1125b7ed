package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"unicode/utf8"

	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/intake"
)

// bodyLimit is the most bytes of a submission, unless its source has a limit of its own.
const bodyLimit = 1 << 20

// submission is a body that can be stored.
type submission struct {
	payload []byte // a JSON object: the body itself, or made from a form
	members []intake.Member
}

// hash names a body.
func hash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// readSubmission takes JSON and forms of at most limit bytes. The error is a problem.
func readSubmission(w http.ResponseWriter, r *http.Request, limit int) (in submission, err error) {
	raw, err := readBody(w, r, limit)
	if err != nil {
		return in, err
	}
	in.payload = raw
	kind, parameters := contentType(r)
	switch kind {
	case "application/json":
	case "application/x-www-form-urlencoded", "multipart/form-data":
		in.payload, err = formPayload(r, kind, parameters["boundary"], raw)
	default:
		err = newProblem(http.StatusUnsupportedMediaType, "want Content-Type application/json, application/x-www-form-urlencoded or multipart/form-data")
	}
	if err != nil {
		return in, err
	}
	in.members, err = check(in.payload)
	return in, err
}

// contentType is "" if there is none that can be read.
func contentType(r *http.Request) (kind string, parameters map[string]string) {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return "", nil
	}
	return kind, parameters
}

func readBody(w http.ResponseWriter, r *http.Request, limit int) ([]byte, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is at most %d bytes", limit))
	}
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "the body did not arrive whole")
	}
	return raw, nil
}

// check refuses what could never become a lead: broken JSON, wrong types, nothing at all.
func check(payload []byte) ([]intake.Member, error) {
	if !utf8.Valid(payload) {
		return nil, newProblem(http.StatusBadRequest, "the body is not valid UTF-8")
	}
	members, err := intake.Decode(payload)
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "the body is not one JSON object of at most 500 keys")
	}
	if len(members) == 0 {
		return nil, newProblem(http.StatusUnprocessableEntity, "the submission is empty",
			lead.Reason{Field: "email", Code: "missing", Message: "Send at least an e-mail address or a telephone number."})
	}
	if reasons := intake.Mistyped(members, nil); len(reasons) > 0 {
		return nil, newProblem(http.StatusUnprocessableEntity, "some fields have the wrong type", reasons...)
	}
	return members, nil
}

// formPayload writes a form as a JSON object. A name that is repeated becomes a list; files are not taken.
func formPayload(r *http.Request, kind, boundary string, raw []byte) ([]byte, error) {
	r.Body = io.NopCloser(bytes.NewReader(raw))
	var err error
	if kind == "multipart/form-data" {
		if boundary == "" {
			return nil, newProblem(http.StatusBadRequest, "the form has no boundary")
		}
		if err = r.ParseMultipartForm(bodyLimit); err == nil && len(r.MultipartForm.File) > 0 {
			return nil, newProblem(http.StatusUnsupportedMediaType, "files are not taken here; send fields")
		}
	} else {
		err = r.ParseForm()
	}
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "the form cannot be read")
	}
	fields := map[string]any{}
	for name, values := range r.PostForm {
		if len(values) == 1 {
			fields[name] = values[0]
		} else {
			fields[name] = values
		}
	}
	return json.Marshal(fields)
}
