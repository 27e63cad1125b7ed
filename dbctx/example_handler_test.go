package dbctx_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/leadmill/leadmill/dbctx"
)

// addLead is a handler with a scope for each request. It answers behind the commit, so 201 is said of what stands.
func addLead(db *dbctx.DB) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.FormValue("name")
		err := dbctx.Run(r.Context(), db, func(_ context.Context, tx *dbctx.Tx) error {
			tx.Queue(`INSERT INTO leads (name) VALUES ($1)`, name)
			return nil
		})
		switch {
		case err == nil:
			w.WriteHeader(http.StatusCreated)
		case dbctx.IsUniqueViolation(err):
			http.Error(w, "this name is taken", http.StatusConflict)
		case dbctx.IsUnavailable(err):
			w.Header().Set("Retry-After", "5")
			http.Error(w, "the database is away; send it again", http.StatusServiceUnavailable)
		default:
			http.Error(w, "the request could not be worked", http.StatusInternalServerError)
		}
	}
}

// form is a request as a browser sends it.
func form(body string) *http.Request {
	r := httptest.NewRequest("POST", "/leads", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// In place of a dependency such as get_db, the handler runs its scope itself: one for each request, ended before the answer, and
// rolled back if the handler panics or the client has gone.
func Example_requestHandler() {
	db, remove := open()
	defer remove()

	handler := addLead(db)
	for range 2 {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, form("name=Ada"))
		fmt.Println(answer.Code)
	}
	// Output:
	// 201
	// 409
}

// A test binds the code that it tries to a transaction of its own, and takes everything back at the end: nothing has to be cleared
// up, and tests on one database do not see each other.
func ExampleBind() {
	db, remove := open()
	defer remove()

	errEnough := errors.New("the test has seen enough")
	err := dbctx.Run(context.Background(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		answer := httptest.NewRecorder()
		request := form("name=Ada")
		addLead(db)(answer, request.WithContext(dbctx.Bind(request.Context(), tx))) // its Run is a savepoint here
		n, err := countLeads(ctx, db)
		fmt.Println("answer", answer.Code, "leads", n, err)
		return errEnough
	})
	n, _ := countLeads(context.Background(), db)
	fmt.Println("afterwards", n, "because", err)
	// Output:
	// answer 201 leads 1 <nil>
	// afterwards 0 because the test has seen enough
}

// No call to another system waits inside a scope, with a connection and locks in its hands: the client refuses.
func ExampleTransport() {
	db, remove := open()
	defer remove()
	client := &http.Client{Transport: dbctx.Transport(nil)}

	err := dbctx.Run(context.Background(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		request, err := http.NewRequestWithContext(ctx, "GET", "https://crm.example/", nil)
		if err != nil {
			return err
		}
		answer, err := client.Do(request)
		if err == nil {
			answer.Body.Close()
		}
		return err
	})
	fmt.Println(errors.Is(err, dbctx.ErrCallInScope))
	// Output: true
}
