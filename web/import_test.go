package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	cdp "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// fair is a file with a column that nobody can recognise, and a row that has to be mended.
const fair = "Kontakt-Post;Vorname;Nachname;Knopf\r\nada@example.org;Ada;Lovelace;x\r\ngrace.example.org;Grace;=Hopper;y\r\nADA@example.org;;;\r\n"

// upload sends a file as the form does.
func (s *site) upload(source, name, content string) reply {
	s.t.Helper()
	return s.uploadUpTo(source, name, content, -1)
}

// uploadUpTo sends so many bytes of the form; -1 all of them.
func (s *site) uploadUpTo(source, name, content string, most int) reply {
	s.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if err := form.WriteField("source", source); err != nil {
		s.t.Fatal(err)
	}
	if name != "" {
		part, err := form.CreateFormFile("file", name)
		if err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprint(part, content)
	}
	if err := form.Close(); err != nil {
		s.t.Fatal(err)
	}
	if most >= 0 {
		body.Truncate(most)
	}
	r, err := http.NewRequest(http.MethodPost, s.url+"/imports", &body)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	response, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(answer)}
}

var (
	hiddenPattern = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	selectPattern = regexp.MustCompile(`(?s)<select[^>]* name="([^"]*)".*?</select>`)
	chosenPattern = regexp.MustCompile(`<option value="([^"]*)" selected>`)
)

// formOf is what a browser would send of the page's fields as they stand.
func formOf(page string) url.Values {
	form := url.Values{}
	for _, m := range hiddenPattern.FindAllStringSubmatch(page, -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	for _, m := range selectPattern.FindAllStringSubmatch(page, -1) {
		form.Set(m[1], "")
		if strings.HasPrefix(m[1], "field.") {
			form.Set(m[1], "-")
		}
		if chosen := chosenPattern.FindStringSubmatch(m[0]); chosen != nil {
			form.Set(m[1], html.UnescapeString(chosen[1]))
		}
	}
	return form
}

func (s *site) importOf(id int64) (m schema.Import) {
	s.t.Helper()
	s.run(func(ctx context.Context, tx *dbctx.Tx) (err error) {
		m, err = schema.GetImport(ctx, tx, id)
		return err
	})
	return m
}

func TestAFileIsUploadedLookedAtMappedAndImported(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		s.users()
		s.login("operator")
		r := s.upload("fair", `C:\lists\fair.csv`, fair)
		if r.status != http.StatusSeeOther || r.header.Get("Location") != "/imports/1?notice=uploaded" {
			t.Fatalf("upload = %d to %s: %s", r.status, r.header.Get("Location"), mainOf(r.body))
		}
		page := s.sees("/imports/1", "semicolon", "Knopf", "All 3 rows")
		if strings.Contains(page, `hx-get`) {
			t.Error("a page with a form asks for itself again, and takes away what was chosen")
		}
		s.isGuarded("/imports/1")
		column, found := 0, false
		form := formOf(page)
		for ; form.Has(fmt.Sprintf("column.%d", column)); column++ {
			if found = form.Get(fmt.Sprintf("column.%d", column)) == "Kontakt-Post"; found {
				break
			}
		}
		if !found {
			t.Fatalf("no column Kontakt-Post in %s", mainOf(page))
		}
		form.Set(fmt.Sprintf("field.%d", column), "email")
		form.Set("do", "import")
		if r := s.press("/imports/1/orders", form); r.header.Get("Location") != "/imports/1?notice=started" {
			t.Fatalf("the order = %d to %s: %s", r.status, r.header.Get("Location"), mainOf(r.body))
		}
		s.work()
		if got, want := s.importOf(1).Counts, (schema.Counts{Rows: 3, Accepted: 1, Duplicate: 1, Rejected: 1}); got != want {
			t.Errorf("counts = %+v, want %+v", got, want)
		}
		s.sees("/imports/1", "rejected.csv", "Undo this import")
		rejected := s.get("/imports/1/rejected.csv")
		want := "\ufeffKontakt-Post,Vorname,Nachname,Knopf,rejected_because\ngrace.example.org,Grace,'=Hopper,y,The e-mail address has no @.\n"
		if rejected.body != want || !strings.HasPrefix(rejected.header.Get("Content-Disposition"), "attachment") ||
			rejected.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("rejected rows = %q with %v, want %q", rejected.body, rejected.header, want)
		}
		s.mends(rejected.body)
	})
}

// mends corrects the rejected rows and imports them: what a person said of the columns is remembered.
func (s *site) mends(rejected string) {
	s.t.Helper()
	r := s.upload("fair", "mended.csv", strings.Replace(rejected, "grace.example", "grace@example", 1))
	if r.header.Get("Location") != "/imports/2?notice=uploaded" {
		s.t.Fatalf("upload of the mended rows = %d to %s: %s", r.status, r.header.Get("Location"), mainOf(r.body))
	}
	form := formOf(s.sees("/imports/2"))
	form.Set("do", "import")
	s.press("/imports/2/orders", form)
	s.work()
	if got, want := s.importOf(2).Counts, (schema.Counts{Rows: 1, Accepted: 1}); got != want {
		s.t.Errorf("mended rows = %+v, want %+v", got, want)
	}
	s.run(func(ctx context.Context, tx *dbctx.Tx) error {
		leads, err := schema.ListLeads(ctx, tx, schema.LeadQuery{Search: "grace@example.org"})
		if err != nil || len(leads) != 1 || !strings.Contains(leads[0].Name, "Hopper") || strings.Contains(leads[0].Name, "'") {
			s.t.Errorf("leads = %+v, %v; want Grace =Hopper without what keeps spreadsheets safe", leads, err)
		}
		return err
	})
	again := s.upload("fair", "other-name.csv", fair)
	if again.header.Get("Location") != "/imports/1?notice=existed" {
		s.t.Errorf("the same file again leads to %s, want to its import", again.header.Get("Location"))
	}
}

func TestAnUploadThatIsRefusedChangesNothing(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{ImportMaxBytes: 2000})
		s.users()
		s.login("operator")
		for name, c := range map[string]struct{ source, file, content, says string }{
			"empty":    {"new", "a.csv", "", "cannot be read"},
			"a page":   {"new", "a.csv", "<!doctype html><html><body>no</body></html>", "cannot be read"},
			"a PDF":    {"new", "a.csv", "%PDF-1.7\n1 0 obj", "cannot be read"},
			"no file":  {"new", "", "", "Choose a file first."},
			"name":     {"a/b", "a.csv", fair, "1 to 100 letters"},
			"too much": {"new", "a.csv", "Email\n" + strings.Repeat("a@example.org\n", 1000), "too large: at most 1 KiB"},
		} {
			r := s.upload(c.source, c.file, c.content)
			if r.status != http.StatusUnprocessableEntity || !strings.Contains(r.body, c.says) {
				t.Errorf("%s = %d %s, want 422 and %q", name, r.status, mainOf(r.body), c.says)
			}
		}
		for most, says := range map[int]string{50: "The form cannot be read.", 500: "The file broke off"} {
			r := s.uploadUpTo("new", "a.csv", "Email\n"+strings.Repeat("a@example.org\n", 100), most)
			if r.status != http.StatusUnprocessableEntity || !strings.Contains(r.body, says) {
				t.Errorf("a form cut off after %d bytes = %d %s, want 422 and %q", most, r.status, mainOf(r.body), says)
			}
		}
		for _, table := range []string{"imports", "import_parts", "sources", "intakes"} {
			if n := s.first("SELECT count(*) FROM " + table); n != 0 {
				t.Errorf("%d rows are left in %s", n, table)
			}
		}
		s.login("viewer")
		if r := s.upload("new", "a.csv", fair); r.status != http.StatusForbidden {
			t.Errorf("a viewer's upload = %d, want 403", r.status)
		}
	})
}

func TestWhoHasSentAFileIsAnsweredHoweverLongItIsLookedAt(t *testing.T) {
	const pause = 20 * time.Millisecond
	looked := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, &lively{r.Body, http.NewResponseController(w), pause})
		select {
		case <-time.After(10 * pause):
		case <-r.Context().Done():
			err = errors.Join(err, r.Context().Err())
		}
		looked <- err
	}))
	defer server.Close()
	response, err := http.Post(server.URL, "text/csv", strings.NewReader(fair))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if err := <-looked; err != nil {
		t.Errorf("the request ended while the file was looked at: %v", err)
	}
	if response.StatusCode != http.StatusOK {
		t.Errorf("status = %d", response.StatusCode)
	}
}

func TestImportsAreSteeredByButtons(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		s.users()
		s.login("operator")
		s.upload("fair", "fair.csv", "Email,Name\nada@example.org,Ada\n")
		wrong := formOf(s.sees("/imports/1"))
		wrong.Set("encoding", "klingon")
		if r := s.press("/imports/1/orders", wrong); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.body, "alert") {
			t.Errorf("an order that makes the file unreadable = %d %s, want 422 and why", r.status, mainOf(r.body))
		}
		for _, step := range []struct{ path, notice, state string }{
			{"pause", "nothing", schema.ImportReady}, {"resume", "resumed", schema.ImportWaiting},
			{"pause", "paused", schema.ImportPaused}, {"pause", "nothing", schema.ImportPaused},
			{"resume", "resumed", schema.ImportWaiting}, {"cancel", "cancelled", schema.ImportCancelled},
			{"resume", "nothing", schema.ImportCancelled}, {"revert", "reverting", schema.ImportReverting},
			{"cancel", "nothing", schema.ImportReverting},
		} {
			r := s.press("/imports/1/"+step.path, nil)
			if r.header.Get("Location") != "/imports/1?notice="+step.notice || s.importOf(1).State != step.state {
				t.Errorf("%s leads to %s and %s, want %s and %s", step.path, r.header.Get("Location"), s.importOf(1).State, step.notice, step.state)
			}
			s.sees("/imports/1", "fair.csv")
		}
		s.work()
		if got := s.importOf(1).State; got != schema.ImportReverted {
			t.Errorf("state = %s, want reverted", got)
		}
		if n := s.first("SELECT count(*) FROM intakes"); n != 0 {
			t.Errorf("%d rows of an import that was cancelled before it began", n)
		}
	})
}

func TestAPersonImportsMendsAndImportsAgainWithABrowser(t *testing.T) {
	s := newSite(t, siteDatabases.Open(t, dbctx.SQLite), Config{})
	s.users()
	folder := t.TempDir()
	file := filepath.Join(folder, "fair.csv")
	if err := os.WriteFile(file, []byte(fair), 0o600); err != nil {
		t.Fatal(err)
	}
	b := s.open()
	downloads := cdp.SetDownloadBehaviorParams{Behavior: cdp.SetDownloadBehaviorBehaviorAllow, DownloadPath: folder}
	if _, err := chromedp.CallBrowser(b.ctx, cdp.SetDownloadBehavior, downloads); err != nil {
		t.Fatal(err)
	}
	b.signIn("operator")
	b.loads("Imports", click(`nav a[href="/imports"]`))
	b.do(chromedp.SendKeys(chromedp.CSS("#source"), "fair"), chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{file}))
	b.loads("Import 1", click(".upload button"))
	b.looksRight("/imports/1?ready")
	b.do(chromedp.SetValue(chromedp.CSS(`select[aria-label="Kontakt-Post becomes"]`), "email"))
	b.loads("Import 1", click(`button[value="look"]`))
	b.has("main", "The file is read as you have said.")
	b.has("main", "E-mail: ada@example.org")
	b.loads("Import 1", click(`button[value="import"]`))
	s.work()
	b.waitFor("#live", "Download the rejected rows")
	b.looksRight("/imports/1?done")
	b.do(click(`a[href$="rejected.csv"]`))
	mended := b.mend(filepath.Join(folder, "import-1-rejected.csv"))
	b.loads("Imports", click(`nav a[href="/imports"]`))
	b.do(chromedp.SendKeys(chromedp.CSS("#source"), "fair"), chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{mended}))
	b.loads("Import 2", click(".upload button"))
	b.has(`select[aria-label="Kontakt-Post becomes"] option:checked`, "E-mail")
	b.loads("Import 2", click(`button[value="import"]`))
	s.work()
	b.waitFor("#live .facts", "1")
	if got, want := s.importOf(2).Counts, (schema.Counts{Rows: 1, Accepted: 1}); got != want {
		t.Errorf("mended rows = %+v, want %+v", got, want)
	}
	b.isQuiet()
}

// mend waits for a download and corrects it.
func (b *tab) mend(path string) string {
	b.t.Helper()
	rows, err := os.ReadFile(path)
	for deadline := time.Now().Add(time.Minute); err != nil || !bytes.HasSuffix(rows, []byte("\n")); rows, err = os.ReadFile(path) {
		if time.Now().After(deadline) {
			b.t.Fatalf("the download did not come: %v", err)
		}
		<-time.After(20 * time.Millisecond)
	}
	if err := os.WriteFile(path+".mended.csv", bytes.Replace(rows, []byte("grace."), []byte("grace@"), 1), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path + ".mended.csv"
}

// looksRight tries the page that is shown in both schemes on a wide and on a narrow screen.
func (b *tab) looksRight(name string) {
	b.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		dress := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
		if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, dress); err != nil {
			b.t.Fatal(err)
		}
		for _, width := range []int64{1280, 360} {
			b.do(chromedp.EmulateViewport(width, 800))
			b.fits(name, width)
			b.picture(name, scheme, width)
			b.passesAxe(name, scheme, width)
		}
	}
	b.do(chromedp.EmulateViewport(1280, 800))
}
