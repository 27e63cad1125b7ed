package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead/hook"
)

// contract is the document as it is checked.
type contract struct {
	t      *testing.T
	doc    map[string]any
	strict *jsonschema.Compiler // answers may hold nothing that is not documented
}

const contractURL = "https://leadmill.example/openapi.json"

func newContract(t *testing.T) *contract {
	t.Helper()
	c := &contract{t: t}
	if err := json.Unmarshal(openAPI, &c.doc); err != nil {
		t.Fatal(err)
	}
	closed, err := jsonschema.UnmarshalJSON(bytes.NewReader(openAPI))
	if err != nil {
		t.Fatal(err)
	}
	closeObjects(closed)
	c.strict = jsonschema.NewCompiler()
	c.strict.AssertFormat()
	if err := c.strict.AddResource(contractURL, closed); err != nil {
		t.Fatal(err)
	}
	return c
}

// closeObjects refuses members that a schema does not name, where it says nothing of others.
func closeObjects(node any) {
	switch n := node.(type) {
	case map[string]any:
		if _, named := n["properties"].(map[string]any); named && n["type"] == "object" && n["additionalProperties"] == nil {
			n["additionalProperties"] = false
		}
		for _, member := range n {
			closeObjects(member)
		}
	case []any:
		for _, member := range n {
			closeObjects(member)
		}
	}
}

// follow returns what stands at a pointer, references followed; nil if nothing does.
func (c *contract) follow(pointer string) (found any) {
	found = c.doc
	for _, part := range strings.Split(strings.TrimPrefix(pointer, "#/"), "/") {
		object, _ := found.(map[string]any)
		if found = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]; found == nil {
			return nil
		}
		if object, ok := found.(map[string]any); ok && object["$ref"] != nil {
			found = c.follow(object["$ref"].(string))
		}
	}
	return found
}

func (c *contract) object(pointer string) map[string]any {
	object, _ := c.follow(pointer).(map[string]any)
	return object
}

// walk visits every object of the document with its pointer.
func (c *contract) walk(visit func(pointer string, object map[string]any)) {
	var down func(pointer string, node any)
	down = func(pointer string, node any) {
		switch n := node.(type) {
		case map[string]any:
			visit(pointer, n)
			for _, name := range slices.Sorted(maps.Keys(n)) {
				down(pointer+"/"+escape(name), n[name])
			}
		case []any:
			for i, member := range n {
				down(pointer+"/"+strconv.Itoa(i), member)
			}
		}
	}
	down("#", c.doc)
}

func escape(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

// fits fails the test unless a value, as JSON, is what the schema at the pointer wants.
func (c *contract) fits(what, pointer string, value []byte) {
	c.t.Helper()
	schema, err := c.strict.Compile(contractURL + pointer)
	if err != nil {
		c.t.Fatalf("%s: the schema at %s: %v", what, pointer, err)
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err == nil {
		err = schema.Validate(instance)
	}
	if err != nil {
		c.t.Errorf("%s does not fit its schema: %v\n%s", what, err, value)
	}
}

// calls are the operations by method and path: "GET /api/v1/leads/{id}".
func (c *contract) calls() map[string]map[string]any {
	calls := map[string]map[string]any{}
	for path, methods := range c.object("#/paths") {
		for method := range methods.(map[string]any) {
			calls[strings.ToUpper(method)+" "+path] = c.object("#/paths/" + escape(path) + "/" + method)
		}
	}
	return calls
}

func TestTheDocumentKeepsTheRulesOfOpenAPI(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	used := map[string]bool{}
	c.walk(func(pointer string, object map[string]any) {
		if ref, ok := object["$ref"].(string); ok {
			used[ref] = true
			if c.follow(ref) == nil {
				t.Errorf("%s refers to %s, which is not there", pointer, ref)
			}
		}
	})
	for kind, members := range c.object("#/components") {
		for name := range members.(map[string]any) {
			if ref := "#/components/" + kind + "/" + name; !used[ref] && kind != "securitySchemes" {
				t.Errorf("nothing refers to %s", ref)
			}
			if kind == "schemas" {
				if _, err := c.strict.Compile(contractURL + "#/components/schemas/" + name); err != nil {
					t.Errorf("%s is no JSON Schema: %v", name, err)
				}
			}
		}
	}
	ids := map[string]string{}
	for name, call := range c.calls() {
		c.isWhole(name, call)
		id := call["operationId"].(string)
		if ids[id] != "" {
			t.Errorf("%s and %s are both called %s", name, ids[id], id)
		}
		ids[id] = name
	}
	if c.doc["openapi"] != "3.1.0" || len(ids) == 0 {
		t.Errorf("openapi %v with %d calls", c.doc["openapi"], len(ids))
	}
}

var placeholder = regexp.MustCompile(`\{([^}]+)\}`)

// isWhole checks one call: what it must have, and that its names are declared.
func (c *contract) isWhole(name string, call map[string]any) {
	c.t.Helper()
	for _, member := range []string{"operationId", "summary", "description", "tags", "responses"} {
		if call[member] == nil {
			c.t.Errorf("%s has no %s", name, member)
		}
	}
	var tags []any
	for _, tag := range c.doc["tags"].([]any) {
		tags = append(tags, tag.(map[string]any)["name"])
	}
	if !slices.Contains(tags, call["tags"].([]any)[0]) {
		c.t.Errorf("%s has the tag %v, which is not declared", name, call["tags"])
	}
	needs, _ := call["security"].([]any)
	for _, need := range needs {
		for scheme := range need.(map[string]any) {
			if c.object("#/components/securitySchemes/"+scheme) == nil {
				c.t.Errorf("%s needs %s, which is not declared", name, scheme)
			}
		}
	}
	var declared, wanted []string
	list, _ := call["parameters"].([]any)
	for _, p := range list {
		parameter := p.(map[string]any)
		if ref, ok := parameter["$ref"].(string); ok {
			parameter = c.object(ref)
		}
		if parameter["in"] == "path" && parameter["required"] == true {
			declared = append(declared, parameter["name"].(string))
		}
		if parameter["schema"] == nil || parameter["description"] == nil {
			c.t.Errorf("%s: the parameter %v is not described", name, parameter["name"])
		}
	}
	for _, m := range placeholder.FindAllStringSubmatch(name, -1) {
		wanted = append(wanted, m[1])
	}
	if !slices.Equal(declared, wanted) {
		c.t.Errorf("%s declares the path parameters %v, want %v", name, declared, wanted)
	}
	for status, r := range call["responses"].(map[string]any) {
		response := r.(map[string]any)
		if ref, ok := response["$ref"].(string); ok {
			response = c.object(ref)
		}
		content, _ := response["content"].(map[string]any)
		problem, isProblem := content["application/problem+json"].(map[string]any)
		if isProblem != (status >= "4") {
			c.t.Errorf("%s: the answer %s is a problem: %v", name, status, isProblem)
		}
		if isProblem && fmt.Sprint(problem["example"].(map[string]any)["status"]) != status {
			c.t.Errorf("%s: the example of %s is of another status", name, status)
		}
	}
}

func TestExamplesFitTheirSchemas(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	checked := 0
	check := func(pointer, schema string, example any) {
		checked++
		c.fits("the example at "+pointer, schema, must(json.Marshal(example)))
	}
	c.walk(func(pointer string, object map[string]any) {
		if object["schema"] != nil {
			if example, ok := object["example"]; ok {
				check(pointer, pointer+"/schema", example)
			}
			named, _ := object["examples"].(map[string]any)
			for _, example := range named {
				check(pointer, pointer+"/schema", example.(map[string]any)["value"])
			}
		}
		list, isSchema := object["examples"].([]any)
		for _, example := range list {
			check(pointer, pointer, example)
		}
		if isSchema && !strings.HasPrefix(pointer, "#/components/schemas/") {
			t.Errorf("%s has examples and is no schema", pointer)
		}
	})
	if checked < 40 {
		t.Errorf("%d examples were found, want some for each call", checked)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// routes are the calls that the server registers, as they stand in its source: the mux tells nobody.
func routes(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if method, path, ok := strings.Cut(registered(call), " "); ok && isCall(path) {
					found[method+" "+placeholder.ReplaceAllString(path, "{}")] = true
				}
			}
			return true
		})
	}
	return found
}

// registered is the pattern that a call of Handle or HandleFunc registers; "" if it is something else.
func registered(call *ast.CallExpr) string {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || f.Sel.Name != "Handle" && f.Sel.Name != "HandleFunc" || len(call.Args) != 2 {
		return ""
	}
	pattern, ok := call.Args[0].(*ast.BasicLit)
	if !ok {
		return ""
	}
	return must(strconv.Unquote(pattern.Value))
}

// isCall tells what programs call from the pages.
func isCall(path string) bool {
	if path == "/f/{form}/thanks" {
		return false
	}
	return slices.Contains([]string{"/healthz", "/readyz", "/metrics"}, path) || strings.HasPrefix(path, "/api/") ||
		strings.HasPrefix(path, "/hooks/") || strings.HasPrefix(path, "/f/")
}

func TestTheDocumentHasTheCallsOfTheServerAndNoOthers(t *testing.T) {
	t.Parallel()
	served := routes(t)
	documented := map[string]bool{}
	for name := range newContract(t).calls() {
		documented[placeholder.ReplaceAllString(name, "{}")] = true
	}
	for name := range served {
		if !documented[name] {
			t.Errorf("%s is served and not documented", name)
		}
	}
	for name := range documented {
		if !served[name] {
			t.Errorf("%s is documented and not served", name)
		}
	}
	if len(served) < 15 {
		t.Errorf("%d calls were found in the source, want at least fifteen", len(served))
	}
}

func TestEveryDocumentedCallIsAnswered(t *testing.T) {
	t.Parallel()
	c := newCounter(t, apiDatabases.Open(t, dbctx.SQLite))
	for name := range newContract(t).calls() {
		method, path, _ := strings.Cut(name, " ")
		r := c.do(method, placeholder.ReplaceAllString(path, "1"), "", "")
		if r.status == http.StatusMethodNotAllowed || strings.Contains(r.body, "there is no such call") {
			t.Errorf("%s = %d %s, want a call that is there", name, r.status, r.body)
		}
	}
}

// says checks that a real answer to a call is one that the document allows.
func (c *contract) says(call string, r reply) {
	c.t.Helper()
	method, path, _ := strings.Cut(call, " ")
	pointer := fmt.Sprintf("#/paths/%s/%s/responses/%d", escape(path), strings.ToLower(method), r.status)
	response := c.object(pointer)
	if response == nil {
		c.t.Errorf("%s answers %d, which is not documented: %s", call, r.status, r.body)
		return
	}
	if ref, ok := c.object(pointer[:strings.LastIndexByte(pointer, '/')])[strconv.Itoa(r.status)].(map[string]any)["$ref"].(string); ok {
		pointer = ref
	}
	kind, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	bare := kind == "" && r.body == "" && response["content"] == nil
	if !bare && c.object(pointer+"/content/"+escape(kind)) == nil {
		c.t.Errorf("%s answers %d with %q, which is not documented", call, r.status, kind)
		return
	}
	if strings.HasSuffix(kind, "json") {
		c.fits(fmt.Sprintf("the answer %d to %s", r.status, call), pointer+"/content/"+escape(kind)+"/schema", []byte(r.body))
	}
	documented, _ := response["headers"].(map[string]any)
	for name := range documented {
		if h := c.object(pointer + "/headers/" + name); h["required"] == true && r.header.Get(name) == "" {
			c.t.Errorf("%s answers %d without %s", call, r.status, name)
		}
	}
	for _, name := range []string{"Location", "Idempotency-Replayed", "Retry-After", "WWW-Authenticate", "Allow"} {
		if r.header.Get(name) != "" && documented[name] == nil {
			c.t.Errorf("%s answers %d with %s, which is not documented", call, r.status, name)
		}
	}
}

func TestRealAnswersAreAsDocumented(t *testing.T) {
	t.Parallel()
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		doc := newContract(t)
		c := newCounter(t, db)
		const send, look = "POST /api/v1/leads", "GET /api/v1/intakes/{id}"
		lead := `{"email":"Ada@Example.com","name":"ada lovelace","phone":"020 7946 0123","company":"Mills","consent":true,"utm_source":"x"}`
		first := c.post(lead, "Idempotency-Key", "k")
		doc.says(send, first)
		doc.says(send, c.post(lead, "Idempotency-Key", "k"))
		doc.says(send, c.post(`{"name":"other"}`, "Idempotency-Key", "k"))
		doc.says(send, c.post(`{"email":"ada@example.com","shoe":38}`))
		bad := c.post(`{"name":"Nobody"}`)
		doc.says(send, bad)
		pending := decodeReply[accepted](t, first, 202).StatusURL
		doc.says(look, c.do("GET", pending, c.key, ""))
		c.work()
		doc.says(look, c.do("GET", pending, c.key, ""))
		doc.says(look, c.do("GET", decodeReply[accepted](t, bad, 202).StatusURL, c.key, ""))
		doc.says(look, c.do("GET", pending, c.other, ""))
		id := *decodeReply[intakeAnswer](t, c.do("GET", pending, c.key, ""), 200).LeadID
		for call, path := range map[string]string{
			"GET /api/v1/leads": "/api/v1/leads", "GET /api/v1/leads/{id}": "/api/v1/leads/" + id, "GET /api/v1/leads/{id}/events": "/api/v1/leads/" + id + "/events",
		} {
			r := c.do("GET", path, c.key, "")
			decodeReply[map[string]any](t, r, 200)
			doc.says(call, r)
			doc.says(call, c.do("GET", path, "", ""))
			doc.says(call, c.do("GET", strings.Replace(path, "leads/"+id, "leads/999", 1), c.key, ""))
		}
		doc.says("GET /api/v1/leads", c.do("GET", "/api/v1/leads?limit=0", c.key, ""))
		for _, r := range []reply{
			c.do("POST", "/api/v1/leads", "", lead), c.post(`{`), c.post(`{}`), c.post(`{"email":[]}`), c.post(`x`, "Content-Type", "text/plain"),
			c.post(`{"x":"` + strings.Repeat("x", bodyLimit) + `"}`), c.post(lead, "Idempotency-Key", strings.Repeat("k", 201)),
			c.post(lead, "Sec-Fetch-Site", "cross-site"),
		} {
			if r.status < 400 {
				t.Errorf("%d %s, want a refusal", r.status, r.body)
			}
			doc.says(send, r)
		}
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			doc.says("GET "+path, c.do("GET", path, "", ""))
		}
		c.server.Stopping()
		doc.says("GET /readyz", c.do("GET", "/readyz", "", ""))
	})
}

func TestAnswersOfADatabaseThatIsAwayAreAsDocumented(t *testing.T) {
	t.Parallel()
	doc := newContract(t)
	db := hookDatabases.Open(t, dbctx.Postgres)
	c := newHooks(t, db, "")
	c.disconnect(db)
	hooks := c.hookPosts()
	for call, r := range map[string]reply{
		"POST /api/v1/leads": c.post(`{"email":"ada@example.com"}`), "GET /api/v1/leads": c.do("GET", "/api/v1/leads", c.key, ""),
		"GET /readyz": c.do("GET", "/readyz", "", ""), "GET /api/v1/leads/{id}": c.do("GET", "/api/v1/leads/1", c.key, ""),
		"POST /api/v1/leads/batch": c.batch(`[{"email":"ada@example.com"}]`), "POST /f/{form_id}": c.do("POST", "/f/FORM", "", `{"email":"ada@example.com"}`),
		"GET /f/{form_id}/token": c.do("GET", "/f/FORM/token", "", ""), "OPTIONS /f/{form_id}": c.do("OPTIONS", "/f/FORM", "", ""),
		"OPTIONS /api/v1/leads": c.do("OPTIONS", "/api/v1/leads", "", ""), "GET /hooks/meta/{source}": c.do("GET", "/hooks/meta/form", "", ""),
		"POST /hooks/google/{source}": hooks[hook.Google]("1"), "POST /hooks/meta/{source}": hooks[hook.Meta]("1"),
		"POST /hooks/standard/{source}": hooks[hook.Standard]("1"),
	} {
		if r.status != http.StatusServiceUnavailable {
			t.Errorf("%s = %d, want 503", call, r.status)
		}
		doc.says(call, r)
	}
}
