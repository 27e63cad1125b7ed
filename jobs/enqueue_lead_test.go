package jobs_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/schema"
)

const enqueueLead = `SELECT enqueue_lead($1, $2::jsonb, $3)`

// neighbour is a program of somebody else on the same database, with a connection of its own.
type neighbour struct {
	*shop
	conn *pgx.Conn
}

// newNeighbour connects as whoever owns the database.
func (s *shop) newNeighbour() *neighbour {
	s.t.Helper()
	conn, err := pgx.ConnectConfig(s.ctx, s.db.PgxConfig())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close(context.Background()) })
	return &neighbour{shop: s, conn: conn}
}

// newProducer connects and becomes leadmill_producer.
func (s *shop) newProducer() *neighbour {
	s.t.Helper()
	n := s.newNeighbour()
	var super bool
	if err := n.conn.QueryRow(s.ctx, `SELECT usesuper FROM pg_user WHERE usename = current_user`).Scan(&super); err != nil {
		s.t.Fatal(err)
	}
	if !super {
		s.t.Skip("the user of TEST_DATABASE_URL is no superuser, and cannot become leadmill_producer")
	}
	n.does(`SET SESSION AUTHORIZATION leadmill_producer`)
	return n
}

func (n *neighbour) does(sql string, args ...any) {
	n.t.Helper()
	if _, err := n.conn.Exec(n.ctx, sql, args...); err != nil {
		n.t.Fatalf("%s: %v", sql, err)
	}
}

// enqueues puts a lead in with this key; nil is none.
func (n *neighbour) enqueues(payload string, key any) (id int64) {
	n.t.Helper()
	if err := n.conn.QueryRow(n.ctx, enqueueLead, "form", payload, key).Scan(&id); err != nil {
		n.t.Fatal(err)
	}
	return id
}

// isRefused fails the test unless the statement fails with that code.
func (n *neighbour) isRefused(code, sql string, args ...any) *pgconn.PgError {
	n.t.Helper()
	_, err := n.conn.Exec(n.ctx, sql, args...)
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) || refusal.Code != code {
		n.t.Errorf("%s: %v, want an error with code %s", sql, err, code)
		return &pgconn.PgError{}
	}
	return refusal
}

// stored counts intakes and jobs.
func (s *shop) stored() (intakes, waiting int) {
	s.t.Helper()
	s.run(func(ctx context.Context, tx *dbctx.Tx) error {
		return tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM intakes), (SELECT count(*) FROM river_job WHERE kind = 'process_leads')`).
			Scan(&intakes, &waiting)
	})
	return intakes, waiting
}

func TestALeadFromSQLExistsExactlyIfItsTransactionCommits(t *testing.T) {
	t.Parallel()
	s := newShop(t, databases.Open(t, dbctx.Postgres), jobs.Options{})
	s.users(1)
	s.start()
	n := s.newProducer()
	n.does(`BEGIN`)
	n.enqueues(`{"email":"nobody@example.com"}`, nil)
	n.does(`ROLLBACK`)
	if intakes, waiting := s.stored(); intakes+waiting != 0 {
		t.Errorf("%d intakes and %d jobs are left of what was rolled back, want none", intakes, waiting)
	}
	n.does(`BEGIN`)
	id := n.enqueues(`{"email":"Ada@Example.com","shoe":38}`, "order-17")
	n.does(`COMMIT`)
	s.until("a verdict", func() bool { return s.intake(id).Status != lead.Pending })
	in := s.intake(id)
	if in.Status != lead.Accepted || in.Source != "form" {
		t.Fatalf("intake = %s from %s, want accepted from form", in.Status, in.Source)
	}
	if l := s.lead(in.LeadID); l.Value("email") != "ada@example.com" || l.Owner != "u1@example.com" {
		t.Errorf("lead = %v of %q, want Ada's, owned", l.Fields, l.Owner)
	}
}

// rowsOf are the only intake and the only job of a database, without what differs between any two.
func (s *shop) rowsOf() (in, job map[string]any) {
	s.t.Helper()
	var texts [2]string
	s.run(func(ctx context.Context, tx *dbctx.Tx) error {
		return tx.QueryRow(ctx, `SELECT (SELECT to_jsonb(i) FROM intakes i)::text, (SELECT to_jsonb(j) FROM river_job j)::text`).
			Scan(&texts[0], &texts[1])
	})
	for i, row := range []*map[string]any{&in, &job} {
		if err := json.Unmarshal([]byte(texts[i]), row); err != nil {
			s.t.Fatal(err)
		}
	}
	if job["created_at"] != job["scheduled_at"] || job["created_at"] == nil {
		s.t.Errorf("the job was made at %v for %v, want the same", job["created_at"], job["scheduled_at"])
	}
	for _, name := range []string{"received_at", "created_at", "scheduled_at"} {
		delete(in, name)
		delete(job, name)
	}
	return in, job
}

func TestSQLWritesTheRowsThatTakeWritesAndTellsWorkersAsRiverDoes(t *testing.T) {
	t.Parallel()
	const payload = `{"name": "Ada", "email": "ada@example.com"}` // as jsonb writes it
	write := func(how func(s *shop)) (in, job map[string]any, heard string) {
		s := newShop(t, databases.Open(t, dbctx.Postgres), jobs.Options{})
		ear := s.newNeighbour()
		ear.does(`LISTEN "public.river_insert"`)
		how(s)
		told, err := ear.conn.WaitForNotification(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		in, job = s.rowsOf()
		return in, job, told.Channel + " " + told.Payload
	}
	wantIntake, wantJob, wantHeard := write(func(s *shop) {
		sum := sha256.Sum256([]byte(payload))
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			_, _, err := s.q.Take(ctx, tx, schema.NewIntake{
				SourceID: s.source.ID, Key: "order-17", Hash: hex.EncodeToString(sum[:]), Payload: payload,
			})
			return err
		})
	})
	in, job, heard := write(func(s *shop) { s.newProducer().enqueues(payload, "order-17") })
	if diff := cmp.Diff(wantIntake, in); diff != "" {
		t.Errorf("intakes, by Take and by SQL:\n%s", diff)
	}
	if diff := cmp.Diff(wantJob, job); diff != "" {
		t.Errorf("jobs, by Take and by SQL:\n%s", diff)
	}
	if heard != wantHeard {
		t.Errorf("workers hear %q, want %q", heard, wantHeard)
	}
}

func TestAKeyFromSQLIsOneIntake(t *testing.T) {
	t.Parallel()
	s := newShop(t, databases.Open(t, dbctx.Postgres), jobs.Options{})
	n := s.newProducer()
	first := n.enqueues(`{"email":"ada@example.com","name":"Ada"}`, "order-17")
	if again := n.enqueues(`{"name":  "Ada", "email": "ada@example.com"}`, " order-17 "); again != first {
		t.Errorf("the same again is intake %d, want %d", again, first)
	}
	refusal := n.isRefused("23505", enqueueLead, "form", `{"email":"bob@example.com"}`, "order-17")
	if strings.Contains(fmt.Sprintf("%+v", refusal), "bob") || refusal.Hint == "" {
		t.Errorf("the refusal is %+v, want a cure and no value", refusal)
	}
	for _, none := range []any{nil, "", " "} {
		if id := n.enqueues(`{"email":"ada@example.com"}`, none); id == first {
			t.Errorf("key %q is intake %d, want one of its own", none, id)
		}
	}
	s.take(`{"email":"ada@example.com"}`) // without a key
	if intakes, waiting := s.stored(); intakes != 5 || waiting != 5 {
		t.Errorf("%d intakes and %d jobs, want 5 and 5", intakes, waiting)
	}
}

func TestCallersAtOnceUnderOneKeyAreOneIntake(t *testing.T) {
	t.Parallel()
	s := newShop(t, databases.Open(t, dbctx.Postgres), jobs.Options{})
	for _, end := range []string{"COMMIT", "ROLLBACK"} {
		first, second := s.newProducer(), s.newProducer()
		first.does(`BEGIN`)
		id := first.enqueues(`{"email":"ada@example.com"}`, end)
		waits := make(chan int64)
		go func() {
			var id int64
			if err := second.conn.QueryRow(s.ctx, enqueueLead, "form", `{"email":"ada@example.com"}`, end).Scan(&id); err != nil {
				t.Error(err)
			}
			waits <- id
		}()
		s.until("a caller who waits for the other", func() (waiting bool) {
			s.run(func(ctx context.Context, tx *dbctx.Tx) error {
				return tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND NOT granted)`, second.conn.PgConn().PID()).
					Scan(&waiting)
			})
			return waiting
		})
		first.does(end)
		if got := <-waits; (got == id) != (end == "COMMIT") || got == 0 {
			t.Errorf("after the first one's %s (intake %d) the second has intake %d", end, id, got)
		}
	}
	var wg sync.WaitGroup
	for range 8 {
		n := s.newProducer()
		wg.Go(func() {
			for range 10 {
				if _, err := n.conn.Exec(s.ctx, enqueueLead, "form", `{"email":"bob@example.com"}`, "all"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if intakes, waiting := s.stored(); intakes != 3 || waiting != 3 {
		t.Errorf("%d intakes and %d jobs, want one of each for each key", intakes, waiting)
	}
}

func TestWhatSQLCannotTakeIsRefusedWithTheCureAndRepeatsNoValue(t *testing.T) {
	t.Parallel()
	s := newShop(t, databases.Open(t, dbctx.Postgres), jobs.Options{})
	n := s.newProducer()
	keys := make([]string, 501)
	for i := range keys {
		keys[i] = fmt.Sprintf(`"secret%d":1`, i)
	}
	const fine = `{"email":"secret@example.com"}`
	for name, c := range map[string]struct {
		code                 string
		source, payload, key any
	}{
		"unknown source":  {"23503", "secret", fine, nil},
		"injected source": {"23503", "form'; DROP TABLE intakes; --secret", fine, nil},
		"injected quote":  {"23503", `form" OR "1"="1 secret`, fine, nil},
		"other case":      {"23503", "Form", fine, nil},
		"no source":       {"23503", nil, fine, nil},
		"no payload":      {"22023", "form", nil, nil},
		"JSON null":       {"22023", "form", `null`, nil},
		"array":           {"22023", "form", `["secret"]`, nil},
		"text":            {"22023", "form", `"secret"`, nil},
		"empty":           {"22023", "form", `{}`, nil},
		"too large":       {"22023", "form", `{"secret":"` + strings.Repeat("x", 1<<20) + `"}`, nil},
		"too many keys":   {"22023", "form", "{" + strings.Join(keys, ",") + "}", nil},
		"too deep":        {"22023", "form", `{"secret":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, nil},
		"key too long":    {"22023", "form", fine, strings.Repeat("s", 201)},
		"key not plain":   {"22023", "form", fine, "secret\n2"},
		"key not ASCII":   {"22023", "form", fine, "sécret"},
	} {
		refusal := n.isRefused(c.code, enqueueLead, c.source, c.payload, c.key)
		if refusal.Hint == "" || strings.Contains(fmt.Sprintf("%+v", refusal), "secret") {
			t.Errorf("%s: %+v, want a cure and no value", name, refusal)
		}
	}
	if intakes, waiting := s.stored(); intakes+waiting != 0 {
		t.Errorf("%d intakes and %d jobs are stored, want none", intakes, waiting)
	}
	n.enqueues(`{"secret":`+strings.Repeat("[", 31)+strings.Repeat("]", 31)+`}`, strings.Repeat("~", 200))
	n.enqueues("{"+strings.Join(keys[:500], ",")+"}", nil)
	n.enqueues(`{"email":"'; DROP TABLE intakes; --","\"":"$1"}`, "'; DROP TABLE intakes; --")
}

func TestAProducerMayPutLeadsInAndNothingElse(t *testing.T) {
	t.Parallel()
	s := newShop(t, databases.Open(t, dbctx.Postgres), jobs.Options{})
	n := s.newProducer()
	n.enqueues(`{"email":"ada@example.com"}`, nil)
	for _, table := range []string{"intakes", "leads", "sources", "source_keys", "users", "river_job", "events", "destinations"} {
		n.isRefused("42501", `SELECT FROM `+table)
		n.isRefused("42501", `DELETE FROM `+table)
	}
	n.isRefused("42501", `INSERT INTO intakes (source_id, hash, payload, received_at) VALUES (1, '', '{}', now())`)
	n.isRefused("42501", `SELECT nextval('river_job_id_seq')`)
	n.isRefused("42501", `CREATE SCHEMA mine`)
	n.isRefused("42501", `CREATE ROLE mine`)
	n.isRefused("42501", `CREATE OR REPLACE FUNCTION enqueue_lead(source text, payload jsonb, idempotency_key text DEFAULT NULL) RETURNS bigint
		LANGUAGE sql AS 'SELECT 1::bigint'`)
	n.isRefused("42501", `ALTER FUNCTION enqueue_lead(text, jsonb, text) RESET search_path`)

	var may []string
	s.run(func(ctx context.Context, tx *dbctx.Tx) (err error) {
		may, err = dbctx.All(ctx, tx, func(row dbctx.Scanner) (name string, err error) { return name, row.Scan(&name) },
			`SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = 'public' AND (c.relkind IN ('r', 'v', 'm', 'p', 'f') AND (
				has_table_privilege('leadmill_producer', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
				OR has_any_column_privilege('leadmill_producer', c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
				OR c.relkind = 'S' AND has_sequence_privilege('leadmill_producer', c.oid, 'USAGE, SELECT, UPDATE'))`)
		return err
	})
	if len(may) != 0 {
		t.Errorf("a producer has rights on %v, want none", may)
	}

	stranger := s.newNeighbour()
	stranger.does(`SET SESSION AUTHORIZATION pg_monitor`) // some role that is nobody's
	stranger.isRefused("42501", enqueueLead, "form", `{"email":"ada@example.com"}`, nil)
}

// A function with its owner's rights must not be led to the caller's tables, functions, operators or types.
func TestAProducersOwnObjectsDoNotTakeThePlaceOfOurs(t *testing.T) {
	t.Parallel()
	s := newShop(t, databases.Open(t, dbctx.Postgres), jobs.Options{})
	owner := s.newNeighbour()
	owner.does(`CREATE SCHEMA trap`)
	owner.does(`GRANT ALL ON SCHEMA trap TO leadmill_producer`)
	n := s.newProducer()
	for _, table := range []string{"sources", "intakes", "river_job"} {
		n.does(`CREATE TEMP TABLE ` + table + ` (id bigint, name text, source_id bigint, key text, hash text, payload text, received_at timestamptz)`)
		n.does(`CREATE TABLE trap.` + table + ` (id bigint, name text)`)
	}
	n.does(`INSERT INTO pg_temp.sources (id, name) VALUES (77, 'form')`)
	for _, where := range []string{"trap", "pg_temp"} {
		for _, f := range []string{
			"btrim(text) RETURNS text", "jsonb_typeof(jsonb) RETURNS text", "octet_length(text) RETURNS integer",
			"octet_length(bytea) RETURNS integer", "sha256(bytea) RETURNS bytea", "encode(bytea, text) RETURNS text",
			"convert_to(text, name) RETURNS bytea", "clock_timestamp() RETURNS timestamptz", "pg_notify(text, text) RETURNS void",
			"jsonb_build_array(bigint) RETURNS jsonb", "jsonb_build_object(text, jsonb) RETURNS jsonb",
			"jsonb_object_keys(jsonb) RETURNS SETOF text", "jsonb_path_exists(jsonb, jsonpath) RETURNS boolean",
		} {
			n.does(`CREATE FUNCTION ` + where + `.` + f + ` LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped as %', current_user; END $$`)
		}
		n.does(`CREATE TYPE ` + where + `.jsonb AS ENUM ('x')`)
	}
	n.does(`CREATE FUNCTION trap.equal(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped as %', current_user; END $$`)
	for _, operator := range []string{"=", "<>"} {
		n.does(`CREATE OPERATOR trap.` + operator + ` (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.equal)`)
	}
	n.does(`SET search_path = trap, pg_temp, public, pg_catalog`)
	var id int64
	err := n.conn.QueryRow(s.ctx, `SELECT public.enqueue_lead('form', '{"email":"ada@example.com"}'::pg_catalog.jsonb, 'k')`).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	if in := s.intake(id); in.Source != "form" || in.SourceID != s.source.ID {
		t.Errorf("intake %d is of source %d, want %d", id, in.SourceID, s.source.ID)
	}
}

// allowedBy is what doctor would have an administrator run; "" if nothing.
func allowedBy(t *testing.T, db *dbctx.DB) (cure string) {
	t.Helper()
	err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		cure, err = schema.Producers(ctx, tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return cure
}

func TestDatabasesOfOneServerMigrateSideBySideWhoeverMakesTheRole(t *testing.T) {
	t.Parallel()
	server := dbctxtest.StartServer(t, "fsync=off")
	open := func(database, user string) *dbctx.DB {
		server.Exec("", `CREATE DATABASE `+database+` OWNER `+user)
		db, err := dbctx.Open(t.Context(), strings.Replace(server.URL(database), "//leadmill@", "//"+user+"@", 1), dbctx.Pool{Size: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		return db
	}

	server.Exec("", `CREATE ROLE tenant LOGIN`) // may make no roles
	humble := open("humble", "tenant")
	if err := jobs.Migrate(t.Context(), humble); err != nil {
		t.Fatal(err)
	}
	if cure := allowedBy(t, humble); !strings.HasPrefix(cure, "CREATE ROLE leadmill_producer NOLOGIN; GRANT") {
		t.Errorf("without the role the cure is %q", cure)
	}
	s := newShop(t, humble, jobs.Options{})
	s.newNeighbour().enqueues(`{"email":"ada@example.com"}`, nil) // its owner may

	// Another database is about to make the role while these migrate: they wait for it, and go on.
	maker := (&shop{t: t, ctx: t.Context(), db: open("elsewhere", "leadmill")}).newNeighbour()
	maker.does(`BEGIN`)
	maker.does(`CREATE ROLE leadmill_producer NOLOGIN`)
	var wg sync.WaitGroup
	for i := range 4 {
		db := open(fmt.Sprintf("side%d", i), "leadmill")
		wg.Go(func() {
			if err := jobs.Migrate(t.Context(), db); err != nil {
				t.Error(err)
			} else if cure := allowedBy(t, db); cure != "" {
				t.Errorf("database %d lacks %q", i, cure)
			}
		})
	}
	s.until("a migration that waits", func() (waiting bool) {
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			return tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted)`).Scan(&waiting)
		})
		return waiting
	})
	maker.does(`COMMIT`)
	wg.Wait()

	cure := strings.Split(allowedBy(t, humble), "; ") // the role is there now
	if len(cure) != 2 {
		t.Errorf("the cure is %q, want two grants", cure)
	}
	for _, sql := range cure {
		server.Exec("humble", sql)
	}
	if cure := allowedBy(t, humble); cure != "" {
		t.Errorf("after the cure it lacks %q", cure)
	}
}

// BenchmarkLeadsFromSQL calls enqueue_lead 10,000 times: in one transaction, and by 20 connections with a commit for each.
func BenchmarkLeadsFromSQL(b *testing.B) {
	const calls, callers = 10_000, 20
	payload := `jsonb_build_object('email', 'bench' || n || '@example.com', 'name', 'Bench ' || n)`
	call := `SELECT enqueue_lead('form', ` + payload + `, NULL) FROM generate_series(1, $1::bigint) n`
	db := safe.Open(b, dbctx.Postgres)
	err := dbctx.Run(b.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		_, err := schema.EnsureSource(ctx, tx, "form", at)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	run := func(b *testing.B, connections, statements, rows int) {
		var wg sync.WaitGroup
		for range connections {
			conn, err := pgx.ConnectConfig(b.Context(), db.PgxConfig())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close(context.Background())
			wg.Go(func() {
				for range statements {
					if _, err := conn.Exec(b.Context(), call, rows); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	b.Run("transaction", func(b *testing.B) {
		for b.Loop() {
			run(b, 1, 1, calls)
		}
		b.ReportMetric(calls*float64(b.N)/b.Elapsed().Seconds(), "leads/s")
	})
	b.Run("commits", func(b *testing.B) {
		for b.Loop() {
			run(b, callers, calls/callers, 1)
		}
		b.ReportMetric(calls*float64(b.N)/b.Elapsed().Seconds(), "leads/s")
	})
}

// safe loses nothing when the power fails.
var safe = dbctxtest.NewOn("jobsbench", jobs.Migrate, dbctxtest.Safe...)
