package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead/intake"
	"github.com/leadmill/leadmill/schema"
)

// people is a file of n rows, all different, the row's number in each.
func people(n int) string {
	var file strings.Builder
	file.WriteString("Email,Name,No\n")
	for i := range n {
		fmt.Fprintf(&file, "p%d@example.com,Person %d,%d\n", i+1, i+1, i+1)
	}
	return file.String()
}

// hold takes a file in and leaves it to the test to begin.
func (s *shop) hold(name, content string) int64 {
	s.t.Helper()
	id, existed, err := s.q.ReceiveFile(s.ctx, jobs.File{Source: "fair", Name: name, Body: strings.NewReader(content), Hold: true})
	if err != nil || existed {
		s.t.Fatalf("ReceiveFile = existed %v, %v", existed, err)
	}
	return id
}

// begin lets it be read, by whoever works the files.
func (s *shop) begin(id int64) {
	s.t.Helper()
	s.run(func(ctx context.Context, tx *dbctx.Tx) error { return s.q.StartImport(ctx, tx, id) })
}

// hasEveryRowOnce fails the test unless the rows from 1 to n are stored, each once, each with what stands there.
func (s *shop) hasEveryRowOnce(id int64, n int64) {
	s.t.Helper()
	s.run(func(ctx context.Context, tx *dbctx.Tx) error {
		rows, err := dbctx.All(ctx, tx, func(row dbctx.Scanner) (r [2]string, err error) {
			return r, row.Scan(&r[0], &r[1])
		}, `SELECT CAST(row_no AS text), payload FROM intakes WHERE import_id = $1 ORDER BY intakes.row_no`, id)
		if int64(len(rows)) != n {
			s.t.Errorf("%d rows are stored, want %d", len(rows), n)
		}
		for i, r := range rows {
			want := fmt.Sprintf(`{"Email":"p%[1]d@example.com","Name":"Person %[1]d","No":"%[1]d"}`, i+1)
			if r[0] != fmt.Sprint(i+1) || r[1] != want {
				s.t.Fatalf("row %s holds %s, want row %d with %s", r[0], r[1], i+1, want)
			}
		}
		return err
	})
}

// countsAreVerdicts fails the test unless what is counted for an import is what a count of its rows gives.
func (s *shop) countsAreVerdicts(id int64) schema.Counts {
	s.t.Helper()
	got, want := s.importOf(id).Counts, schema.Counts{}
	s.run(func(ctx context.Context, tx *dbctx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*), count(CASE WHEN status = 'pending' THEN 1 END), count(CASE WHEN status = 'accepted' THEN 1 END),
			count(CASE WHEN status = 'duplicate' THEN 1 END), count(CASE WHEN status = 'rejected' THEN 1 END),
			count(CASE WHEN status = 'quarantined' THEN 1 END) FROM intakes WHERE import_id = $1`, id).
			Scan(&want.Rows, &want.Pending, &want.Accepted, &want.Duplicate, &want.Rejected, &want.Quarantined)
	})
	if got != want {
		s.t.Errorf("counts = %+v, the rows have %+v", got, want)
	}
	return got
}

func TestCountsOfAnImportAreTheVerdictsOnItsRows(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		s.users(1)
		s.start()
		var file strings.Builder
		file.WriteString("Email,Name\n")
		for i := range 700 {
			fmt.Fprintf(&file, "p%d@example.com,Person\nnobody,Nobody %d\nx%d@example.com,http://example.net/win%d\n", i%500, i, i, i)
		}
		id, _, err := s.q.TakeFile(s.ctx, "fair", "list.csv", strings.NewReader(file.String()))
		if err != nil {
			t.Fatal(err)
		}
		s.untilSettled(id)
		if got, want := s.countsAreVerdicts(id), (schema.Counts{Rows: 2100, Accepted: 500, Duplicate: 200, Rejected: 700, Quarantined: 700}); got != want {
			t.Errorf("counts = %+v, want %+v", got, want)
		}
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			held, err := schema.ListIntakes(ctx, tx, schema.IntakeFilter{ImportID: id, Status: "quarantined", Limit: 3})
			for _, in := range held {
				err = errors.Join(err, s.q.ReleaseIntake(ctx, tx, in.ID))
			}
			return err
		})
		s.untilSettled(id)
		if got := s.countsAreVerdicts(id); got.Accepted != 503 || got.Quarantined != 697 {
			t.Errorf("counts = %+v after three were released, want 503 accepted and 697 quarantined", got)
		}
	})
}

func TestVerdictsThatNobodyCountedAreCountedLater(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		s.start()
		const rows = 1_200
		id, _, err := s.q.TakeFile(s.ctx, "fair", "list.csv", strings.NewReader(people(rows)))
		if err != nil {
			t.Fatal(err)
		}
		s.untilSettled(id)
		s.run(func(ctx context.Context, tx *dbctx.Tx) error { // a worker of the release before has given those of two chunks
			tx.Queue(`UPDATE import_chunks SET accepted = 0, done = false WHERE import_id = $1 AND first_row > 1`, id)
			return s.q.Enqueue(ctx, tx, jobs.Purge{})
		})
		s.until("the purge", func() bool { return s.finished("purge") == 1 })
		if got, want := s.countsAreVerdicts(id), (schema.Counts{Rows: rows, Accepted: rows}); got != want {
			t.Errorf("counts = %+v, want %+v", got, want)
		}
		if n := s.number(`SELECT count(*) FROM import_chunks WHERE NOT done`); n != 0 {
			t.Errorf("%d chunks still wait for verdicts", n)
		}
	})
}

// untilSettled waits until every row of the file has its verdict.
func (s *shop) untilSettled(id int64) {
	s.t.Helper()
	s.until("the verdicts of an import", func() bool {
		m := s.importOf(id)
		return m.Over() && m.Counts.Pending == 0
	})
}

func TestHowFarAFileIsReadIsToldByItsBytes(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		const rows = 40_000 // without a letter beyond ASCII, so all of it is looked at to tell the encoding
		id := s.hold("list.csv", people(rows))
		s.begin(id)
		ctx, cancel := context.WithCancel(s.ctx)
		var reader sync.WaitGroup
		reader.Go(func() { _ = s.q.ReadFile(ctx, id) })
		s.until("as many rows as may wait", func() bool { return s.importOf(id).Rows == 4000 })
		m := s.importOf(id)
		if share := float64(m.BytesRead) / float64(m.Size); share < 0.05 || share > 0.25 {
			t.Errorf("%.0f %% of the bytes are read with a tenth of the rows", 100*share)
		}
		cancel()
		reader.Wait()
	})
}

func TestAnImportThatIsCutOffGoesOnAtTheExactRow(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{Queues: []string{jobs.Bulk, jobs.Live}})
		s.start()
		const rows = 7_321
		id := s.hold("list.csv", people(rows))
		s.begin(id)
		cuts := 0
		for s.importOf(id).State != schema.ImportDone {
			patience := 150*time.Millisecond + time.Duration(cuts)*5*time.Millisecond // a slow machine comes to an end, too
			ctx, cancel := context.WithTimeout(s.ctx, rand.N(patience))
			if s.q.ReadFile(ctx, id) != nil {
				cuts++
			}
			cancel()
		}
		t.Logf("cut off %d times", cuts)
		s.untilSettled(id)
		s.hasEveryRowOnce(id, rows)
		if got, want := s.countsAreVerdicts(id), (schema.Counts{Rows: rows, Accepted: rows}); got != want {
			t.Errorf("counts = %+v, want %+v", got, want)
		}
	})
}

func TestSeveralReadersOfOneFileStoreEveryRowOnce(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{Queues: []string{jobs.Bulk}})
		s.start()
		const rows = 5_000
		id := s.hold("list.csv", people(rows))
		s.begin(id)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := s.q.ReadFile(s.ctx, id); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		s.untilSettled(id)
		s.hasEveryRowOnce(id, rows)
		s.countsAreVerdicts(id)
	})
}

func TestAReaderStaysAFewChunksAhead(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{Queues: []string{jobs.Files}})
		s.start()
		id := s.hold("list.csv", people(jobs.ChunksAhead*schema.ChunkRows+1000))
		s.begin(id)
		const most = jobs.ChunksAhead * schema.ChunkRows
		s.until("as many rows as may wait", func() bool { return s.importOf(id).Rows == most })
		s.run(func(ctx context.Context, tx *dbctx.Tx) error { return schema.PauseImport(ctx, tx, id) })
		s.work(jobs.Bulk, func() { s.until("their verdicts", func() bool { return s.importOf(id).Counts.Accepted == most }) })
		if got := s.importOf(id); got.Rows != most || got.State != schema.ImportPaused {
			t.Errorf("a paused import is %s with %d rows, want %d and no more", got.State, got.Rows, most)
		}
		s.begin(id)
		s.work(jobs.Bulk, func() { s.untilSettled(id) })
		s.hasEveryRowOnce(id, most+1000)
	})
}

// work lets another process work a queue meanwhile, and what cron sends.
func (s *shop) work(queue string, meanwhile func()) {
	s.t.Helper()
	q, err := jobs.Open(s.ctx, s.db, jobs.Options{Queues: []string{queue, jobs.Maintenance}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer q.Close()
	if err := q.Start(s.ctx); err != nil {
		s.t.Fatal(err)
	}
	defer func() {
		if err := q.Stop(context.Background()); err != nil {
			s.t.Error(err)
		}
	}()
	meanwhile()
}

func TestWhoPausesAndResumesLosesNothing(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		s.start()
		const rows = 6_000
		id := s.hold("list.csv", people(rows))
		s.begin(id)
		for range 30 {
			pause := s.try(func(ctx context.Context, tx *dbctx.Tx) error { return schema.PauseImport(ctx, tx, id) })
			<-time.After(rand.N(20 * time.Millisecond)) // whoever reads is anywhere
			resume := s.try(func(ctx context.Context, tx *dbctx.Tx) error { return s.q.StartImport(ctx, tx, id) })
			if pause != resume {
				t.Errorf("paused %v and resumed %v: only what is paused can be resumed", pause, resume)
			}
		}
		s.untilSettled(id)
		s.hasEveryRowOnce(id, rows)
		s.countsAreVerdicts(id)
	})
}

// try says whether there was something to do.
func (s *shop) try(fn func(context.Context, *dbctx.Tx) error) bool {
	s.t.Helper()
	err := dbctx.Run(s.ctx, s.db, fn)
	if err != nil && !errors.Is(err, schema.ErrNotFound) {
		s.t.Fatal(err)
	}
	return err == nil
}

func TestACancelledImportKeepsWhatItTookAndMayComeAgain(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{Queues: []string{jobs.Files}})
		s.start()
		content := people(jobs.ChunksAhead*schema.ChunkRows + 1000)
		id := s.hold("list.csv", content)
		s.begin(id)
		s.until("some rows", func() bool { return s.importOf(id).Rows > 1000 })
		if !s.try(func(ctx context.Context, tx *dbctx.Tx) error { return schema.CancelImport(ctx, tx, id, at) }) {
			t.Fatal("an import that is being read cannot be cancelled")
		}
		rows := s.importOf(id).Rows
		s.work(jobs.Bulk, func() { s.untilSettled(id) })
		s.hasEveryRowOnce(id, rows)
		if n := s.number(`SELECT count(*) FROM import_parts`); n != 0 {
			t.Errorf("%d parts of a file that nobody will read are kept", n)
		}
		again := s.hold("list.csv", content)
		s.begin(again)
		s.work(jobs.Bulk, func() { s.untilSettled(again) })
		if got := s.importOf(again).Counts; got.Rows != jobs.ChunksAhead*schema.ChunkRows+1000 || got.Duplicate != rows {
			t.Errorf("the same file again: %+v, want all of it, and the %d rows known", got, rows)
		}
	})
}

func (s *shop) number(sql string, args ...any) (n int64) {
	s.t.Helper()
	s.run(func(ctx context.Context, tx *dbctx.Tx) error { return tx.QueryRow(ctx, sql, args...).Scan(&n) })
	return n
}

func TestTheSameFileAddsNothingUnderAnyName(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		s.start()
		ids, existed := map[int64]bool{}, 0
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				id, was, err := s.q.TakeFile(s.ctx, "fair", fmt.Sprintf("list-%d.csv", i), strings.NewReader(people(100)))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if ids[id] = true; was {
					existed++
				}
			})
		}
		wg.Wait()
		s.untilIdle()
		if len(ids) != 1 || existed != 3 || s.number(`SELECT count(*) FROM imports`) != 1 || s.number(`SELECT count(*) FROM intakes`) != 100 {
			t.Errorf("the same file four times at once: imports %v, %d existed; want one import of 100 rows", ids, existed)
		}
	})
}

func TestAFileThatCannotBeReadLeavesNothing(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		for name, f := range map[string]jobs.File{
			"empty":    {Body: strings.NewReader("")},
			"too long": {Body: strings.NewReader(people(1000)), Limit: 1000},
			"broken":   {Body: &brokenOff{left: 3 << 20}},
			"half":     {Body: io.MultiReader(strings.NewReader(people(10)), iotest.ErrReader(io.ErrUnexpectedEOF))}, // as net/http says it
			"order":    {Body: strings.NewReader(people(10)), Orders: jobs.Orders{Options: intake.Options{Encoding: "klingon"}}},
		} {
			f.Source, f.Name = "never seen", name
			_, _, err := s.q.ReceiveFile(s.ctx, f)
			if !errors.Is(err, intake.ErrFile) && !errors.Is(err, jobs.ErrTooLarge) && !errors.Is(err, errBrokenOff) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: %v, want it said", name, err)
			}
		}
		if n := s.number(`SELECT (SELECT count(*) FROM imports) + (SELECT count(*) FROM import_parts) + (SELECT count(*) FROM sources)`); n != 1 {
			t.Errorf("%d rows are there, want the one source that was there before", n)
		}
	})
}

func TestAFileMayBeCalledAnything(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		for name, want := range map[string]string{
			"lists/fair.csv":           "fair.csv",
			"f\xe4ir\x00.csv":          "f\uFFFDir.csv", // in Latin-1, and hostile
			strings.Repeat("long", 99): strings.Repeat("long", 64)[:255],
		} {
			id := s.hold(name, "Email\n"+want+"@example.com\n")
			if got := s.importOf(id).File; got != want {
				t.Errorf("%q is called %q, want %q", name, got, want)
			}
		}
	})
}

func TestLongRowsAreStoredAFewAtATimeAndAllCounted(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		s.start()
		const long, rows = 45, 745
		var file strings.Builder
		file.WriteString("Email,Message\n")
		for i := range rows {
			message := "short"
			if i < long {
				message = strings.Repeat("long ", 40_000)
			}
			fmt.Fprintf(&file, "p%d@example.com,%s\n", i, message)
		}
		id := s.hold("list.csv", file.String())
		s.begin(id)
		s.untilSettled(id)
		if got, want := s.countsAreVerdicts(id), (schema.Counts{Rows: rows, Accepted: rows}); got != want {
			t.Errorf("counts = %+v, want %+v", got, want)
		}
		if n := s.number(`SELECT max(row_no) FROM intakes`); n != rows {
			t.Errorf("the last row is %d, want %d", n, rows)
		}
		if n := s.number(`SELECT count(*) FROM import_chunks WHERE done`); n != 2 {
			t.Errorf("%d chunks are done, want two: what is read in pieces is counted as one", n)
		}
		if n := s.number(`SELECT count(*) FROM river_job WHERE kind = 'process_leads'`); n != 4 {
			t.Errorf("%d jobs process the rows, want three for the chunk with the long ones", n)
		}
	})
}

// brokenOff is a sender who goes away.
type brokenOff struct{ left int }

var errBrokenOff = errors.New("the sender is gone")

// Read is io.Reader.
func (b *brokenOff) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errBrokenOff
	}
	n := min(b.left, len(p))
	b.left -= n
	return copy(p[:n], strings.Repeat("a,b\n", n/4+1)), nil
}

func TestAFileThatBreaksOffFailsWithTheRowsBefore(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		s.start()
		content := people(600) + `"` + strings.Repeat("never closed ", 200_000)
		id := s.hold("list.csv", content)
		s.begin(id)
		s.untilSettled(id)
		m := s.importOf(id)
		if m.State != schema.ImportFailed || m.Error == "" || m.Counts.Accepted != 600 {
			t.Errorf("import = %s because of %q with %+v, want it failed behind 600 rows", m.State, m.Error, m.Counts)
		}
		if again := s.hold("list.csv", content); again == id {
			t.Error("a file that has failed cannot be sent again")
		}
	})
}

func TestAFileOfLongRowsIsForeseenFromAFewOfThem(t *testing.T) {
	var file strings.Builder
	file.WriteString("Email,Message\n")
	const rows = 130
	for i := range rows {
		fmt.Fprintf(&file, "p%d@example.com,%s\n", i, strings.Repeat("long ", 40_000))
	}
	e, err := jobs.Examine(strings.NewReader(file.String()), int64(file.Len()), jobs.Orders{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if n := e.Columns[1].Samples; n > 30 {
		t.Errorf("%d rows of 200,000 bytes are held to see what the columns are", n)
	}
	if f, err := e.Judge(5, func() bool { return false }); err != nil || !f.Whole || f.Rows != rows {
		t.Errorf("%d rows are looked at, whole %v, %v; want all %d", f.Rows, f.Whole, err, rows)
	}
}

func TestWhatAPersonSaidOfColumnsIsRememberedForTheSource(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		s.users(1)
		s.start()
		first := s.hold("a.csv", "Kontakt-Post,Fon privat,Name\nada@example.com,,Ada\n")
		orders := jobs.Orders{Mapping: intake.Mapping{"Kontakt-Post": "email", "Name": intake.Ignored}}
		if err := s.q.OrderFile(s.ctx, first, orders, true); err != nil {
			t.Fatal(err)
		}
		if err := s.q.OrderFile(s.ctx, first, jobs.Orders{}, true); !errors.Is(err, schema.ErrNotFound) {
			t.Errorf("an order for an import that has begun = %v, want ErrNotFound", err)
		}
		s.untilSettled(first)
		// The same columns in another order, with ours for the reasons.
		id, _, err := s.q.TakeFile(s.ctx, "fair", "b.csv", strings.NewReader("Name,Kontakt-Post,Fon privat,rejected_because\nGrace,grace@example.com,,No address.\n"))
		if err != nil {
			t.Fatal(err)
		}
		s.untilSettled(id)
		s.untilIdle()
		for _, id := range []int64{first, id} {
			if got := s.importOf(id).Counts; got.Accepted != 1 {
				t.Errorf("import %d = %+v, want its row accepted by the address in Kontakt-Post", id, got)
			}
		}
		l := s.lead(s.number(`SELECT max(id) FROM leads`))
		if l.Value("email") != "grace@example.com" || l.Value("name") != "" || l.Extra["Name"] != "Grace" || l.Extra["rejected_because"] != nil {
			t.Errorf("lead = %v with %v, want what was said of the columns, and no reasons", l.Fields, l.Extra)
		}
		other, _, err := s.q.TakeFile(s.ctx, "elsewhere", "b.csv", strings.NewReader("Kontakt-Post,Fon privat,Name\nx,,Ada\n"))
		if err != nil {
			t.Fatal(err)
		}
		if field, told := s.importOf(other).Mapping["Name"]; told {
			t.Errorf("another source takes the column Name for %q without having been told", field)
		}
	})
}

func TestARowThatIsRejectedMeanwhileDoesNotSpoilTheRejectedRows(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		s.start()
		id, _, err := s.q.TakeFile(s.ctx, "fair", "list.csv", strings.NewReader("Email,Name\nnobody,Ada\n"))
		if err != nil {
			t.Fatal(err)
		}
		s.untilSettled(id)
		out := &meanwhile{do: func() {
			s.run(func(_ context.Context, tx *dbctx.Tx) error {
				tx.Queue(`INSERT INTO intakes (source_id, hash, payload, import_id, row_no, status, received_at)
					VALUES ($1, 'h', '{"Email":"none","column_3":"more"}', $2, 2, 'rejected', $3)`, s.source.ID, id, at)
				return nil
			})
		}}
		if err := s.q.WriteRejected(s.ctx, s.importOf(id), out); err != nil {
			t.Fatal(err)
		}
		if want := "\ufeffEmail,Name,rejected_because\nnobody,Ada,The e-mail address has no @.\n"; string(out.written) != want {
			t.Errorf("rejected rows = %q, want %q", out.written, want)
		}
	})
}

// meanwhile does something before the first byte is written.
type meanwhile struct {
	written []byte
	do      func()
}

// Write is io.Writer.
func (m *meanwhile) Write(p []byte) (int, error) {
	if m.do != nil {
		m.do()
		m.do = nil
	}
	m.written = append(m.written, p...)
	return len(p), nil
}
