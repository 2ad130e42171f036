package parse

import (
	"strings"
	"unicode/utf8"
)

// parseRST reads reStructuredText as text: headings are recognised by their underlines, code by its directives and by "::",
// lists and simple tables by their marks. Other markup stays as it was written.
func parseRST(in Input) (Document, error) {
	text, err := decode(in.Data, charsetOf(in.MediaType))
	if err != nil {
		return Document{}, err
	}
	r := rstReader{}
	for _, line := range lines(text) {
		r.lines = append(r.lines, strings.TrimRight(line, " \t"))
	}
	for r.at < len(r.lines) {
		r.next()
	}
	return r.b.document("", metadata{}), nil
}

type rstReader struct {
	b      builder
	lines  []string
	at     int
	styles []string // of heading lines in the order of their first use: the first is level 1
}

// next reads one block.
func (r *rstReader) next() {
	switch line := r.lines[r.at]; {
	case line == "":
		r.at++
	case r.overlined():
		r.heading(line[:1]+line[:1], r.lines[r.at+1])
		r.at += 3
	case r.at+1 < len(r.lines) && underlines(r.lines[r.at+1], line):
		r.heading(r.lines[r.at+1][:1], line)
		r.at += 2
	case codeDirective(line):
		r.at++
		r.literal(true)
	default:
		r.running()
	}
}

// overlined recognises a heading between two equal lines of signs.
func (r *rstReader) overlined() bool {
	if r.at+2 >= len(r.lines) {
		return false
	}
	over, title := r.lines[r.at], r.lines[r.at+1]
	return r.lines[r.at+2] == over && underlines(over, title)
}

// underlines reports whether line is one sign repeated, at least about as long as the title above it.
func underlines(line, title string) bool {
	if len(line) < 2 || title == "" || strings.Trim(line, line[:1]) != "" || !strings.Contains("=-~^\"'`#*+.:_<>", line[:1]) {
		return false
	}
	return len(line)+1 >= utf8.RuneCountInString(title) && strings.Trim(title, title[:1]) != ""
}

func (r *rstReader) heading(style, title string) {
	level := 0
	for level < len(r.styles) && r.styles[level] != style {
		level++
	}
	if level == len(r.styles) {
		r.styles = append(r.styles, style)
	}
	r.b.heading(level+1, title)
}

func codeDirective(line string) bool {
	for _, name := range []string{"code::", "code-block::", "sourcecode::", "literalinclude::", "parsed-literal::"} {
		if strings.HasPrefix(strings.TrimSpace(line), ".. "+name) {
			return true
		}
	}
	return false
}

// literal reads the indented lines from here on as code. Options (":linenos:") may stand before those of a directive.
func (r *rstReader) literal(directive bool) {
	var code []string
	for ; r.at < len(r.lines); r.at++ {
		line := r.lines[r.at]
		if line != "" && line[0] != ' ' && line[0] != '\t' {
			break
		}
		if directive && len(code) == 0 && strings.HasPrefix(strings.TrimSpace(line), ":") {
			continue
		}
		if line != "" || len(code) > 0 {
			code = append(code, line)
		}
	}
	r.b.add(Code, dedent(code))
}

// dedent removes the indentation that all lines share.
func dedent(lines []string) string {
	indent := -1
	for _, line := range lines {
		if n := len(line) - len(strings.TrimLeft(line, " \t")); line != "" && (indent < 0 || n < indent) {
			indent = n
		}
	}
	var out strings.Builder
	for _, line := range lines {
		out.WriteString(line[min(max(indent, 0), len(line)):] + "\n")
	}
	return out.String()
}

// running reads lines up to an empty one: a paragraph, a list or a table. One that ends with "::" is followed by code.
func (r *rstReader) running() {
	start := r.at
	for r.at < len(r.lines) && r.lines[r.at] != "" {
		r.at++
	}
	text := strings.Join(r.lines[start:r.at], "\n")
	kind := Paragraph
	switch first := r.lines[start]; {
	case strings.HasPrefix(first, "+--") || strings.HasPrefix(first, "==="):
		kind = Table
	case listMarker(first):
		kind = List
	}
	r.b.add(kind, strings.TrimSuffix(text, "\n::"))
	if strings.HasSuffix(text, "::") && !strings.HasPrefix(strings.TrimSpace(text), "..") {
		r.literal(false)
	}
}

func listMarker(line string) bool {
	line = strings.TrimLeft(line, " ")
	for _, m := range []string{"- ", "* ", "+ ", "#. "} {
		if strings.HasPrefix(line, m) {
			return true
		}
	}
	rest := strings.TrimLeft(line, "0123456789")
	return len(rest) < len(line) && (strings.HasPrefix(rest, ". ") || strings.HasPrefix(rest, ") "))
}
