package console_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// looked are the sizes and colours in which people look at pages.
var looked = []struct {
	name   string
	width  int64
	scheme string
}{{"wide", 1280, "light"}, {"night", 1280, "dark"}, {"phone", 375, "light"}, {"phone-night", 375, "dark"}}

// looks shows a page in all of them, and requires that it is not wider than the window.
func (b *tab) looks(name, address string) {
	b.t.Helper()
	for _, view := range looked {
		var inner, wide float64
		b.do(
			emulation.SetDeviceMetricsOverride(view.width, 1300, 1, false),
			emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: view.scheme}}),
			chromedp.Navigate(address), chromedp.WaitVisible("#main"),
			chromedp.Evaluate("document.documentElement.scrollWidth", &wide), chromedp.Evaluate("window.innerWidth", &inner),
		)
		if wide > inner {
			b.t.Errorf("%s of %s is %v wide, in a window of %v", name, view.name, wide, inner)
		}
		b.whole(name + "-" + view.name)
	}
	b.do(emulation.ClearDeviceMetricsOverride())
}

// whole keeps what a page looks like from its beginning to its end.
func (b *tab) whole(name string) {
	b.t.Helper()
	dir := os.Getenv("TENUTO_PICTURES")
	if dir == "" {
		return
	}
	var png []byte
	b.do(chromedp.FullScreenshot(&png, 100))
	if err := os.WriteFile(dir+"/"+name+".png", png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func TestBrowserGoesFromListToWaterfall(t *testing.T) {
	t.Parallel()
	h := open(t)
	base := h.plantMatrix()
	for name, scripts := range map[string]bool{"with scripts": true, "without scripts": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := browse(t, scripts)
			b.signIn(h.URL)
			b.do(chromedp.Click("nav a[href='/console/evals']"), chromedp.WaitVisible("a.here[href='/console/evals']"))
			b.do(chromedp.Click("table.runs td.main a"), chromedp.WaitVisible("nav.crumbs"))
			b.do(chromedp.Click("td.main a"), chromedp.WaitVisible("table.cells"))
			b.do(chromedp.SetValue("#state", "regressed"), chromedp.Submit("#state"), chromedp.WaitReady("#state option[value=regressed][selected]"))
			if got := b.text("table.cells"); !strings.Contains(got, "case-00003") || strings.Contains(got, "case-00011") {
				t.Errorf("regressed are %s", got)
			}
			b.do(chromedp.Click("table.cells a.verdict"), chromedp.WaitVisible("#assertions"))
			if got := b.text("h1"); got != "case-00003" {
				t.Errorf("at %s", got)
			}
			b.do(chromedp.Click("a.waterfall-link"), chromedp.WaitVisible(".waterfall"))
			for _, path := range []string{"/cells/12", "?order=suite"} {
				b.do(chromedp.Navigate(h.URL+base+path), chromedp.WaitVisible("h1"))
				if got := b.text("main"); !strings.Contains(got, "<script>alert(1)</script>") || strings.ContainsAny(got, "\u202e\u2066\x1b\u200b") {
					t.Errorf("hostile output is shown as %s", got)
				}
			}
			b.calm()
		})
	}
}

func TestBrowserShowsCellsInAllSizes(t *testing.T) {
	t.Parallel()
	h := open(t)
	base := h.plantMatrix()
	b := browse(t, true)
	b.signIn(h.URL)
	for name, path := range map[string]string{"matrix": base, "matrix-evil": base + "?order=suite", "cell": base + "/cells/9", "cell-evil": base + "/cells/12", "cell-repeat": base + "/cells/21"} {
		b.looks(name, h.URL+path)
	}
	b.reads(h.URL + base)
	b.reads(h.URL + base + "/cells/9")
	b.calm()
}

// unlabelled finds what a reader of screens would stumble over: one h1, levels of headings without a gap, heads of tables with a scope, fields with a
// label, ids that are there once, and regions that scroll and can be reached by the keyboard.
const unlabelled = `(() => {
	const wrong = [], all = s => [...document.querySelectorAll(s)];
	if (all('h1').length !== 1) wrong.push(all('h1').length + ' h1');
	let level = 0;
	for (const h of all('h1,h2,h3,h4')) { const n = +h.tagName[1]; if (n > level + 1) wrong.push(h.tagName + ' after h' + level + ': ' + h.textContent); level = n; }
	for (const th of all('th')) if (!th.getAttribute('scope')) wrong.push('a th without a scope');
	for (const t of all('table')) if (!t.caption) wrong.push('a table without a caption');
	for (const f of all('input:not([type=hidden]),select')) if (!f.labels.length) wrong.push('no label: ' + f.name);
	const ids = all('[id]').map(e => e.id); for (const id of new Set(ids)) if (ids.filter(i => i === id).length > 1) wrong.push('id twice: ' + id);
	for (const e of all('[aria-labelledby]')) if (!document.getElementById(e.getAttribute('aria-labelledby'))) wrong.push('named by nothing: ' + e.getAttribute('aria-labelledby'));
	for (const a of all('a')) if (!a.textContent.trim()) wrong.push('an empty link');
	for (const e of all('main *')) { const s = getComputedStyle(e); if ((/auto|scroll/).test(s.overflowX + s.overflowY) && (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1) && e.tabIndex < 0) wrong.push('scrolls, and no key reaches it: ' + e.tagName + '.' + e.className); }
	return wrong;
})()`

// reads requires that a page is sound for who does not see it.
func (b *tab) reads(address string) {
	b.t.Helper()
	var wrong []string
	b.do(chromedp.Navigate(address), chromedp.WaitVisible("#main"), chromedp.Evaluate(unlabelled, &wrong))
	for _, what := range wrong {
		b.t.Errorf("%s: %s", regexp.MustCompile(`^http://[^/]*`).ReplaceAllString(address, ""), what)
	}
}
