package parse

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// consistent reports what a document breaks of the promises of its type.
func consistent(doc Document) error {
	at := 0
	for i, b := range doc.Blocks {
		switch {
		case b.Start < at || b.End <= b.Start || b.End > len(doc.Text):
			return fmt.Errorf("block %d spans %d to %d behind %d of %d", i, b.Start, b.End, at, len(doc.Text))
		case strings.TrimSpace(doc.Text[at:b.Start]) != "":
			return fmt.Errorf("before block %d, text %.40q is in no block", i, doc.Text[at:b.Start])
		case b.Kind == Heading && (b.Level < 1 || b.Level > 6 || len(b.Heading) == 0):
			return fmt.Errorf("block %d is a heading of level %d under %v", i, b.Level, b.Heading)
		}
		at = b.End
	}
	switch {
	case strings.TrimSpace(doc.Text[at:]) != "":
		return fmt.Errorf("text %.40q is in no block", doc.Text[at:])
	case !utf8.ValidString(doc.Text), strings.ContainsAny(doc.Text, "\r\x00"):
		return fmt.Errorf("the text is not clean UTF-8")
	case len(doc.Metadata) > maxKeys:
		return fmt.Errorf("%d keys of metadata", len(doc.Metadata))
	}
	for key, values := range doc.Metadata {
		if key != strings.ToLower(key) || len(values) == 0 || len(key) > maxKey || len(values[0]) > maxValue {
			return fmt.Errorf("metadata %q: %.60q", key, values)
		}
	}
	return nil
}
