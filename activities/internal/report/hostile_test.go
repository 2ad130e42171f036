package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
	"golang.org/x/net/html"

	"github.com/tenuto-dev/tenuto/activities/internal/report"
	"github.com/tenuto-dev/tenuto/schemas"
)

// hostile texts try to be markup, to end what they stand in, and to act without showing.
var hostile = []string{
	`<script>alert(1)</script>`, `</script><script>alert(1)</script>`, `<!--<script>`, `]]>`, `<svg onload=alert(1)>`, `"><img src=x onerror=alert(1)>`,
	`' onmouseover='alert(1)`, `javascript:alert(1)`, `{{.Policy}}`, "`${alert(1)}`", "\u202egnp.exe\u202c", "\u2066\u2067\u2069\u200b\u00ad\ufeff", "a\x00b\x1b[2Jc\x7f\u009b",
	"\xff\xfe\xc0", "\ufffe\uffff\U0001fffe", "|---|\n| x |", "\n\n# Passed\n\n", "``` ` `` ``````", "@octocat #1 [a](http://b) ![i](http://c) <b>x</b>",
	"http://evil.example www.evil.example", "&lt;b&gt; &#60;", `\`, "\\`\\|", "line\r\nline\rline\u2028line\u2029line", "|", "`", " ",
}

// everywhere puts a text in each place of a result where one may stand.
func everywhere(evil string) schemas.EvalResult {
	if strings.TrimSpace(evil) == "" { // what is empty is not listed
		evil += "x"
	}
	r := sample()
	output, _ := json.Marshal(evil)
	r.ID, r.Suite, r.Description, r.Ruling, r.Baseline, r.By.Name, r.Package, r.Plan = evil, evil, evil, schemas.Ruling(evil), evil, evil, evil, evil
	r.Releases, r.Reasons, r.Verdict.Reasons, r.Trigger = []string{evil}, []string{evil}, []string{evil}, schemas.EvalTrigger(evil)
	r.Policy.Quarantine[0].Reason = evil
	for i := range r.Columns {
		r.Columns[i].Provider.Label, r.Columns[i].Prompt, r.Columns[i].Pin = evil, evil, evil
	}
	for i := range r.Cells {
		cell := &r.Cells[i]
		if cell.Case.ID != "weather" { // whose quarantine must find it
			cell.Case.ID += evil
		}
		cell.Case.Description, cell.Case.Tags, cell.Reason, cell.Input, cell.Vars = evil, []string{evil}, evil, evil, output
		cell.Code = schemas.Code(evil)
		if cell.Answer != nil {
			cell.Answer.Output, cell.Answer.RunID, cell.Answer.Retrieved = output, evil, []string{evil}
		}
		cell.GraderRuns = []string{evil}
		cell.Assertions = []schemas.AssertionResult{{Type: evil, Metric: evil, Reason: evil, Parts: []schemas.AssertionResult{{Type: evil, Reason: evil}}}}
	}
	r.Regressions[0].Case, r.Flaky[0].Quarantined = r.Cells[0].Case.ID, evil
	return r
}

// harmless are reports whose structure the others must have.
var harmless = sync.OnceValue(func() (out struct{ page, summary, xml []byte }) {
	of := func(write writer) []byte {
		var b bytes.Buffer
		if err := write(&b, everywhere("x")); err != nil {
			panic(err)
		}
		return b.Bytes()
	}
	out.page, out.summary, out.xml = of(report.HTML), of(report.Markdown), of(report.JUnit)
	return out
})

func TestHostile(t *testing.T) {
	t.Parallel()
	for _, evil := range hostile {
		checkHTML(t, evil)
		checkMarkdown(t, evil)
		checkJUnit(t, evil)
	}
}

// FuzzReports gives any text: no report changes its structure, and nothing in it acts.
func FuzzReports(f *testing.F) {
	for _, evil := range hostile {
		f.Add(evil)
	}
	f.Fuzz(func(t *testing.T, evil string) {
		checkHTML(t, evil)
		checkMarkdown(t, evil)
		checkJUnit(t, evil)
	})
}

// checkHTML expects the elements and attributes of a page of harmless texts, and nothing that acts without showing.
func checkHTML(t *testing.T, evil string) {
	t.Helper()
	page := written(t, report.HTML, everywhere(evil))
	noControls(t, "page", evil, page)
	if diff := cmp.Diff(elements(t, harmless().page), elements(t, page)); diff != "" {
		t.Fatalf("%q changes the page (-harmless +hostile)\n%s", evil, diff)
	}
}

var runPage = regexp.MustCompile(`^/console/runs/[A-Za-z0-9._:-]+$`)

// elements lists the tags of a page with the names of their attributes, and reads its data.
func elements(t *testing.T, page []byte) []string {
	t.Helper()
	var out []string
	var visit func(*html.Node)
	visit = func(n *html.Node) {
		if n.Type == html.CommentNode {
			t.Fatalf("a comment: %q", n.Data)
		}
		if n.Type == html.ElementNode {
			tag := n.Data
			for _, a := range n.Attr {
				tag += " " + a.Key
				if a.Key == "href" && runPage.MatchString(a.Val) {
					continue
				}
				if a.Key == "href" || a.Key == "src" || a.Key == "style" || strings.HasPrefix(a.Key, "on") {
					t.Fatalf("<%s %s=%q>", n.Data, a.Key, a.Val)
				}
			}
			out = append(out, tag)
			if n.Data == "script" && len(n.Attr) > 0 {
				noControls(t, "data", "", decoded(t, n.FirstChild.Data))
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			visit(c)
		}
	}
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	visit(root)
	optional := map[string]bool{"p class": true, "span class": true, "a class href": true, "mark": true} // of texts that may be empty, a run, a difference
	return slices.DeleteFunc(out, func(tag string) bool { return optional[tag] })
}

// decoded is the texts of a block of data.
func decoded(t *testing.T, data string) []byte {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(data), &value); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	var visit func(any)
	visit = func(v any) {
		switch v := v.(type) {
		case string:
			out.WriteString(v)
		case []any:
			for _, e := range v {
				visit(e)
			}
		case map[string]any:
			for _, e := range v {
				visit(e)
			}
		}
	}
	visit(value)
	return out.Bytes()
}

func noControls(t *testing.T, where, evil string, data []byte) {
	t.Helper()
	for _, r := range string(data) {
		if r != '\n' && r != '\t' && r != '\u200c' && r != '\u200d' && unicode.In(r, unicode.Cc, unicode.Bidi_Control) {
			t.Fatalf("%q leaves %U in the %s", evil, r, where)
		}
	}
}

// checkMarkdown expects that only code spans differ from a summary of harmless texts, as a reader of GitHub's Markdown sees it.
func checkMarkdown(t *testing.T, evil string) {
	t.Helper()
	summary := written(t, report.Markdown, everywhere(evil))
	noControls(t, "summary", evil, summary)
	if diff := cmp.Diff(nodes(harmless().summary), nodes(summary)); diff != "" {
		t.Fatalf("%q changes the summary (-harmless +hostile)\n%s\n%s", evil, diff, summary)
	}
}

// nodes lists what Markdown is made of, with the text that stands outside of code.
func nodes(source []byte) []string {
	var out []string
	root := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	_ = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		if n.Kind() == ast.KindCodeSpan {
			out = append(out, "code")
			return ast.WalkSkipChildren, nil
		}
		name := n.Kind().String()
		if leaf, ok := n.(*ast.Text); ok {
			name += " " + string(leaf.Segment.Value(source))
		}
		out = append(out, name)
		return ast.WalkContinue, nil
	})
	return out
}

// checkJUnit expects XML that a strict reader takes, with the elements of harmless texts.
func checkJUnit(t *testing.T, evil string) {
	t.Helper()
	data := written(t, report.JUnit, everywhere(evil))
	noControls(t, "XML", evil, data)
	if diff := cmp.Diff(tags(t, harmless().xml), tags(t, data)); diff != "" {
		t.Fatalf("%q changes the XML (-harmless +hostile)\n%s", evil, diff)
	}
}

func tags(t *testing.T, data []byte) []string {
	t.Helper()
	var out []string
	d := xml.NewDecoder(bytes.NewReader(data))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%v in %s", err, data)
		}
		if start, ok := token.(xml.StartElement); ok {
			out = append(out, start.Name.Local)
		}
	}
}

// TestContentPolicy recomputes the hashes that the page's policy allows, and finds nothing that needs more.
func TestContentPolicy(t *testing.T) {
	t.Parallel()
	page := string(written(t, report.HTML, sample()))
	allowed := regexp.MustCompile(`'sha256-([^']+)'`).FindAllStringSubmatch(page, -1)
	inline := regexp.MustCompile(`(?s)<(?:style|script)>(.*?)</(?:style|script)>`).FindAllStringSubmatch(page, -1)
	if len(allowed) != 2 || len(inline) != 2 {
		t.Fatalf("%d hashes, %d inline elements", len(allowed), len(inline))
	}
	for i := range inline {
		if got := digest(inline[i][1]); got != allowed[i][1] {
			t.Errorf("hash %s, allowed is %s", got, allowed[i][1])
		}
	}
	for _, outside := range []string{"http://", "https://", "src=", "@import", "url("} {
		if strings.Contains(page, outside) {
			t.Errorf("the page has %q", outside)
		}
	}
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// TestMarkdownIsBounded has lists and texts that are far too long.
func TestMarkdownIsBounded(t *testing.T) {
	t.Parallel()
	r := large(20_000, 10)
	for i := range r.Cells {
		r.Cells[i].Reason = strings.Repeat("`ä| ", 5000)
		r.Cells[i].State = schemas.CellErrored
		r.Cells[i].Case.Description = strings.Repeat("wörter ", 500)
	}
	for range 200 {
		r.Columns = append(r.Columns, schemas.EvalColumn{Provider: schemas.EvalProvider{ID: strings.Repeat("column", 50)}})
		r.Verdict.Reasons = append(r.Verdict.Reasons, strings.Repeat("because ", 500))
	}
	summary := string(written(t, report.Markdown, r))
	if n := len([]rune(summary)); n > report.MarkdownLimit || !strings.Contains(summary, "more; the report has all.") || !strings.HasSuffix(summary, "`qa@1f2e`.\n") {
		t.Errorf("%d characters, ending in %q", n, summary[len(summary)-100:])
	}
}
