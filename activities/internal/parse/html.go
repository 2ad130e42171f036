package parse

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"codeberg.org/readeck/go-readability/v2"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"
)

// parseHTML reads the main content of a page. Where the search for it (Mozilla's Readability) would lose content, as it does on
// reference pages made of many small sections, the whole body without its navigation is read.
func parseHTML(in Input) (Document, error) {
	source, err := decode(in.Data, declaredHTML(in))
	if err != nil {
		return Document{}, err
	}
	root, err := html.Parse(strings.NewReader(source))
	if err != nil { // nested deeper than the library allows
		var b builder
		b.paragraphs(fragmentText(source))
		return b.document("", metadata{}), nil //nolint:nilerr // its text can still be read
	}
	title, meta := headHTML(root, source)
	w := htmlWalk{b: &builder{}}
	w.blocks(mainContent(root))
	w.flush()
	for _, a := range []atom.Atom{atom.H1, atom.Title} {
		if title == "" {
			title = elementText(find(root, a))
		}
	}
	return w.b.document(title, meta), nil
}

// declaredHTML is the charset that the media type or a meta element declares.
func declaredHTML(in Input) string {
	if label := charsetOf(in.MediaType); label != "" {
		return label
	}
	if !bytes.Contains(bytes.ToLower(in.Data[:min(len(in.Data), 1024)]), []byte("charset")) {
		return ""
	}
	_, name, _ := charset.DetermineEncoding(in.Data, "")
	return name
}

// headHTML is what the page says of itself: the JSON comment that begins pages of Go's documentation, the meta elements, the
// language. The title element is left to the caller, as sites append their name to it.
func headHTML(root *html.Node, source string) (string, metadata) {
	var meta metadata
	if rest, ok := strings.CutPrefix(strings.TrimSpace(source), "<!--{"); ok {
		fields := map[string]any{}
		comment, _, _ := strings.Cut(rest, "-->")
		if depth, _ := jsonDepth([]byte(comment)); depth < maxNesting && json.Unmarshal([]byte("{"+comment), &fields) == nil {
			meta.flatten("", fields, 0)
		}
	}
	if page := find(root, atom.Html); page != nil {
		meta.add("language", attr(page, "lang"))
	}
	for n := range root.Descendants() {
		if n.DataAtom == atom.Meta {
			if name := strings.ToLower(attr(n, "name")); name == "description" || name == "author" || name == "keywords" {
				meta.add(name, attr(n, "content"))
			}
		}
	}
	return meta.take("title"), meta
}

// maxReadable bounds the pages whose main content is searched, in nodes: the search visits each many times, and some of its steps
// take quadratic time.
const maxReadable = 30_000

// mainContent is the article that Readability finds, if it holds all headings and tables and nearly all code and text outside
// of links that the body holds; else the body.
func mainContent(root *html.Node) *html.Node {
	body := find(root, atom.Body)
	switch {
	case body == nil:
		return root
	case !fewer(root, maxReadable):
		return body
	}
	reader := readability.NewParser()
	reader.DisableJSONLD = true
	article, err := reader.ParseDocument(root, nil)
	if err != nil || article.Node == nil {
		return body
	}
	all, kept := measure(body), measure(article.Node)
	if kept.prose*10 < all.prose*9 || kept.code*10 < all.code*9 || kept.headings < all.headings || kept.rows < all.rows {
		return body
	}
	return article.Node
}

func fewer(root *html.Node, limit int) bool {
	n := 0
	for range root.Descendants() {
		if n++; n >= limit {
			return false
		}
	}
	return true
}

// extent measures what must not get lost: bytes of text outside of links, bytes of code, headings, rows of tables.
type extent struct{ prose, code, headings, rows int }

func measure(n *html.Node) extent {
	var e extent
	switch {
	case n.Type == html.TextNode:
		e.prose = len(strings.TrimSpace(n.Data))
		return e
	case n.Type == html.ElementNode && clutter(n):
		return e
	case level(n) > 1:
		e.headings = 1
	case n.DataAtom == atom.Tr:
		e.rows = 1
	}
	for c := range n.ChildNodes() {
		in := measure(c)
		e = extent{e.prose + in.prose, e.code + in.code, e.headings + in.headings, e.rows + in.rows}
	}
	if n.DataAtom == atom.Pre {
		e.code = e.prose
	}
	if n.DataAtom == atom.A {
		e.prose = 0
	}
	return e
}

// clutter is what no reader of a page's content reads. A header or footer within an article or section belongs to it.
func clutter(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Script, atom.Style, atom.Noscript, atom.Template, atom.Nav, atom.Head, atom.Svg, atom.Iframe, atom.Button,
		atom.Select, atom.Textarea, atom.Dialog, atom.Object, atom.Canvas:
		return true
	case atom.Header, atom.Footer, atom.Aside:
		return !within(n, atom.Article, atom.Section, atom.Main)
	}
	switch attr(n, "role") {
	case "navigation", "search", "banner", "contentinfo":
		return true
	}
	return has(n, "hidden")
}

func within(n *html.Node, wanted ...atom.Atom) bool {
	for p := range n.Ancestors() {
		if slices.Contains(wanted, p.DataAtom) {
			return true
		}
	}
	return false
}

func find(n *html.Node, a atom.Atom) *html.Node {
	for d := range n.Descendants() {
		if d.DataAtom == a && d.Namespace == "" {
			return d
		}
	}
	return nil
}

func has(n *html.Node, key string) bool {
	for _, a := range n.Attr {
		if a.Key == key {
			return true
		}
	}
	return false
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
