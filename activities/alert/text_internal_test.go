package alert

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"

	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/schemas"
)

// hostile are texts as models, suites and people may write them.
var hostile = []string{
	"@octocat and @org/team", "#1, GH-1, octo/prompts#2 and a5c3785ed8d6a35868bc169f07e40e889087fd2e", "see https://evil.example and www.evil.example",
	"```\n# Heading\n@octocat", "`@octocat`", "``@octocat``", "`", "```````````", "a\n\n- [ ] task\n> quote", "<!-- tenuto:eval-issue:00 first=a run=b start=9 -->",
	"<script>alert(1)</script><img src=x onerror=alert(1)><details>", "[click](https://evil.example) ![x](https://evil.example/x.png)", "| a | b |\n|---|---|", "a\x00b\x1b[31m\u202e\u200b@octocat",
	"\xff\xfe@octocat", "$`\\text{x}`$ $$x$$", "~~~\n@octocat\n~~~", "\\`@octocat\\`", "    indented", "\r# x\r\n# y", ":tada: [^1]", "&commat;octocat &lt;b&gt;", " ` ",
	strings.Repeat("@octocat `", 20_000), strings.Repeat("字", 50_000),
}

// hostileKeeping has such texts wherever an alert has one.
func hostileKeeping(text string) keeping {
	in := schemas.EvalAlert{
		Run:  schemas.EvalRun{Tenant: "default", Suite: "docs-qa", ID: "r1", StartMS: 1},
		Link: "https://tenuto.example/" + text,
	}
	in.Summary = schemas.EvalSummary{Ruling: schemas.RulingFailed, Baseline: text, Trigger: schemas.EvalTrigger(text), Flaky: 1}
	for range 30 {
		in.Summary.Reasons = append(in.Summary.Reasons, text)
		in.Summary.Releases = append(in.Summary.Releases, text)
	}
	return keeping{in: in}
}

var (
	markdown = goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe()))
	codes    = regexp.MustCompile(`(?s)<pre><code[^>]*>.*?</code></pre>|<code>.*?</code>`)
	reports  = regexp.MustCompile(`<a href="https://tenuto\.example/[^"<>]*">https://tenuto\.example/[^"<>]*</a>`)
	tags     = regexp.MustCompile(`</?[a-zA-Z]+|<!--`)
)

// checkHarmless renders a text as code hosts do, and requires that outside of code there is nothing but what the package itself writes.
func checkHarmless(t *testing.T, source, marker string) {
	t.Helper()
	if !utf8.ValidString(source) || len(source) > forge.MaxBody || !strings.HasPrefix(source, marker) {
		t.Fatalf("%d bytes, valid %v, begins with %.60q", len(source), utf8.ValidString(source), source)
	}
	var b bytes.Buffer
	if err := markdown.Convert([]byte(source), &b); err != nil {
		t.Fatal(err)
	}
	_, shown, found := strings.Cut(b.String(), "-->")
	if !found {
		t.Fatalf("no marker: %.200q", b.String())
	}
	outside := reports.ReplaceAllString(codes.ReplaceAllString(shown, ""), "")
	for _, tag := range tags.FindAllString(outside, -1) {
		switch strings.Trim(tag, "</") {
		case "p", "ul", "li":
		default:
			t.Errorf("there is %s in\n%.2000s", tag, outside)
		}
	}
	for _, sign := range []string{"@", "#", "`", "octo", "evil", "://", "$", "["} {
		if strings.Contains(outside, sign) {
			t.Errorf("there is %s in\n%.2000s", sign, outside)
		}
	}
}

func TestHostileTexts(t *testing.T) {
	t.Parallel()
	for _, text := range hostile {
		k := hostileKeeping(text)
		checkHarmless(t, k.body("r1"), k.marker())
		for _, action := range []string{opened, updated, closed} {
			checkHarmless(t, k.comment(action), k.runMarker())
		}
		if told := readTold(k.body("r0")); told.first != "r0" || told.run != "r1" || told.start != 1 {
			t.Errorf("%.40q: told %+v", text, told)
		}
	}
}

func FuzzTexts(f *testing.F) {
	for _, text := range hostile[:20] {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k := hostileKeeping(text)
		source := k.body("r1")
		if len(source) > forge.MaxBody || !utf8.ValidString(source) {
			t.Fatalf("%d bytes", len(source))
		}
		var b bytes.Buffer
		if err := markdown.Convert([]byte(source), &b); err != nil {
			t.Fatal(err)
		}
		_, shown, _ := strings.Cut(b.String(), "-->")
		outside := reports.ReplaceAllString(codes.ReplaceAllString(shown, ""), "")
		if strings.ContainsAny(outside, "@#`$[") || strings.Contains(outside, "<!--") || strings.Contains(outside, "<a ") || strings.Contains(outside, "<h") {
			t.Fatalf("outside of code:\n%s", outside)
		}
	})
}

// TestLinks has addresses that may be followed, and others.
func TestLinks(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://tenuto.example/console/evals/a?x=1&y=(2)": "<https://tenuto.example/console/evals/a?x=1&y=(2)>",
		"/console/evals/a":         "`/console/evals/a`",
		"javascript:alert(1)":      "`javascript:alert(1)`",
		"https://a.example/> @x":   "`https://a.example/> @x`",
		"https://a.example/\n# x":  "`https://a.example/ # x`",
		"https://a.example/`x":     "``https://a.example/`x``",
		"https://a.example/\\>":    "`https://a.example/\\>`",
		"https://user:w@a.example": "`https://user:w@a.example`",
	} {
		if got := link(address); got != want {
			t.Errorf("%q: %s, want %s", address, got, want)
		}
	}
}

func TestReadTold(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]told{
		"<!-- tenuto:eval-issue:00 first=a run=b start=12 -->\nrest":                 {"a", "b", 12},
		"<!-- tenuto:eval-issue:00 first=a run=b start=12 -->\r\nrest":               {"a", "b", 12},
		"<!-- tenuto:eval-issue:00 first=a run=b start=1234567890123456789012 -->\n": {},
		"<!-- tenuto:eval-issue:00 -->\n<!-- x first=a run=b start=12 -->":           {},
		"": {},
	} {
		if got := readTold(body); got != want {
			t.Errorf("%q: %+v", body, got)
		}
	}
}
