package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
)

// openAPI describes what programs may call, as OpenAPI 3.1. It is written by hand; tests hold it and the server together.
//
//go:embed openapi/openapi.json
var openAPI []byte

var openAPITag = sync.OnceValue(func() string {
	sum := sha256.Sum256(openAPI)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
})

// serveOpenAPI answers with the document. It holds no data, so anybody may read it.
func serveOpenAPI(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-cache")
	h.Set("Etag", openAPITag())
	http.ServeContent(w, r, "openapi.json", time.Time{}, bytes.NewReader(openAPI))
}

// apiDocument is what the reference page shows of the document, in the document's order, with references followed.
type apiDocument struct {
	Info struct {
		Title, Summary, Description string
	}
	Tags       []apiTag
	Security   []apiNeed
	Paths      ordered[ordered[*apiCall]] // by path and method
	Components struct {
		SecuritySchemes ordered[apiText]
		Parameters      ordered[apiParameter]
		Headers         ordered[apiHeader]
		Responses       ordered[apiResponse]
		Schemas         ordered[*apiSchema]
	}
}

type apiText struct{ Description string }

type apiTag struct{ Name, Description string }

// apiNeed is one way to show who calls: the names of what is needed together.
type apiNeed map[string][]string

type apiCall struct {
	OperationID          string
	Tags                 []string
	Summary, Description string
	Parameters           []apiParameter
	RequestBody          *apiBody
	Responses            ordered[apiResponse] // by status
	Security             []apiNeed            // nil: as the document says; empty: none
}

type apiBody struct {
	Description string
	Content     ordered[apiMedia] // by type
}

type apiMedia struct {
	Schema   *apiSchema
	Example  json.RawMessage
	Examples ordered[apiExample]
}

type apiExample struct {
	Summary string
	Value   json.RawMessage
}

type apiParameter struct {
	Ref                   string `json:"$ref"`
	Name, In, Description string
	Required              bool
	Schema                *apiSchema
}

type apiResponse struct {
	Ref         string `json:"$ref"`
	Description string
	Headers     ordered[apiHeader]
	Content     ordered[apiMedia]
}

type apiHeader struct {
	Ref         string `json:"$ref"`
	Description string
	Schema      *apiSchema
}

// apiSchema is the part of JSON Schema that the document uses.
type apiSchema struct {
	Ref          string `json:"$ref"`
	Type         oneOrMore
	Description  string
	Const        any
	Enum         []string
	Items        *apiSchema
	OneOf, AnyOf []*apiSchema
	Properties   ordered[*apiSchema]
	Required     []string
	Examples     []json.RawMessage
}

// oneOrMore is a text, or a list of them.
type oneOrMore []string

// UnmarshalJSON is json.Unmarshaler.
func (o *oneOrMore) UnmarshalJSON(b []byte) error {
	if b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(o))
	}
	*o = make([]string, 1)
	return json.Unmarshal(b, &(*o)[0])
}

// ordered is a JSON object whose members stay in the order they are written in.
type ordered[T any] []member[T]

type member[T any] struct {
	Name  string
	Value T
}

// UnmarshalJSON is json.Unmarshaler.
func (o *ordered[T]) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		m := member[T]{Name: name.(string)}
		if err := d.Decode(&m.Value); err != nil {
			return err
		}
		*o = append(*o, m)
	}
	return nil
}

// follow returns what a reference names: "#/components/schemas/Lead" is the member Lead of the schemas.
func (o ordered[T]) follow(ref string) (found T) {
	name := lastOf(ref)
	for _, m := range o {
		if m.Name == name {
			return m.Value
		}
	}
	return found
}

func lastOf(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }
