package web

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/leadmill/leadmill/dbctx"
)

// axe finds what keeps people from reading a page: https://github.com/dequelabs/axe-core.
//
//go:embed testdata/axe.min.js
var axe string

// chromium is the path of a browser. Where there is none the test is skipped, unless LEADMILL_REQUIRE_BROWSER=1 wants
// one.
func chromium(t *testing.T) string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const cure = "no browser: apt-get install -y --no-install-recommends chromium"
	if os.Getenv("LEADMILL_REQUIRE_BROWSER") == "1" {
		t.Fatal(cure)
	}
	t.Skip(cure)
	return ""
}

// tab is a browser's tab and what it complained about.
type tab struct {
	*site
	ctx     context.Context
	console func(yield func(chromedp.ConsoleMessage, error) bool)
}

func (s *site) open() *tab {
	t := s.t
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-component-update", true),
	)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil { // waits until the browser has let go of its folder
			t.Log(err)
		}
		cancel()
	})
	return &tab{site: s, ctx: ctx, console: chromedp.Console(ctx)}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// loads does what loads another page and checks its heading.
func (b *tab) loads(heading string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	answer, err := chromedp.RunResponse(ctx, steps...)
	if err != nil {
		b.t.Fatalf("on the way to %q: %v", heading, err)
	}
	if answer.Status != http.StatusOK {
		b.t.Fatalf("%s = %d", answer.URL, answer.Status)
	}
	b.has("h1", heading)
}

func (b *tab) goTo(path, heading string) {
	b.t.Helper()
	b.loads(heading, chromedp.Navigate(b.url+path))
}

func (b *tab) has(selector, text string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	got, err := chromedp.Run(ctx, chromedp.TextContent(chromedp.CSS(selector)))
	if err != nil || !strings.Contains(got, text) {
		b.t.Fatalf("%s reads %q, %v; want %q", selector, got, err, text)
	}
}

// waitFor waits until a text shows in an element, without doing anything.
func (b *tab) waitFor(selector, text string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	found := fmt.Sprintf(`Array.from(document.querySelectorAll(%q)).filter(e => e.textContent.includes(%q))`, selector, text)
	if err := chromedp.Do(ctx, chromedp.WaitReady(chromedp.JSPath(found))); err != nil {
		b.t.Fatalf("%s never reads %q: %v", selector, text, err)
	}
}

func click(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Click(chromedp.CSS(selector))
}

// signIn types the password of a role.
func (b *tab) signIn(role string) {
	b.t.Helper()
	b.goTo("/", "Log in")
	b.do(chromedp.SendKeys(chromedp.CSS("#email"), role+"@example.com"))
	b.loads("Today", chromedp.SendKeys(chromedp.CSS("#password"), password), click(".door button"))
}

// isQuiet fails the test if the browser has complained: about a script, a file that is not there, or the policy.
func (b *tab) isQuiet() {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](`console.log("the end")`))
	for m, err := range b.console {
		if err != nil {
			b.t.Fatal(err)
		}
		if m.Text == "the end" {
			return
		}
		if m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleWarning || m.IsException() {
			b.t.Errorf("console: %s (%s, %s)", m, m.Source, m.URL)
		}
	}
}

func TestAPersonWithABrowser(t *testing.T) {
	s := newSite(t, siteDatabases.Open(t, dbctx.SQLite), Config{})
	s.users()
	s.fill()
	b := s.open()
	b.signIn("operator")
	b.loads("Leads", click(`nav a[href="/leads"]`))
	b.do(chromedp.SendKeys(chromedp.CSS("#q"), "lovel"), chromedp.WaitNotPresent(chromedp.CSS(`#live a[href="/leads/7"]`)))
	b.loads("Ada Lovelace", click(`#live a[href="/leads/1"]`))
	b.do(click("details summary"), chromedp.WaitVisible(chromedp.CSS("details[open] pre")))
	b.retries()

	b.loads("Today", click(`.brand`))
	s.send(`{"email":"katherine@example.org","name":"Katherine Johnson"}`)
	b.waitFor("#live .funnel tbody tr:nth-child(2)", "11") // the page asks for itself
	b.isQuiet()
	job := s.first(`SELECT min(id) FROM river_job WHERE kind = 'process_leads'`)
	b.do(chromedp.Navigate(fmt.Sprintf("%s/jobs/jobs/%d", s.url, job)))
	b.waitFor("body", "process_leads")
}

func TestAPersonWithoutJavaScript(t *testing.T) {
	s := newSite(t, siteDatabases.Open(t, dbctx.SQLite), Config{})
	s.users()
	s.fill()
	b := s.open()
	off := emulation.SetScriptExecutionDisabledParams{Value: true}
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, off); err != nil {
		t.Fatal(err)
	}
	b.signIn("operator")
	b.loads("Leads", click(`nav a[href="/leads"]`))
	b.loads("Leads", chromedp.SendKeys(chromedp.CSS("#q"), "lovel"), click(".search button"))
	b.do(chromedp.WaitNotPresent(chromedp.CSS(`#live a[href="/leads/7"]`)))
	b.loads("Ada Lovelace", click(`#live a[href="/leads/1"]`))
	b.do(click("details summary"), chromedp.WaitVisible(chromedp.CSS("details[open] pre")))
	b.retries()
	b.isQuiet()
}

// retries goes to what failed and presses the first button.
func (b *tab) retries() {
	b.t.Helper()
	waiting := `SELECT count(*) FROM deliveries WHERE state IN ('retrying', 'parked')`
	before := b.first(waiting)
	b.loads("Failed", click(`nav a[href="/failed"]`))
	b.loads("Failed", click(`form[action^="/deliveries/"] button`))
	b.has(".notice", "on its way again")
	if after := b.first(waiting); after != before-1 {
		b.t.Errorf("%d deliveries wait for a retry, were %d, want one less", after, before)
	}
}

// everyPage is where axe and a narrow screen are tried.
var everyPage = append([]string{"/leads/1", "/leads/3", "/leads?q=xyzzy", "/intakes/3", "/intakes/5", "/cron?notice=run", "/login", "/nothing", "/docs"}, listPages...)

func TestPagesCanBeReadByEverybody(t *testing.T) {
	s := newSite(t, siteDatabases.Open(t, dbctx.SQLite), Config{})
	s.users()
	s.fill()
	b := s.open()
	b.signIn("operator")
	for _, scheme := range []string{"light", "dark"} {
		dress := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
		if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, dress); err != nil {
			t.Fatal(err)
		}
		for _, width := range []int64{1280, 360} {
			b.do(chromedp.EmulateViewport(width, 800))
			for _, path := range everyPage {
				b.do(chromedp.Navigate(s.url + path))
				b.fits(path, width)
				b.picture(path, scheme, width)
				b.passesAxe(path, scheme, width)
			}
		}
	}
}

// fits fails the test if the page is wider than the screen.
func (b *tab) fits(path string, width int64) {
	b.t.Helper()
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
	if err != nil || got > width {
		b.t.Errorf("%s is %d wide on a screen of %d, %v", path, got, width, err)
	}
}

func (b *tab) passesAxe(path, scheme string, width int64) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](axe))
	const run = `axe.run(document, {resultTypes: ["violations"], preload: false}).then(
		r => r.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.map(n => n.html + " " + n.failureSummary).join("; ")))`
	found, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](run, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, violation := range found {
		b.t.Errorf("%s, %s, %d: %s", path, scheme, width, violation)
	}
}

// picture saves what is seen into the folder LEADMILL_PICTURES, if one is named.
func (b *tab) picture(path, scheme string, width int64) {
	folder := os.Getenv("LEADMILL_PICTURES")
	if folder == "" {
		return
	}
	image, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	name := strings.NewReplacer("/", "_", "?", "_", "=", "-").Replace(strings.TrimPrefix(path, "/"))
	file := filepath.Join(folder, fmt.Sprintf("%s-%s-%d.png", name, scheme, width))
	if err := os.WriteFile(file, image, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
