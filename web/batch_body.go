package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"unicode/utf8"
)

// Limits of a batch.
const (
	batchLimit = 8 << 20  // bytes of the body
	itemLimit  = 64 << 10 // bytes of one item; a larger one is refused by itself
	mostItems  = 1000
)

var (
	errTooMany = newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("a batch has at most %d items", mostItems))
	errArray   = newProblem(http.StatusBadRequest, "the body is not one JSON array in UTF-8")
	errNoItems = newProblem(http.StatusUnprocessableEntity, "the batch is empty")
)

// readBatch cuts a batch into its items, which are yet to be looked at.
func readBatch(w http.ResponseWriter, r *http.Request) (raw []byte, items [][]byte, err error) {
	kind, _ := contentType(r)
	cut := map[string]func([]byte) ([][]byte, error){"application/json": cutArray, "application/x-ndjson": cutLines}[kind]
	if cut == nil {
		return nil, nil, newProblem(http.StatusUnsupportedMediaType, "want Content-Type application/json or application/x-ndjson")
	}
	if raw, err = readBody(w, r, batchLimit); err != nil {
		return nil, nil, err
	}
	if items, err = cut(raw); err == nil && len(items) == 0 {
		err = errNoItems
	}
	return raw, items, err
}

// cutArray refuses an array that is broken anywhere: where the next item begins is then a guess.
func cutArray(raw []byte) (items [][]byte, err error) {
	if !utf8.Valid(raw) {
		return nil, errArray
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if start, err := d.Token(); err != nil || start != json.Delim('[') {
		return nil, errArray
	}
	for d.More() {
		if len(items) == mostItems {
			return nil, errTooMany
		}
		var one json.RawMessage
		if err := d.Decode(&one); err != nil {
			return nil, errArray
		}
		items = append(items, one)
	}
	if _, err := d.Token(); err != nil {
		return nil, errArray
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errArray
	}
	return items, nil
}

// cutLines takes each line that is not blank for an item.
func cutLines(raw []byte) (items [][]byte, err error) {
	for line := range bytes.Lines(raw) {
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0:
		case len(items) == mostItems:
			return nil, errTooMany
		default:
			items = append(items, line)
		}
	}
	return items, nil
}
