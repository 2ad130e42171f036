package parse

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
)

// outline renders blocks as "kind: text", headings as "h2: text", with | for line ends.
func outline(doc Document) []string {
	var out []string
	for _, b := range doc.Blocks {
		kind := string(b.Kind)
		if b.Kind == Heading {
			kind = fmt.Sprintf("h%d", b.Level)
		}
		out = append(out, kind+": "+strings.ReplaceAll(doc.Text[b.Start:b.End], "\n", "|"))
	}
	return out
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, path, media, data string
		title                   string
		want                    []string
		meta                    map[string][]string
	}{
		{name: "plain text", path: "a.txt", data: "One\r\ntwo.\r\n\r\n  Three\n", want: []string{"paragraph: One|two.", "paragraph: Three"}},
		{name: "text that begins like a picture", path: "a.txt", data: "BMW is a car maker.", want: []string{"paragraph: BMW is a car maker."}},
		{name: "white space only", path: "a.md", data: " \n\t\n"},
		{
			name: "Markdown", path: "a.md",
			data:  "# The *title* {#id}\n\nSome **bold** `code` and a [link](http://x).\nNext &amp; last\\*.\n\n```go\nfunc f() {\n\tx()\n}\n```\n\n- one\n- two\n  1. inner\n\n| a | b |\n|---|---|\n| 1 | *2* |\n\n> Quoted\n\nSub\n---\n",
			title: "The title",
			want: []string{
				"h1: The title", "paragraph: Some bold code and a link.|Next & last*.", "code: func f() {|\tx()|}",
				"list: - one|- two|  1. inner", "table: a | b|1 | 2", "paragraph: Quoted", "h2: Sub",
			},
		},
		{
			name: "YAML front matter", path: "a.md",
			data:  "---\ntitle: \"T: x\"\nTags: [a, b]\nDraft: false\nauthor:\n  name: &n Ann\neditor: *n\ndate: 2024-05-06\n---\n# H\n",
			title: "T: x", want: []string{"h1: H"},
			meta: map[string][]string{"tags": {"a", "b"}, "draft": {"false"}, "author.name": {"Ann"}, "editor": {"Ann"}, "date": {"2024-05-06"}},
		},
		{
			name: "TOML front matter", path: "a.md", data: "+++\ntitle = 'T'\nweight = 3\n[x]\ny = [1, 2]\n+++\nText\n",
			title: "T", want: []string{"paragraph: Text"}, meta: map[string][]string{"weight": {"3"}, "x.y": {"1", "2"}},
		},
		{name: "a thematic break is no front matter", path: "a.md", data: "---\nHello\n\n---\nText\n", want: []string{"paragraph: Hello", "paragraph: Text"}},
		{name: "HTML in Markdown", path: "a.md", data: "<details><summary>More</summary>\n\nHidden <b>bold</b><br>line\n\n</details>\n<!-- no -->\n", want: []string{"paragraph: More", "paragraph: Hidden bold|line"}},
		{
			name: "HTML", path: "a.html",
			data:  "<!doctype html><html lang=en><head><title>Site</title><meta name=description content=D><style>x{}</style></head><body><nav>Menu</nav><h1>The title</h1><p>One&nbsp;&lt; two<br>three <i>four</i>.</p><pre>a\n  b</pre><h2>Sub</h2><ul><li>x<ul><li>y</li></ul></li></ul><table><tr><th>A<th>B<tr><td>1<td>2</table><dl><dt>t<dd>d</dl><script>function(){}</script><footer>Foot</footer></body></html>",
			title: "The title",
			want: []string{
				"h1: The title", "paragraph: One < two|three four.", "code: a|  b", "h2: Sub", "list: - x|  - y", "table: A | B|1 | 2",
				"paragraph: t", "paragraph: d",
			},
			meta: map[string][]string{"language": {"en"}, "description": {"D"}},
		},
		{name: "HTML in a declared charset", path: "x.htm", data: "<meta charset=windows-1251><p>\xcf\xf0\xe8\xe2\xe5\xf2", want: []string{"paragraph: Привет"}},
		{name: "HTML by its content", path: "page", data: "<!DOCTYPE html><p>Text", want: []string{"paragraph: Text"}},
		{name: "Go's documentation", path: "a.html", data: "<!--{\n\"Title\": \"T\",\n\"Path\": \"/p\"\n}-->\n<h2>H</h2>", title: "T", want: []string{"h2: H"}, meta: map[string][]string{"path": {"/p"}}},
		{
			name: "CSV with a header", path: "a.csv", data: "name,born\n\"Lee, Ann\",1980\nBo,\n",
			want: []string{"table: name: Lee, Ann|born: 1980", "table: name: Bo"},
		},
		{name: "CSV without a header", path: "a.csv", data: "1|2\n3|4\n", want: []string{"table: 1 | 2", "table: 3 | 4"}},
		{name: "CSV with tabs", path: "a.tsv", data: "a\tb\nx \"y\"\tz\n", want: []string{`table: a: x "y"|b: z`}},
		{
			name: "JSON", path: "a.json", data: `{"title":"T","a":{"b":[1,2.50,"x"],"c":null},"list":[{"k":"v"},{"k":true}],"end":"two\nlines"}`, title: "T",
			want: []string{"table: title: T|a.b: 1, 2.50, x|list[0].k: v", "table: list[1].k: true", "table: end: two|lines"},
		},
		{name: "JSON lines", path: "a.jsonl", data: "{\"a\":1}\n{\"a\":2}\n", want: []string{"table: a: 1", "table: a: 2"}},
		{
			name: "a record", media: schemas.MediaDocument,
			data:  `{"_id":"7","title":"T","text":"One.\n\nTwo.","Year":1999,"tags":["a","b"],"x":{"y":true,"z":null}}`,
			title: "T", want: []string{"paragraph: One.", "paragraph: Two."},
			meta: map[string][]string{"year": {"1999"}, "tags": {"a", "b"}, "x.y": {"true"}},
		},
		{
			name: "reStructuredText", path: "a.rst", title: "Top",
			data: "===\nTop\n===\n\nText::\n\n  code\n    more\n\nSub\n---\n\n.. code-block:: go\n   :linenos:\n\n   x := 1\n\n* a\n* b\n\nTop two\n=======\n",
			want: []string{"h1: Top", "paragraph: Text::", "code: code|  more", "h2: Sub", "code: x := 1", "list: * a|* b", "h3: Top two"},
		},
		{
			name: "a notebook", path: "a.ipynb", title: "H",
			data: `{"cells":[{"cell_type":"markdown","source":["# H\n","text"]},{"cell_type":"code","source":"x = 1\n","outputs":[{"text":"no"}]}],"nbformat":4}`,
			want: []string{"h1: H", "paragraph: text", "code: x = 1"},
		},
		{name: "source code", path: "a.go", data: "package a\n\n// F is.\nfunc F() {\n\n\tx()\n\n}\n\nvar y int\n", want: []string{"code: package a", "code: // F is.|func F() {||\tx()||}", "code: var y int"}},
		{
			name: "XML", path: "a.xml", data: `<?xml version="1.0" encoding="ISO-8859-1"?><a><title>T</title><p>caf` + "\xe9" + ` &amp; &x;</p></a>`,
			title: "T", want: []string{"paragraph: T", "paragraph: café & &x;"},
		},
		{name: "a name says more than text/plain", path: "a.md", media: "text/plain; charset=utf-8", data: "# H", title: "H", want: []string{"h1: H"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(Input{Path: c.path, MediaType: c.media, Data: []byte(c.data)})
			if err != nil {
				t.Fatal(err)
			}
			if err := consistent(doc); err != nil {
				t.Error(err)
			}
			if doc.Title != c.title {
				t.Errorf("got title %q, want %q", doc.Title, c.title)
			}
			if diff := cmp.Diff(c.want, outline(doc)); diff != "" {
				t.Errorf("blocks: -want +got:\n%s", diff)
			}
			if diff := cmp.Diff(c.meta, doc.Metadata); diff != "" {
				t.Errorf("metadata: -want +got:\n%s", diff)
			}
		})
	}
}

func TestHeadingPath(t *testing.T) {
	t.Parallel()
	doc, err := Parse(Input{Path: "a.md", Data: []byte("intro\n# A\n### B\ntext\n## C\ntext\n# D\n")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range doc.Blocks {
		got = append(got, strings.Join(b.Heading, ">"))
	}
	if diff := cmp.Diff([]string{"", "A", "A>B", "A>B", "A>C", "A>C", "D"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, path, media, data, want string }{
		{"PDF", "a.pdf", "", "%PDF-1.7\n", "PDF files cannot be read yet"},
		{"PDF under a text's name", "a.txt", "", "%PDF-1.7\n%\xe2\xe3\n1 0 obj", "PDF files cannot be read yet"},
		{"text under a PDF's name", "a.pdf", "", "hello", "PDF files cannot be read yet"},
		{"zip", "a.md", "", "PK\x03\x04\x14\x00\x00\x00\x08\x00", "archives cannot be read yet"},
		{"picture", "a.md", "", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "binary data (image/png), not text"},
		{"noise", "a.txt", "", strings.Repeat("\x01\x02\xff\xfe\x80\x00\x9d\x81", 50), "binary data, not text"},
		{"broken JSON", "a.json", "", "{\n\"a\": 1,\n\"b\": x}\n", "not valid JSON: line 3"},
		{"cut JSON", "a.json", "", "{\n\"a\": [1", "not valid JSON: line 2: the text ends too early"},
		{"broken YAML", "a.md", "", "---\ntitle: ok\nkey: [a\n---\ntext", "the front matter is not valid YAML: line"},
		{"broken TOML", "a.md", "", "+++\ntitle = \n+++\ntext", "the front matter is not valid TOML: line 2"},
		{"broken XML", "a.xml", "", "<a>\n<b", "not valid XML: line 2"},
		{"record without text", "", schemas.MediaDocument, `{"title":"x"}`, `no "text"`},
		{"record that is a list", "", schemas.MediaDocument, `[1]`, "not a JSON object"},
		{"too large", "a.txt", "", strings.Repeat(" ", schemas.MaxDocumentBytes+1), "at most 33554432 can be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(Input{Path: c.path, MediaType: c.media, Data: []byte(c.data)})
			if schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(schemas.SafeMessage(err), c.want) {
				t.Errorf("got %v, want code invalid and %q", err, c.want)
			}
		})
	}
}

func TestMetadataIsBounded(t *testing.T) {
	t.Parallel()
	var yaml strings.Builder
	for i := range 200 {
		fmt.Fprintf(&yaml, "key%d: %s\n", i, strings.Repeat("é", 2000))
	}
	doc, err := Parse(Input{Path: "a.md", Data: []byte("---\n" + yaml.String()[:200_000] + "\n---\n")})
	if err != nil {
		t.Fatal(err)
	}
	if err := consistent(doc); err != nil {
		t.Error(err)
	}
	if len(doc.Metadata) == 0 {
		t.Error("no metadata")
	}
}

func TestManyBlocks(t *testing.T) {
	t.Parallel()
	doc, err := Parse(Input{Path: "a.txt", Data: []byte(strings.Repeat("x\n\n", maxBlocks+500))})
	if err != nil || len(doc.Blocks) != maxBlocks || doc.Blocks[maxBlocks-1].End != len(doc.Text) {
		t.Errorf("got %d blocks, error %v", len(doc.Blocks), err)
	}
}

// A large Markdown text is read in parts, and reads as a small one does.
func TestLargeMarkdown(t *testing.T) {
	t.Parallel()
	unit := "# H\n\ntext *bold*\n\n```\n# code\n\nmore\n```\n\n- a\n\n- b\n\n"
	doc, err := Parse(Input{Path: "a.md", Data: []byte(strings.Repeat(unit, 2*markdownPart/len(unit)+50))})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"h1: H", "paragraph: text bold", "code: # code||more", "list: - a|- b"}
	for i, got := range outline(doc) {
		if got != want[i%len(want)] {
			t.Fatalf("block %d is %q", i, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	paths := []string{"a.txt", "a.md", "a.html", "a.rst", "a.csv", "a.json", "a.xml", "a.ipynb", "a.go", "a.tsv", "unknown", ""}
	for i, data := range []string{"text\n\f\n", "---\na: &a [*a]\n---\n# b\n", "<p>a<table><tr><td>b", "A\n==\n::\n\n  c", "a;b\n1;2", `{"a":[1,{}]}`, "<a b='c'>d</a>", `{"cells":[{"cell_type":"heading","level":9,"source":"x"}]}`, "func\n\n}", `{"text":"x","y":[[1]]}`} {
		f.Add([]byte(data), uint8(i))
	}
	f.Fuzz(func(t *testing.T, data []byte, which uint8) {
		in := Input{Path: paths[int(which)%len(paths)], Data: data}
		if in.Path == "" {
			in.MediaType = schemas.MediaDocument
		}
		doc, err := Parse(in)
		if err != nil {
			if schemas.CodeOf(err) != schemas.Invalid || strings.Contains(err.Error(), "panic") {
				t.Errorf("error %v", err)
			}
			return
		}
		if err := consistent(doc); err != nil {
			t.Error(err)
		}
	})
}
