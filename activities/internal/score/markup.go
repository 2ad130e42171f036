package score

import (
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

const maxNesting = 1000 // elements within elements

// xml checks that the output is, or contains, XML with the required elements: dotted paths from the root, as a list, as text separated by
// commas, or as requiredElements of an object.
func (c check) xml() (schemas.AssertionResult, error) {
	required, ok := elements(c.assertion.Value)
	if !ok {
		return c.fault("needs no value, or the paths of required elements: a list, or text separated by commas")
	}
	if c.base == "contains-xml" {
		return c.containsXML(required)
	}
	paths, reason := document(c.text)
	if reason == "" {
		reason = "XML is valid and contains all required elements"
		if missing := absent(paths, required); len(missing) > 0 {
			return c.holds(false, "XML is missing required elements: "+strings.Join(missing, ", "))
		}
		return c.holds(true, reason)
	}
	return c.holds(false, "XML parsing failed: "+reason)
}

func (c check) containsXML(required []string) (schemas.AssertionResult, error) {
	paths := fragments(c.text)
	switch {
	case len(paths) == 0:
		return c.holds(false, "No XML content found in the output")
	case len(absent(paths, required)) > 0:
		return c.holds(false, "No valid XML content found matching the requirements")
	}
	return c.holds(true, "XML is valid and contains all required elements")
}

func elements(value any) ([]string, bool) {
	switch v := value.(type) {
	case nil:
		return nil, true
	case string:
		return separated(v)
	case map[string]any:
		return list(v["requiredElements"])
	}
	return list(value)
}

func absent(paths map[string]bool, required []string) []string {
	return slices.DeleteFunc(slices.Clone(required), func(path string) bool { return paths[path] })
}

// document reads text as one XML document and returns the paths of its elements, or why it is none.
func document(text string) (paths map[string]bool, reason string) {
	paths = map[string]bool{}
	decoder := xml.NewDecoder(strings.NewReader(text))
	decoder.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // the text is UTF-8 by now, whatever it says
	roots := 0
	for {
		token, err := decoder.Token()
		switch t := token.(type) {
		case xml.StartElement:
			roots++
			if _, err = element(decoder, t, paths); err == nil {
				continue
			}
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				return nil, "there is text outside of the root element"
			}
		}
		switch {
		case errors.Is(err, io.EOF) && roots == 1:
			return paths, ""
		case errors.Is(err, io.EOF):
			return nil, "there must be exactly one root element"
		case err != nil:
			return nil, err.Error()
		}
	}
}

// element reads up to the end of an element that has begun, and adds its path and those within it.
func element(decoder *xml.Decoder, start xml.StartElement, paths map[string]bool) (end int64, err error) {
	open := []string{name(start)}
	paths[open[0]] = true
	for len(open) > 0 {
		token, err := decoder.Token()
		if err != nil {
			return 0, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if len(open) == maxNesting {
				return 0, &xml.SyntaxError{Msg: "elements are nested too deep"}
			}
			open = append(open, open[len(open)-1]+"."+name(t))
			paths[open[len(open)-1]] = true
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
	return decoder.InputOffset(), nil
}

func name(start xml.StartElement) string {
	if start.Name.Space != "" && !strings.Contains(start.Name.Space, "/") {
		return start.Name.Space + ":" + start.Name.Local
	}
	return start.Name.Local
}

// fragments returns the paths of all complete elements that stand in a text.
func fragments(text string) map[string]bool {
	paths := map[string]bool{}
	left := effort*len(text) + 1<<16
	for at := 0; at < len(text) && left > 0; at++ {
		if text[at] != '<' {
			continue
		}
		decoder := xml.NewDecoder(strings.NewReader(text[at:]))
		token, err := decoder.Token()
		start, begins := token.(xml.StartElement)
		if err != nil || !begins {
			left -= int(decoder.InputOffset())
			continue
		}
		own := map[string]bool{}
		end, err := element(decoder, start, own)
		left -= int(decoder.InputOffset())
		if err == nil {
			maps.Copy(paths, own)
			at += int(end) - 1
		}
	}
	return paths
}
