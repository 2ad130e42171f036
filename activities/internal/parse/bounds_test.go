package parse

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// hostile are inputs that are cheap to write and dear to read for a careless reader. Each is a unit that is repeated between a
// head and a tail.
var hostile = []struct{ name, path, head, unit, tail string }{
	{"one line of text", "a.txt", "", "x", ""},
	{"one line of words", "a.md", "", "word ", ""},
	{"one line of code", "a.go", "", "x+", ""},
	{"one line of HTML", "a.html", "<p>", "word ", ""},
	{"one JSON string", "a.json", `{"a":"`, "x", `"}`},
	{"one JSON list", "a.json", `[`, "1,", `1]`},
	{"one CSV row", "a.csv", "", "a,", "a\nb,c\n"},
	{"many CSV rows under a long name", "a.csv", strings.Repeat("x", 1000) + ",y\n", "a,b\n", ""},
	{"many CSV rows", "a.csv", "", "a;b;c\n", ""},
	{"XML text", "a.xml", "<a>", "word ", "</a>"},
	{"many lines", "a.rst", "", "a\n", ""},
	{"underlines", "a.rst", "", "==\n", ""},
	{"open brackets", "a.md", "", "[", ""},
	{"open links", "a.md", "", "[a](", ""},
	{"images", "a.md", "", "![", ""},
	{"emphasis", "a.md", "", "*a_ ", ""},
	{"stars", "a.md", "", "*", ""},
	{"backquotes", "a.md", "", "`a``", ""},
	{"open HTML in Markdown", "a.md", "", "<a ", ""},
	{"comments in Markdown", "a.md", "", "<!--", ""},
	{"quotes", "a.md", "", ">", ""},
	{"quotes in lines", "a.md", "", "> > > a\n", ""},
	{"nested lists", "a.md", "", "- ", "a"},
	{"reference definitions", "a.md", "", "[a]: b\n", ""},
	{"uses of a reference", "a.md", "[a]: b\n\n", "[a]\n\n", ""},
	{"table rows", "a.md", "|a|b|\n|-|-|\n", "|a|b|\n", ""},
	{"a wide table", "a.md", "", "|a", "\n" + strings.Repeat("|-", 1000) + "\n"},
	{"list items", "a.md", "", "- a\n", ""},
	{"numbers", "a.md", "", "1) a\n\n", ""},
	{"headings", "a.md", "", "# a\n", ""},
	{"footnotes", "a.md", "", "[^1]", "\n\n[^1]: x\n"},
	{"entities", "a.md", "", "&amp", ""},
	{"links", "a.md", "", "http://a.b ", ""},
	{"addresses", "a.md", "", "a@b.c", ""},
	{"elements", "a.html", "", "<div>", ""},
	{"inline elements", "a.html", "", "<b>", ""},
	{"formatting over paragraphs", "a.html", "", "<b><p>", ""},
	{"tables", "a.html", "", "<table><tr><td>a</table>", ""},
	{"nested tables", "a.html", "", "<table><tr><td>", ""},
	{"flat paragraphs", "a.html", "", "<p>a</p>", ""},
	{"breaks", "a.html", "", "a<br>", ""},
	{"lists", "a.html", "", "<ul><li>a", ""},
	{"comments", "a.html", "", "<!--", ""},
	{"attributes", "a.html", "<a ", "a=b ", ">"},
	{"JSON lists in lists", "a.json", "", "[", ""},
	{"JSON objects in objects", "a.json", "", `{"a":`, ""},
	{"record in record", "", "", `{"text":`, ""},
	{"elements in elements", "a.xml", "", "<a>", ""},
	{"front matter lists", "a.md", "---\na: ", "[", "\n---\n"},
	{"front matter maps", "a.md", "---\na: ", "{a: ", "\n---\n"},
	{"front matter dashes", "a.md", "---\na:\n ", "- ", "\n---\n"},
	{"front matter keys", "a.md", "---\n", "? ", "\n---\n"},
	{"front matter indents", "a.md", "---\n" + staircase(1000), "#\n", "---\n"},
	{"TOML lists", "a.md", "+++\na = ", "[", "\n+++\n"},
	{"aliases", "a.md", "---\n" + laughs(12), "#\n", "---\n"},
}

func staircase(n int) string {
	var out strings.Builder
	for i := range n {
		out.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return out.String()
}

// laughs is YAML whose aliases stand for 9^n values.
func laughs(n int) string {
	out := "a0: &a0 [x]\n"
	for i := 1; i <= n; i++ {
		last := "*a" + string(rune('a'+i-2))
		if i == 1 {
			last = "*a0"
		}
		out += "a" + string(rune('a'+i-1)) + ": &a" + string(rune('a'+i-1)) + " [" + strings.Repeat(last+",", 8) + last + "]\n"
	}
	return out
}

// Every hostile input ends, with a document that keeps its promises or an understandable error, in time that grows about as the
// input does and with memory of a few times its size.
func TestHostileInputsAreBounded(t *testing.T) { //nolint:paralleltest // it measures time
	for _, h := range hostile { //nolint:paralleltest // as above
		t.Run(h.name, func(t *testing.T) {
			measure := func(n int) (time.Duration, uint64) {
				in := Input{Path: h.path, Data: []byte(h.head + strings.Repeat(h.unit, n/len(h.unit)) + h.tail)}
				if h.path == "" {
					in.MediaType = "application/vnd.tenuto.document+json"
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				start := time.Now()
				doc, err := Parse(in)
				took := time.Since(start)
				runtime.ReadMemStats(&after)
				if err == nil {
					err = consistent(doc)
					if err != nil {
						t.Error(err)
					}
				}
				return took, after.TotalAlloc - before.TotalAlloc
			}
			short, _ := measure(100_000)
			long, allocated := measure(1_000_000)
			for range 3 { // a busy machine spoils a try; what is slow by itself spoils all
				if long > 40*max(short, 100*time.Millisecond) {
					long, allocated = measure(1_000_000)
				}
			}
			if long > 40*max(short, 100*time.Millisecond) {
				t.Errorf("100 KB took %v, 1 MB took %v", short, long)
			}
			if allocated > 500<<20 {
				t.Errorf("1 MB of input allocated %d MB", allocated>>20)
			}
			t.Logf("1 MB: %v, %d MB", long, allocated>>20)
		})
	}
}
