package parse

import (
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// htmlWalk writes elements into a builder. Text that stands between block elements is a paragraph. The recursion is bounded by
// the 512 levels that html.Parse allows.
type htmlWalk struct {
	b    *builder
	line strings.Builder // running text that no block has taken yet
}

func (w *htmlWalk) flush() {
	w.b.add(Paragraph, tidy(w.line.String()))
	w.line.Reset()
}

func (w *htmlWalk) blocks(parent *html.Node) {
	if parent == nil {
		return
	}
	for n := range parent.ChildNodes() {
		w.node(n)
	}
}

func (w *htmlWalk) node(n *html.Node) {
	switch {
	case n.Type == html.TextNode:
		w.line.WriteString(collapse(n.Data))
	case n.Type != html.ElementNode || clutter(n):
	case level(n) > 0:
		w.flush()
		w.b.heading(level(n), elementText(n))
	case n.DataAtom == atom.Pre:
		w.flush()
		w.b.add(Code, verbatim(n))
	case n.DataAtom == atom.Table && dataTable(n):
		w.flush()
		w.b.add(Table, rows(n))
	case n.DataAtom == atom.Ul || n.DataAtom == atom.Ol || n.DataAtom == atom.Menu:
		w.list(n)
	case n.DataAtom == atom.Br:
		w.line.WriteByte('\n')
	case n.DataAtom == atom.Img:
		w.line.WriteString(attr(n, "alt"))
	case block(n):
		w.flush()
		w.blocks(n)
		w.flush()
	default:
		w.blocks(n)
	}
}

// list is one block where its items are running text; a list of sections is walked like any other element.
func (w *htmlWalk) list(n *html.Node) {
	w.flush()
	for d := range n.Descendants() {
		if level(d) > 0 || d.DataAtom == atom.Pre || d.DataAtom == atom.Table {
			w.blocks(n)
			w.flush()
			return
		}
	}
	w.b.add(List, items(n))
}

// items are a list's lines with markers; nested lists are indented.
func items(n *html.Node) string {
	var out strings.Builder
	number := 1
	if start, err := strconv.Atoi(attr(n, "start")); err == nil {
		number = start
	}
	for item := range n.ChildNodes() {
		body := strings.TrimSpace(flow(item))
		if body == "" {
			continue
		}
		marker := "- "
		if n.DataAtom == atom.Ol {
			marker = strconv.Itoa(number) + ". "
			number++
		}
		out.WriteString(marker + strings.ReplaceAll(body, "\n", "\n  ") + "\n")
	}
	return out.String()
}

// flow is the text of an element with a line for each block element within.
func flow(n *html.Node) string {
	var out strings.Builder
	writeFlow(&out, n)
	return tidy(out.String())
}

func writeFlow(out *strings.Builder, n *html.Node) {
	switch {
	case n.Type == html.TextNode:
		out.WriteString(collapse(n.Data))
	case n.Type == html.ElementNode && clutter(n):
	case n.DataAtom == atom.Br:
		out.WriteByte('\n')
	case n.DataAtom == atom.Img:
		out.WriteString(attr(n, "alt"))
	case n.DataAtom == atom.Ul || n.DataAtom == atom.Ol:
		out.WriteString("\n" + items(n))
	default:
		if block(n) {
			out.WriteByte('\n')
		}
		for c := range n.ChildNodes() {
			writeFlow(out, c)
		}
		if block(n) {
			out.WriteByte('\n')
		}
	}
}

// dataTable tells a table of data from one that lays out a page: it has no headings, code or tables within.
func dataTable(n *html.Node) bool {
	for d := range n.Descendants() {
		if level(d) > 0 || d.DataAtom == atom.Table || d.DataAtom == atom.Pre {
			return false
		}
	}
	return true
}

func rows(table *html.Node) string {
	var out strings.Builder
	for row := range table.Descendants() {
		if row.DataAtom == atom.Caption {
			out.WriteString(elementText(row) + "\n")
		}
		if row.DataAtom != atom.Tr {
			continue
		}
		var cells []string
		for cell := range row.ChildNodes() {
			if cell.DataAtom == atom.Td || cell.DataAtom == atom.Th {
				cells = append(cells, strings.Join(strings.Fields(flow(cell)), " "))
			}
		}
		out.WriteString(strings.Join(cells, " | ") + "\n")
	}
	return out.String()
}

// verbatim is the text of preformatted content.
func verbatim(n *html.Node) string {
	var out strings.Builder
	for d := range n.Descendants() {
		switch {
		case d.Type == html.TextNode:
			out.WriteString(d.Data)
		case d.DataAtom == atom.Br:
			out.WriteByte('\n')
		}
	}
	return out.String()
}

func elementText(n *html.Node) string {
	if n == nil {
		return ""
	}
	return strings.Join(strings.Fields(verbatim(n)), " ")
}

// level goes by the element as it was parsed: Readability renames h1 to h2.
func level(n *html.Node) int {
	switch n.DataAtom {
	case atom.H1:
		return 1
	case atom.H2:
		return 2
	case atom.H3:
		return 3
	case atom.H4:
		return 4
	case atom.H5:
		return 5
	case atom.H6:
		return 6
	}
	return 0
}

func block(n *html.Node) bool {
	switch n.DataAtom {
	case atom.P, atom.Div, atom.Section, atom.Article, atom.Main, atom.Header, atom.Footer, atom.Aside, atom.Blockquote, atom.Li,
		atom.Dl, atom.Dt, atom.Dd, atom.Figure, atom.Figcaption, atom.Details, atom.Summary, atom.Address, atom.Fieldset,
		atom.Form, atom.Hr, atom.Table, atom.Tr, atom.Td, atom.Th, atom.Body, atom.Center, atom.Ul, atom.Ol, atom.Pre:
		return true
	}
	return false
}

// collapse makes every run of white space one space, as browsers do.
func collapse(s string) string {
	if s == "" {
		return ""
	}
	words := strings.Fields(s)
	out := strings.Join(words, " ")
	if out == "" {
		return " "
	}
	if strings.ContainsAny(s[:1], " \t\n\f") {
		out = " " + out
	}
	if strings.ContainsAny(s[len(s)-1:], " \t\n\f") {
		out += " "
	}
	return out
}

// tidy trims every line and drops empty ones.
func tidy(s string) string {
	var out strings.Builder
	for _, line := range lines(s) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}

// writeFragment appends HTML that stands within another document.
func writeFragment(b *builder, source string) {
	root, err := html.Parse(strings.NewReader(source))
	if err != nil {
		b.paragraphs(fragmentText(source))
		return
	}
	w := htmlWalk{b: b}
	w.blocks(find(root, atom.Body))
	w.flush()
}

// fragmentText is the text of HTML by its tokens alone, whatever its nesting.
func fragmentText(source string) string {
	var out strings.Builder
	tokens := html.NewTokenizer(strings.NewReader(source))
	tokens.SetMaxBuf(len(source) + 1)
	skip := atom.Atom(0)
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			return out.String()
		case html.TextToken:
			if skip == 0 {
				out.WriteString(html.UnescapeString(string(tokens.Raw())))
			}
		case html.StartTagToken:
			name, _ := tokens.TagName()
			if a := atom.Lookup(name); a == atom.Script || a == atom.Style {
				skip = a
			}
			out.WriteByte(' ')
		case html.EndTagToken:
			skip = 0
			out.WriteByte(' ')
		}
	}
}
