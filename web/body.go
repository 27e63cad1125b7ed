package web

import (
	"bytes"
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

// bodyLimit is the most bytes of a submission.
const bodyLimit = 1 << 20

// submission is a body that can be stored.
type submission struct {
	raw     []byte // as it came
	payload []byte // a JSON object: raw itself, or made from a form
}

// readSubmission takes JSON and forms. The error is a problem.
func readSubmission(w http.ResponseWriter, r *http.Request) (submission, error) {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyLimit))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return submission{}, newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("a submission is at most %d bytes", bodyLimit))
	}
	if err != nil {
		return submission{}, newProblem(http.StatusBadRequest, "the body did not arrive whole")
	}
	in := submission{raw: raw, payload: raw}
	switch kind {
	case "application/json":
	case "application/x-www-form-urlencoded", "multipart/form-data":
		in.payload, err = formPayload(r, kind, parameters["boundary"], raw)
	default:
		err = newProblem(http.StatusUnsupportedMediaType, "want Content-Type application/json, application/x-www-form-urlencoded or multipart/form-data")
	}
	if err != nil {
		return submission{}, err
	}
	return in, check(in.payload)
}

// check refuses what could never become a lead: broken JSON, wrong types, nothing at all.
func check(payload []byte) error {
	if !utf8.Valid(payload) {
		return newProblem(http.StatusBadRequest, "the body is not valid UTF-8")
	}
	members, err := intake.Decode(payload)
	if err != nil {
		return newProblem(http.StatusBadRequest, "the body is not one JSON object of at most 500 keys")
	}
	_, reasons := intake.Parse(payload, nil)
	if len(reasons) > 0 {
		return newProblem(http.StatusUnprocessableEntity, "some fields have the wrong type", reasons...)
	}
	if len(members) == 0 {
		return newProblem(http.StatusUnprocessableEntity, "the submission is empty",
			lead.Reason{Field: "email", Code: "missing", Message: "Send at least an e-mail address or a telephone number."})
	}
	return nil
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
