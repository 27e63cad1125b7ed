package schema_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/score"
	"github.com/leadmill/leadmill/schema"
)

var (
	databases = dbctxtest.New("schema", jobs.Migrate)
	empty     = dbctxtest.New("schemaempty", nil)
)

func TestMain(m *testing.M) { dbctxtest.Main(m) }

var at = time.Date(2026, 3, 2, 9, 30, 0, 123456000, time.UTC)

// each runs fn inside one scope on every database.
func each(t *testing.T, fn func(ctx context.Context, t *testing.T, tx *dbctx.Tx)) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			fn(ctx, t, tx)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func aLead(id int64, fields map[string]string) schema.Lead {
	l := schema.Lead{Lead: lead.Lead{ID: id, Fields: map[string]lead.Field{}, Submissions: 1}, State: schema.StateNew}
	for name, value := range fields {
		l.Fields[name] = lead.Field{Value: value, Source: "form", Intake: id, At: at}
	}
	return l
}

func TestALeadAndAUserAreReadBackAsWritten(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, tx *dbctx.Tx) {
		u := must[schema.User](t)(schema.InsertUser(ctx, tx, schema.User{Email: "a@example.com", Role: "admin", Weight: 3}, at))
		got := must[schema.User](t)(schema.UserByEmail(ctx, tx, "a@example.com"))
		if diff := cmp.Diff(u, got); diff != "" {
			t.Errorf("user (-written +read):\n%s", diff)
		}
		l := aLead(7, map[string]string{"email": "ada@example.com", "name": "Ada \"x\" <ü> Lovelace"})
		l.OwnerID, l.OwnerReason, l.State = u.ID, "because", schema.StateOwned
		l.Extra, l.Parts = map[string]any{"shoe": "38"}, []score.Part{}
		schema.SaveLeads(tx, []schema.Lead{l}, at)
		read := must[schema.Lead](t)(schema.GetLead(ctx, tx, 7))
		l.Owner, l.CreatedAt, l.UpdatedAt = u.Email, at, at
		if diff := cmp.Diff(l, read); diff != "" {
			t.Errorf("lead (-written +read):\n%s", diff)
		}
	})
}

func TestCreatingTheTablesFiveTimesChangesNothing(t *testing.T) {
	empty.Each(t, func(t *testing.T, db *dbctx.DB) {
		l := aLead(7, map[string]string{"email": "ada@example.com"})
		var before []string
		for i := range 5 {
			if err := jobs.Migrate(t.Context(), db); err != nil {
				t.Fatalf("time %d: %v", i+1, err)
			}
			if i == 0 {
				keepLeadAndUser(t, db, l)
				before = shapeOf(t, db)
			}
		}
		if diff := cmp.Diff(before, shapeOf(t, db)); diff != "" || len(before) < 20 {
			t.Errorf("%d tables and indexes behind the first time; (-first +fifth):\n%s", len(before), diff)
		}
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			read := must[schema.Lead](t)(schema.GetLead(ctx, tx, 7))
			u := must[schema.User](t)(schema.UserByEmail(ctx, tx, "a@example.com"))
			if read.Value("email") != "ada@example.com" || u.Weight != 3 {
				t.Errorf("behind the fifth time the lead is %+v and the user %+v, want them as written", read, u)
			}
			return nil
		}, dbctx.ReadOnly())
		if err != nil {
			t.Error(err)
		}
	})
}

// keepLeadAndUser writes them in a scope of its own.
func keepLeadAndUser(t *testing.T, db *dbctx.DB, l schema.Lead) {
	t.Helper()
	err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		schema.SaveLeads(tx, []schema.Lead{l}, at)
		_, err := schema.InsertUser(ctx, tx, schema.User{Email: "a@example.com", Role: "admin", Weight: 3}, at)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// shapes list all tables with their columns and indexes, each with the mark that the database gave it when it was made, and
// the migrations that were applied.
var shapes = map[dbctx.Dialect]string{
	dbctx.Postgres: `SELECT concat_ws(' ', c.relkind, c.relname, c.oid, (SELECT string_agg(attname || ' ' || atttypid, ',' ORDER BY attnum)
			FROM pg_attribute WHERE attrelid = c.oid)) FROM pg_class c WHERE relnamespace = 'public'::regnamespace
		UNION ALL SELECT concat_ws(' ', id, version_id, tstamp) FROM goose_db_version
		UNION ALL SELECT concat_ws(' ', line, version, created_at) FROM river_migration ORDER BY 1`,
	dbctx.SQLite: `SELECT type || ' ' || name || ' ' || rootpage || ' ' || coalesce(sql, '') FROM sqlite_master
		UNION ALL SELECT id || ' ' || version_id || ' ' || tstamp FROM goose_db_version
		UNION ALL SELECT line || ' ' || version || ' ' || created_at FROM river_migration ORDER BY 1`,
}

func shapeOf(t *testing.T, db *dbctx.DB) (shape []string) {
	t.Helper()
	err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		shape, err = dbctx.All(ctx, tx, func(row dbctx.Scanner) (line string, err error) { return line, row.Scan(&line) }, shapes[db.Dialect()])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return shape
}

func TestSavingAKnownLeadKeepsItsBeginning(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, tx *dbctx.Tx) {
		l := aLead(7, map[string]string{"email": "ada@example.com"})
		schema.SaveLeads(tx, []schema.Lead{l}, at)
		l.Score = 40
		schema.SaveLeads(tx, []schema.Lead{l}, at.Add(time.Hour))
		got := must[schema.Lead](t)(schema.GetLead(ctx, tx, 7))
		if got.Score != 40 || !got.CreatedAt.Equal(at) || !got.UpdatedAt.Equal(at.Add(time.Hour)) {
			t.Errorf("score %d, created %s, updated %s; want 40, %s and an hour later", got.Score, got.CreatedAt, got.UpdatedAt, at)
		}
	})
}

func TestWhatIsMissingIsNotFound(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, tx *dbctx.Tx) {
		_, lead := schema.GetLead(ctx, tx, 42)
		_, intake := schema.GetIntake(ctx, tx, 42)
		_, source := schema.SourceByName(ctx, tx, "nowhere")
		for _, err := range []error{lead, intake, source} {
			if !errors.Is(err, schema.ErrNotFound) {
				t.Errorf("error = %v, want ErrNotFound", err)
			}
		}
		if got, want := lead.Error(), "lead 42: not found"; got != want {
			t.Errorf("error = %q, want %q", got, want)
		}
	})
}

func TestAnIdempotencyKeyStoresOneIntake(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, tx *dbctx.Tx) {
		s := must[schema.Source](t)(schema.EnsureSource(ctx, tx, "form", at))
		in := schema.NewIntake{SourceID: s.ID, Key: "k", Hash: "h", Payload: `{"a":1.0}`}
		first, replayed, err := schema.InsertIntake(ctx, tx, in, at)
		if err != nil || replayed {
			t.Fatalf("first = replayed %v, %v", replayed, err)
		}
		second, replayed, err := schema.InsertIntake(ctx, tx, in, at)
		if err != nil || !replayed || second != first {
			t.Errorf("second = %d, replayed %v, %v; want %d, replayed", second, replayed, err, first)
		}
		in.Hash = "other"
		if _, _, err = schema.InsertIntake(ctx, tx, in, at); !errors.Is(err, schema.ErrKeyReused) {
			t.Errorf("another body behind the key: %v, want ErrKeyReused", err)
		}
		in.Key = ""
		for range 2 {
			if id, replayed, err := schema.InsertIntake(ctx, tx, in, at); err != nil || replayed || id == first {
				t.Errorf("without a key = %d, replayed %v, %v; want one of its own", id, replayed, err)
			}
		}
		got := must[schema.Intake](t)(schema.GetIntake(ctx, tx, first))
		if got.Payload != `{"a":1.0}` || got.Status != lead.Pending || !got.ReceivedAt.Equal(at) {
			t.Errorf("intake = %+v, want the payload byte for byte, pending since %s", got, at)
		}
	})
}

func TestAKeyBelongsToWhoeverHadItFirst(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, tx *dbctx.Tx) {
		claim := must[map[string]int64](t)
		got := claim(schema.ClaimKeys(ctx, tx, []schema.KeyClaim{{Key: "e:b@x", LeadID: 1}, {Key: "e:a@x", LeadID: 1}}))
		if diff := cmp.Diff(map[string]int64{"e:a@x": 1, "e:b@x": 1}, got); diff != "" {
			t.Error(diff)
		}
		got = claim(schema.ClaimKeys(ctx, tx, []schema.KeyClaim{{Key: "e:a@x", LeadID: 2}, {Key: "e:c@x", LeadID: 2}}))
		if diff := cmp.Diff(map[string]int64{"e:a@x": 1, "e:c@x": 2}, got); diff != "" {
			t.Error(diff)
		}
		schema.GiveKeys(tx, []schema.KeyClaim{{Key: "e:c@x", LeadID: 1}})
		got = claim(schema.ClaimKeys(ctx, tx, []schema.KeyClaim{{Key: "e:c@x", LeadID: 3}}))
		if got["e:c@x"] != 1 {
			t.Errorf("a given key belongs to %d, want 1", got["e:c@x"])
		}
	})
}

func TestLeadsAreFoundByWhatPeopleType(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, tx *dbctx.Tx) {
		schema.SaveLeads(tx, []schema.Lead{
			aLead(1, map[string]string{"name": "Zoë Müller", "first_name": "Zoë", "last_name": "Müller", "company": "Umbra Solar", "email": "zoe@example.com", "phone": "+4930231251"}),
			aLead(2, map[string]string{"name": "Zoltan Smith", "first_name": "Zoltan", "last_name": "Smith", "company": "Dummy Data", "email": "zs@example.com"}),
		}, at)
		_, err := schema.ClaimKeys(ctx, tx, []schema.KeyClaim{
			{Key: "e:zoe@example.com", LeadID: 1}, {Key: "p:+493023125038", LeadID: 1}, {Key: "e:zs@example.com", LeadID: 2}})
		if err != nil {
			t.Fatal(err)
		}
		for search, want := range map[string]string{
			"": "[2 1]", "zo": "[2 1]", "ZOE": "[1]", "müller": "[1]", "muller z": "[1]", "zoltan smi": "[2]", "umbra": "[1]",
			"zs@": "[2]", "Zoe+tag@example.com": "[1]", "+49 30 2312": "[1]", "030/23125038": "[1]", "nobody": "[]", "%": "[]", "_": "[]",
		} {
			rows := must[[]schema.LeadRow](t)(schema.ListLeads(ctx, tx, schema.LeadQuery{Search: search}))
			ids := []int64{}
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			if got := fmt.Sprint(ids); got != want {
				t.Errorf("search %q found %s, want %s", search, got, want)
			}
		}
	})
}

func TestAScheduleKeepsItsNextRunOverARestart(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, tx *dbctx.Tx) {
		later := at.Add(time.Hour)
		put := func(cron string, next time.Time) time.Time {
			schema.PutSchedule(tx, schema.Schedule{Name: "s", Cron: cron, Zone: "UTC", Missed: "once", NextAt: &next})
			return *must[[]schema.Schedule](t)(schema.ListSchedules(ctx, tx))[0].NextAt
		}
		put("1 * * * *", at)
		if got := put("1 * * * *", later); !got.Equal(at) {
			t.Errorf("the same cron text moved the next run to %s, want %s", got, at)
		}
		if got := put("2 * * * *", later); !got.Equal(later) {
			t.Errorf("a changed cron text left the next run at %s, want %s", got, later)
		}
	})
}

func TestAFenceKeyOutlivesItsJobsRow(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		q, err := jobs.Open(t.Context(), db, jobs.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		err = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			if err := q.Enqueue(ctx, tx, jobs.Purge{}); err != nil {
				return err
			}
			var job int64
			if err := tx.QueryRow(ctx, `SELECT id FROM river_job`).Scan(&job); err != nil {
				return err
			}
			for _, key := range []string{fmt.Sprintf("job/%d", job), fmt.Sprintf("job/%d", job+1), "cron/purge/x"} {
				tx.Queue(`INSERT INTO done_keys (key, at) VALUES ($1, $2)`, key, at)
			}
			tx.Queue(`INSERT INTO done_keys (key, at) VALUES ('job/9999', $1)`, at.Add(time.Hour))
			last, removed, err := schema.PurgeKeys(ctx, tx, at.Add(time.Minute), "", 10)
			if err != nil || removed != 2 || last != "job/9999" {
				t.Errorf("removed %d up to %q, %v; want the two old keys without a job", removed, last, err)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// columns list every column of our tables, and every index that a migration made by name, with its columns. A sequence is
// a table with the column next where there are none.
var columns = map[dbctx.Dialect]string{
	dbctx.Postgres: `SELECT c.table_name || '.' || c.column_name FROM information_schema.columns c
			WHERE c.table_schema = 'public' AND c.table_name NOT LIKE 'river%' AND c.table_name NOT LIKE 'goose%'
		UNION ALL SELECT i.relname || ' ' || x.indisunique::int || ' ' || (SELECT string_agg(a.attname, ' ' ORDER BY a.attnum)
				FROM pg_attribute a WHERE a.attrelid = i.oid)
			FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
			WHERE c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE 'river%' AND c.relname NOT LIKE 'goose%'
				AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.oid)
		UNION ALL SELECT s.relname || '.next' FROM pg_class s
			WHERE s.relkind = 'S' AND s.relnamespace = 'public'::regnamespace AND s.relname NOT LIKE 'river%'
				AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = s.oid AND d.deptype IN ('a', 'i'))`,
	dbctx.SQLite: `SELECT m.name || '.' || c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
			WHERE m.type = 'table' AND m.name NOT LIKE 'river%' AND m.name NOT LIKE 'goose%' AND m.name NOT LIKE 'sqlite%'
		UNION ALL SELECT i.name || ' ' || i."unique" || ' ' || (SELECT group_concat(x.name, ' ') FROM pragma_index_info(i.name) x)
			FROM sqlite_master m JOIN pragma_index_list(m.name) i
			WHERE m.type = 'table' AND i.origin = 'c' AND m.name NOT LIKE 'river%' AND m.name NOT LIKE 'goose%'`,
}

func TestTwinsMakeTheSameTables(t *testing.T) {
	t.Parallel()
	made := map[dbctx.Dialect][]string{}
	for dialect, list := range columns {
		err := dbctx.Run(t.Context(), databases.Open(t, dialect), func(ctx context.Context, tx *dbctx.Tx) (err error) {
			made[dialect], err = dbctx.All(ctx, tx, func(row dbctx.Scanner) (line string, err error) { return line, row.Scan(&line) }, list)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(made[dialect])
	}
	if diff := cmp.Diff(made[dbctx.Postgres], made[dbctx.SQLite]); diff != "" || len(made[dbctx.SQLite]) < 50 {
		t.Errorf("%d columns and indexes (-postgres +sqlite):\n%s", len(made[dbctx.SQLite]), diff)
	}
}

func TestTheFunnelCountsWhatArrivedAtOnceInWhateverOrder(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, tx *dbctx.Tx) {
		s := must[schema.Source](t)(schema.EnsureSource(ctx, tx, "form", at))
		for _, received := range []time.Time{at.Add(2), at.Add(time.Millisecond), at, at.Add(-time.Hour)} {
			_, _, err := schema.InsertIntake(ctx, tx, schema.NewIntake{SourceID: s.ID, Payload: "{}"}, received)
			if err != nil {
				t.Fatal(err)
			}
		}
		schema.SaveLeads(tx, []schema.Lead{aLead(1, nil), aLead(3, nil)}, at)
		got := must[schema.FunnelCounts](t)(schema.Funnel(ctx, tx, at))
		if got.Rows != 3 || got.Pending != 3 || got.Scored != 2 {
			t.Errorf("funnel = %+v, want the three since then and their two leads", got)
		}
	})
}
