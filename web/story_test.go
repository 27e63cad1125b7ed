package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
)

func TestPagesTellTheWholeStory(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		s.users()
		s.fill()
		s.login("operator")
		s.sees("/", "Quarantined", "Retrying", "no job waits")
		s.sees("/leads/1", "Ada Lovelace", "Why the score", "Scored ", "First heard of through web-form",
			"Heard of again through web-form, known by the same e-mail, with title.", "What we had stands for phone, last name and name.",
			"Given to ", "Delivered to crm at try 1; it answered 200.", "was not taken: it answered 503",
			"given up: ", "utm_source", "/jobs/jobs/", "/intakes/8", "&lt;b&gt;crm&lt;/b&gt; says 200")
		s.sees("/leads/3", "GRACE.Hopper@navy.example.com", "grace.hopper@navy.example.com", "grace hopper")
		s.sees("/intakes?status=quarantined", "The name holds a link.", "/intakes/5")
		s.sees("/intakes/5", "Release it", "casino.example")
		s.sees("/intakes?status=rejected", "There is neither an e-mail address nor a telephone number")
		s.sees("/failed", "says 503", "retrying", "parked", "import_file", "/failed/jobs/")
		s.sees("/imports", "fair.csv", "/imports/1", "/intakes?import=1")
		s.sees("/intakes?import=1", "Only rows of import 1", "row 2")
		s.sees("/destinations", "crm", "stopped", "410 Gone")
		s.sees("/cron", "purge", "17 3 * * *", "Run now")
		s.isGuarded("/leads/1")
		s.isGuarded("/intakes/5")
		s.login("viewer")
		for _, path := range []string{"/failed", "/leads/1", "/intakes/5", "/cron"} {
			s.lacks(path, "Retry", "Release it", "Run now", "/jobs/")
		}
	})
}

func TestWhatWasSentIsNeverMarkup(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{Dev: true})
		s.fill()
		for _, path := range []string{"/leads", "/leads/3", "/intakes/2", "/intakes/3", "/leads?q=<script>alert(2)</script>", "/failed"} {
			s.lacks(path, "<script>alert", "<b>erp</b>")
		}
		s.sees("/leads/3", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; Navy")
	})
}

func TestLeadsAreFoundByTheirBeginnings(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{Dev: true})
		s.fill()
		for typed, want := range map[string]string{
			"ada@love": "/leads/1", "ADA": "/leads/1", "lovelace": "/leads/1", "analytical": "/leads/1",
			"+44 20 7946": "/leads/1", "020 7946 0018": "/leads/1", "zoe": "/leads/4", "Zoë Müller": "/leads/4", "radium": "/leads/7",
		} {
			body := s.sees("/leads?" + url.Values{"q": {typed}}.Encode())
			if n := strings.Count(body, `<th scope="row">`); n != 1 || !strings.Contains(body, `"`+want+`"`) {
				t.Errorf("search for %q shows %d leads, want only %s", typed, n, want)
			}
		}
		s.sees("/leads?q=xyzzy", "No lead begins like that")
		s.sees("/leads?before=x", "Ada Lovelace")
	})
}

func TestListsAreTurnedPageByPage(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{Dev: true})
		var file strings.Builder
		file.WriteString("email\n")
		for i := range pageRows + 3 {
			fmt.Fprintf(&file, "person%d@example.com\n", i)
		}
		if _, _, err := s.q.TakeFile(t.Context(), "file", "people.csv", strings.NewReader(file.String())); err != nil {
			t.Fatal(err)
		}
		s.work()
		for _, list := range []string{"/leads", "/intakes?import=1"} {
			body := s.sees(list, "Older")
			if strings.Contains(body, "Newest") {
				t.Errorf("GET %s leads back to itself", list)
			}
			older := before(body, `" rel="next"`, `<a href="`)
			if n := strings.Count(s.sees(older, "Newest"), `<th scope="row">`); n != 3 {
				t.Errorf("GET %s shows %d rows, want the 3 that are left", older, n)
			}
		}
	})
}

// before returns the text between the last from in front of mark and the mark.
func before(body, mark, from string) string {
	head, _, _ := strings.Cut(body, mark)
	return strings.ReplaceAll(head[strings.LastIndex(head, from)+len(from):], "&amp;", "&")
}

func TestOperatorsPutThingsRight(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		s.users()
		s.fill()
		s.login("operator")
		delivery := s.first(`SELECT min(id) FROM deliveries WHERE state = 'retrying'`)
		job := s.first(`SELECT id FROM river_job WHERE kind = 'import_file' AND state <> 'completed'`)
		for _, c := range []struct {
			path, back, want, notice string
		}{
			{fmt.Sprintf("/deliveries/%d/retry", delivery), "/leads/1", "/leads/1?notice=delivery", "on its way again"},
			{fmt.Sprintf("/deliveries/%d/retry", delivery), "https://evil.example/", "/failed?notice=nothing", "nothing to do"},
			{fmt.Sprintf("/failed/jobs/%d/retry", job), "", "/failed?notice=job", "as soon as a worker is free"},
			{"/failed/jobs/999999/retry", "", "/failed?notice=nothing", "nothing to do"},
			{"/intakes/5/release", "", "/intakes/5?notice=release", "is released"},
			{"/intakes/5/release", "", "/intakes/5?notice=nothing", "nothing to do"},
			{"/cron/purge/run", "", "/cron?notice=run", "is enqueued"},
			{"/cron/none/run", "", "/cron?notice=nothing", "nothing to do"},
		} {
			r := s.press(c.path, url.Values{"back": {c.back}})
			if r.status != http.StatusSeeOther || r.header.Get("Location") != c.want {
				t.Errorf("POST %s = %d to %q, want %q: %s", c.path, r.status, r.header.Get("Location"), c.want, mainOf(r.body))
				continue
			}
			s.sees(c.want, c.notice)
		}
		s.lacks("/failed", fmt.Sprintf("/deliveries/%d/retry", delivery))
		s.work()
		s.sees("/intakes/5", "accepted", "released from quarantine")
		if n := s.first(`SELECT count(*) FROM river_job WHERE kind = 'purge' AND state = 'completed'`); n != 1 {
			t.Errorf("purge ran %d times, want once", n)
		}
	})
}

func TestOperatorsResolveWhatIsUncertain(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		s.users()
		s.fill()
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE deliveries SET state = 'uncertain' WHERE state = 'retrying' AND lead_id = 1`)
			return err
		})
		id := s.first(`SELECT min(id) FROM deliveries WHERE state = 'uncertain'`)
		path := fmt.Sprintf("/deliveries/%d/delivered", id)
		s.login("viewer")
		s.lacks("/failed", path)
		s.login("operator")
		s.sees("/", "Uncertain")
		s.sees("/failed", "uncertain", "mark it as delivered", path, fmt.Sprintf("/deliveries/%d/retry", id))
		s.sees("/leads/1", "uncertain", path)
		for _, want := range []string{"/leads/1?notice=delivered", "/leads/1?notice=nothing"} {
			if r := s.press(path, url.Values{"back": {"/leads/1"}}); r.status != http.StatusSeeOther || r.header.Get("Location") != want {
				t.Errorf("POST %s = %d to %q, want %q", path, r.status, r.header.Get("Location"), want)
			}
		}
		s.sees("/leads/1?notice=delivered", "is marked as delivered", "Delivery to erp marked as delivered.", "operator@example.com")
		s.lacks("/failed", path)
	})
}
