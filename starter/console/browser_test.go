package console_test

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
)

// tab is a page of a real browser.
type tab struct {
	context.Context //nolint:containedctx // chromedp keeps the browser in it
	t               *testing.T
	mu              sync.Mutex
	complaints      []string
}

// chromium finds the browser; without one the test is left out.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium is installed; Debian has it as the package chromium")
	return ""
}

func browse(t *testing.T, scripts bool) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.WindowSize(1280, 1500))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, stop := chromedp.NewContext(allocator)
	t.Cleanup(stop)
	ctx, stop = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(stop)
	b := &tab{Context: ctx, t: t}
	chromedp.ListenTarget(ctx, b.listen)
	b.do(log.Enable(), audits.Enable(), emulation.SetScriptExecutionDisabled(!scripts))
	return b
}

// listen collects what a browser complains of: content that the policy forbids, errors, and what opens by itself.
func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError && !strings.Contains(e.Entry.Text, "status of 4") {
			b.complaints = append(b.complaints, e.Entry.Text+" "+e.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if e.Issue.Code == audits.InspectorIssueCodeContentSecurityPolicyIssue {
			b.complaints = append(b.complaints, string(e.Issue.Code))
		}
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, e.ExceptionDetails.Text)
	case *page.EventJavascriptDialogOpening:
		b.complaints = append(b.complaints, "a dialog: "+e.Message)
	case *browser.EventDownloadWillBegin:
		b.complaints = append(b.complaints, "a download: "+e.URL)
	}
}

func (b *tab) do(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b, actions...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	var text string
	b.do(chromedp.Text(selector, &text, chromedp.ByQuery))
	return text
}

// calm requires that nothing was complained of.
func (b *tab) calm() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, complaint := range b.complaints {
		b.t.Errorf("the browser complains: %s", complaint)
	}
}

// picture keeps what the page looks like, where somebody wants to see it.
func (b *tab) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("TENUTO_PICTURES")
	if dir == "" {
		return
	}
	var png []byte
	b.do(chromedp.CaptureScreenshot(&png))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) signIn(base string) {
	b.t.Helper()
	b.do(
		chromedp.Navigate(base+"/console"), chromedp.WaitVisible("#key"),
		chromedp.SendKeys("#key", gatewaytest.AdminToken), chromedp.Submit("#key"), chromedp.WaitVisible("#words"),
	)
}

func TestBrowser(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.plant()
	for name, scripts := range map[string]bool{"with scripts": true, "without scripts": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := browse(t, scripts)
			b.do(chromedp.Navigate(h.URL+"/console/runs?chain=support-triage"), chromedp.WaitVisible("#key"))
			b.picture("sign-in")
			b.do(chromedp.SendKeys("#key", "tnt_wrong"), chromedp.Submit("#key"), chromedp.WaitVisible(".problem"))
			b.do(chromedp.SendKeys("#key", gatewaytest.AdminToken), chromedp.Submit("#key"), chromedp.WaitVisible("#words"))
			if got := b.text("table.runs"); !strings.Contains(got, "support-triage") || strings.Contains(got, "docs-qa") {
				t.Errorf("after signing in one sees what was asked for: %s", got)
			}
			b.do(chromedp.Navigate(h.URL+"/console/runs"), chromedp.WaitVisible("table.runs"))
			b.picture("runs")
			b.do(chromedp.SendKeys("#words", "GROSS darf"), chromedp.Submit("#words"), chromedp.WaitVisible(".empty"))
			b.do(chromedp.Navigate(h.URL+"/console/runs"), chromedp.SendKeys("#words", "groß darf"), chromedp.Submit("#words"), chromedp.WaitVisible("table.runs"))
			if got := b.text("main"); !strings.Contains(got, "Wie groß darf") || strings.Contains(got, "recover") || !strings.Contains(got, "Looked at 8 runs, back to") {
				t.Errorf("a search shows %s", got)
			}
			b.do(chromedp.Click("table.runs a"), chromedp.WaitVisible(".waterfall"))
			if got := b.text("main"); !strings.Contains(got, "unknown") {
				t.Errorf("an unknown price is shown as %s", got)
			}
			b.do(chromedp.Navigate(h.URL+"/console/runs/"+rich().RunID), chromedp.WaitVisible(".waterfall"))
			b.picture("run")
			b.do(chromedp.Navigate(h.URL+"/console/runs/"+evil().RunID), chromedp.WaitVisible(".waterfall"))
			if got := b.text("main"); strings.Count(got, "<script>alert(1)</script>") < 10 || strings.ContainsAny(got, "\u202e\u2066\x1b\x07\u200b") {
				t.Errorf("hostile output is shown as %s", got)
			}
			b.picture("evil")
			b.do(chromedp.Click("button.plain"), chromedp.WaitVisible("#key"))
			b.do(chromedp.Navigate(h.URL+"/console/runs"), chromedp.WaitVisible("#key"))
			b.calm()
		})
	}
}

func TestBrowserSizesAndColours(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.plant()
	b := browse(t, true)
	b.signIn(h.URL)
	for _, view := range []struct {
		name   string
		width  int64
		scheme string
	}{{"phone", 375, "light"}, {"night", 1280, "dark"}, {"phone-night", 375, "dark"}} {
		b.do(
			emulation.SetDeviceMetricsOverride(view.width, 1300, 1, false),
			emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: view.scheme}}),
		)
		for name, path := range map[string]string{"runs": "/console/runs", "run": "/console/runs/" + rich().RunID, "evil": "/console/runs/" + evil().RunID} {
			var inner, wide float64
			b.do(
				chromedp.Navigate(h.URL+path), chromedp.WaitVisible("#main"),
				chromedp.Evaluate("document.documentElement.scrollWidth", &wide), chromedp.Evaluate("window.innerWidth", &inner),
			)
			if wide > inner {
				t.Errorf("%s of %s is %v wide, in a window of %v", name, view.name, wide, inner)
			}
			b.picture(name + "-" + view.name)
		}
	}
	b.calm()
}

// TestBrowserTakesLongTexts shows a page of an answer of five megabytes, and the answer.
func TestBrowserTakesLongTexts(t *testing.T) {
	t.Parallel()
	h := open(t)
	long := strings.Repeat("<b>word</b> and another\n", 250_000)
	e := plain(7, time.Minute, "long?", long)
	h.put(e)
	b := browse(t, false)
	b.signIn(h.URL)
	begin := time.Now()
	b.do(chromedp.Navigate(h.URL+"/console/runs/"+e.RunID), chromedp.WaitVisible(".waterfall"))
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("the page took %v", took)
	}
	b.do(chromedp.Click("section[aria-labelledby=output] .whole a"), chromedp.WaitVisible("pre"))
	var address string
	b.do(chromedp.Location(&address))
	if u, err := url.Parse(address); err != nil || !strings.HasSuffix(u.Path, "/text/output") {
		t.Errorf("at %s", address)
	}
	var size int
	b.do(chromedp.Evaluate("document.body.textContent.length", &size))
	if size < len(long) {
		t.Errorf("%d characters of %d", size, len(long))
	}
	b.calm()
}
