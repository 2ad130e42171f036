package parse

import (
	"iter"
	"strconv"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// parseMarkdown reads GitHub's Markdown with front matter. The text is what a reader of the rendered page sees: marks of
// emphasis and link targets are gone, code, list markers and table columns stay.
func parseMarkdown(in Input) (Document, error) {
	source, err := decode(in.Data, charsetOf(in.MediaType))
	if err != nil {
		return Document{}, err
	}
	meta, body, err := frontMatter(source)
	if err != nil {
		return Document{}, err
	}
	var b builder
	writeMarkdown(&b, body)
	return b.document(meta.take("title"), meta), nil
}

// writeMarkdown appends a Markdown text, part by part. A part that would cost the Markdown reader more than linear time is read
// as plain text.
func writeMarkdown(b *builder, source string) {
	md := goldmark.New(
		goldmark.WithExtensions(extension.GFM, extension.Footnote, extension.DefinitionList),
		goldmark.WithParserOptions(parser.WithHeadingAttribute()),
	)
	for part := range markdownParts(source) {
		if absurd(part) {
			b.paragraphs(part)
			continue
		}
		w := markdownWalk{b: b, source: []byte(part)}
		w.blocks(md.Parser().Parse(text.NewReader(w.source)))
	}
}

// markdownPart is the size, in bytes, from which a text is read in parts: its syntax tree takes two hundred times its size. A
// reference-style link whose definition is in another part keeps its brackets.
const markdownPart = 512 << 10

// markdownParts divides a text at empty lines that are followed by text at the left margin, outside of fenced code.
func markdownParts(source string) iter.Seq[string] {
	return func(yield func(string) bool) {
		start, fence, blank := 0, "", false
		for from, line := range lines(source) {
			if blank && fence == "" && from-start >= markdownPart && line != "" && line[0] != ' ' && line[0] != '\t' {
				if !yield(source[start:from]) {
					return
				}
				start = from
			}
			blank = strings.TrimSpace(line) == ""
			fence = fenceAfter(fence, line)
		}
		yield(source[start:])
	}
}

// fenceAfter is the mark of the code fence that is open behind line, given the one before it; empty if none is.
func fenceAfter(open, line string) string {
	line = strings.TrimLeft(line, " ")
	switch {
	case open != "" && strings.HasPrefix(line, open):
		return ""
	case open == "" && (strings.HasPrefix(line, "```") || strings.HasPrefix(line, "~~~")):
		return line[:3]
	}
	return open
}

// Bounds of what is read as Markdown. People's texts are far below them.
const (
	maxMarkdownLine  = 1 << 20 // bytes of a paragraph; inline marks are matched within it
	maxInlineMarks   = 4000    // brackets and emphasis marks of one paragraph
	maxMarkdownDepth = 60      // nested quotes and lists
)

// absurd reports a text whose nesting or runs of marks no person wrote.
func absurd(source string) bool {
	length, marks := 0, 0
	for _, line := range lines(source) {
		rest := strings.TrimLeft(line, " \t")
		if rest == "" {
			length, marks = 0, 0
			continue
		}
		if indent := line[:len(line)-len(strings.TrimLeft(line, " \t>-+*0123456789.)"))]; nesting(indent) > maxMarkdownDepth {
			return true
		}
		length += len(line)
		marks += inlineMarks(rest)
		if length > maxMarkdownLine || marks > maxInlineMarks {
			return true
		}
	}
	return false
}

// nesting is how many containers a line's beginning may open: quotes and list markers. A thematic break opens none.
func nesting(indent string) int {
	if strings.Trim(indent, " \t-") == "" || strings.Trim(indent, " \t*") == "" {
		return strings.Count(indent, "- ") + strings.Count(indent, "* ")
	}
	return strings.Count(indent, ">") + strings.Count(indent, "- ") + strings.Count(indent, "* ") +
		strings.Count(indent, "+ ") + strings.Count(indent, ". ") + strings.Count(indent, ") ")
}

func inlineMarks(line string) int {
	n := 0
	for i := range len(line) {
		switch line[i] {
		case '[', ']', '*', '_', '`', '<', '~':
			n++
		}
	}
	return n
}

// markdownWalk writes the blocks of a syntax tree into a builder.
type markdownWalk struct {
	b      *builder
	source []byte
}

func (w *markdownWalk) blocks(parent ast.Node) {
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		w.block(n)
	}
}

func (w *markdownWalk) block(n ast.Node) {
	switch n := n.(type) {
	case *ast.Heading:
		w.b.heading(n.Level, w.inline(n))
	case *ast.CodeBlock, *ast.FencedCodeBlock:
		w.b.add(Code, w.raw(n))
	case *ast.HTMLBlock:
		writeFragment(w.b, w.html(n))
	case *ast.List:
		w.b.add(List, w.list(n))
	case *east.Table:
		w.b.add(Table, w.table(n))
	case *ast.Paragraph, *ast.TextBlock, *east.DefinitionTerm:
		w.b.add(Paragraph, w.inline(n))
	case *ast.ThematicBreak, *ast.LinkReferenceDefinition:
	default:
		w.blocks(n)
	}
}

func (w *markdownWalk) raw(n ast.Node) string { return string(n.Lines().Value(w.source)) }

func (w *markdownWalk) html(n *ast.HTMLBlock) string {
	html := w.raw(n)
	if n.HasClosure() {
		html += string(n.ClosureLine.Value(w.source))
	}
	return html
}

// list is a list as lines with markers; what an item holds beside its first line is indented.
func (w *markdownWalk) list(n *ast.List) string {
	var out strings.Builder
	number := n.Start
	for item := n.FirstChild(); item != nil; item = item.NextSibling() {
		marker := "- "
		if n.IsOrdered() {
			marker = strconv.Itoa(number) + ". "
			number++
		}
		body := strings.TrimRight(w.item(item), " \n")
		out.WriteString(marker + strings.ReplaceAll(body, "\n", "\n"+strings.Repeat(" ", len(marker))) + "\n")
	}
	return out.String()
}

func (w *markdownWalk) item(n ast.Node) string {
	var out strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		switch c := c.(type) {
		case *ast.List:
			out.WriteString(w.list(c))
		case *ast.CodeBlock, *ast.FencedCodeBlock:
			out.WriteString(w.raw(c))
		case *ast.HTMLBlock:
			out.WriteString(fragmentText(w.html(c)) + "\n")
		case *east.Table:
			out.WriteString(w.table(c))
		case *ast.Paragraph, *ast.TextBlock, *ast.Heading:
			out.WriteString(w.inline(c) + "\n")
		default:
			out.WriteString(w.item(c))
		}
	}
	return out.String()
}

func (w *markdownWalk) table(n *east.Table) string {
	var out strings.Builder
	for row := n.FirstChild(); row != nil; row = row.NextSibling() {
		var cells []string
		for cell := row.FirstChild(); cell != nil; cell = cell.NextSibling() {
			cells = append(cells, strings.Join(strings.Fields(w.inline(cell)), " "))
		}
		out.WriteString(strings.Join(cells, " | ") + "\n")
	}
	return out.String()
}

// inline is the text of a block without marks. Lines stay lines.
func (w *markdownWalk) inline(n ast.Node) string {
	var out strings.Builder
	w.write(&out, n)
	return strings.TrimSpace(out.String())
}

func (w *markdownWalk) write(out *strings.Builder, parent ast.Node) {
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Text:
			out.Write(w.unescape(n))
			if n.SoftLineBreak() || n.HardLineBreak() {
				out.WriteByte('\n')
			}
		case *ast.String:
			out.Write(n.Value)
		case *ast.AutoLink:
			out.Write(n.Label(w.source))
		case *ast.RawHTML:
			if strings.HasPrefix(strings.ToLower(string(n.Segments.Value(w.source))), "<br") {
				out.WriteByte('\n')
			}
		case *east.TaskCheckBox:
			out.WriteString(map[bool]string{true: "[x] ", false: "[ ] "}[n.IsChecked])
		case *east.FootnoteLink:
			out.WriteString("[" + strconv.Itoa(n.Index) + "]")
		default:
			w.write(out, n)
		}
	}
}

// unescape resolves backslash escapes and entities, except in code spans.
func (w *markdownWalk) unescape(n *ast.Text) []byte {
	value := n.Value(w.source)
	if n.IsRaw() {
		return value
	}
	if p := n.Parent(); p != nil && p.Kind() == ast.KindCodeSpan {
		return value
	}
	return util.UnescapePunctuations(util.ResolveEntityNames(util.ResolveNumericReferences(value)))
}
