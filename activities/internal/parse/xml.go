package parse

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
)

var xmlCharset = regexp.MustCompile(`^<\?xml[^>]*\sencoding=["']([A-Za-z0-9._-]+)["']`)

// maxXMLDepth bounds nesting; the reader keeps every open element.
const maxXMLDepth = 1000

// parseXML reads the text content of XML, a paragraph for each stretch between elements that has text. Nothing is fetched, and no
// entity of the document's own is resolved: its reference stays as it was written.
func parseXML(in Input) (Document, error) {
	declared := charsetOf(in.MediaType)
	if m := xmlCharset.FindSubmatch(in.Data[:min(len(in.Data), 200)]); declared == "" && m != nil {
		declared = string(m[1])
	}
	text, err := decode(in.Data, declared)
	if err != nil {
		return Document{}, err
	}
	dec := xml.NewDecoder(strings.NewReader(text))
	dec.Strict = false
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // decoded above
	var b builder
	title, depth := "", 0
	var path []string
	for {
		t, err := dec.RawToken()
		if err != nil {
			return xmlEnd(&b, title, depth, err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			path = append(path, strings.ToLower(t.Name.Local))
			if depth++; depth > maxXMLDepth {
				return Document{}, invalid("the XML is nested deeper than %d levels", maxXMLDepth)
			}
		case xml.EndElement:
			if depth--; depth < 0 {
				line, _ := dec.InputPos()
				return Document{}, invalid("not valid XML: line %d: </%s> closes nothing", line, t.Name.Local)
			}
			path = path[:depth]
		case xml.CharData:
			if depth > 0 && path[depth-1] == "title" && title == "" {
				title = strings.Join(strings.Fields(string(t)), " ")
			}
			b.paragraphs(string(t))
		}
	}
}

func xmlEnd(b *builder, title string, depth int, err error) (Document, error) {
	var syntax *xml.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return Document{}, invalid("not valid XML: line %d: %s", syntax.Line, syntax.Msg)
	case !errors.Is(err, io.EOF):
		return Document{}, invalid("not valid XML")
	case depth > 0:
		return Document{}, invalid("not valid XML: the text ends with %d elements open", depth)
	}
	return b.document(title, metadata{}), nil
}
