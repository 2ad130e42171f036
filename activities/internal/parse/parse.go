// Package parse turns the bytes of one document into text with structure: headings, paragraphs, lists, tables and code.
package parse

import (
	"fmt"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Version numbers the extracted text, for schemas.Recipe.Parser. It rises whenever the text of some document changes.
const Version = 1

// Input is one document as it was found.
type Input struct {
	Path      string // slash-separated; only its extension and its last element are read
	MediaType string // where the source knows it; empty or too general, it is found from extension and content
	Data      []byte
}

// Document is what could be read of an input. Text is UTF-8 with \n line ends; Unicode is not normalised.
type Document struct {
	Title    string              // from metadata or the first heading of level 1; may be empty
	Text     string              // the blocks in order, with an empty line between them
	Metadata map[string][]string // lower-case keys; at most 64 of them, values of at most 1 KB; nil when there are none
	Blocks   []Block             // ordered, not overlapping; between them is only white space
}

// BlockKind says what a block is. The strings are stable.
type BlockKind string

// The kinds of blocks.
const (
	Paragraph BlockKind = "paragraph"
	Code      BlockKind = "code"
	Table     BlockKind = "table"
	List      BlockKind = "list"
	Heading   BlockKind = "heading"
)

// Block is one structural piece of a document's text.
type Block struct {
	Kind       BlockKind
	Level      int      // of a heading, 1 to 6; otherwise 0
	Start, End int      // byte offsets in Document.Text
	Heading    []string // headings in force, outermost first; a heading's own is the last. Shared between blocks: do not change
}

// Parse reads a document. An input without content gives an empty document. Every error is a *schemas.Error of code invalid
// whose message tells a person why the document cannot be read; a fault in a format's library is such an error too.
func Parse(in Input) (doc Document, err error) {
	if len(in.Data) > schemas.MaxDocumentBytes {
		return Document{}, schemas.Errorf(schemas.Invalid, "the document has %d bytes; at most %d can be read",
			len(in.Data), schemas.MaxDocumentBytes)
	}
	if len(in.Data) == 0 {
		return Document{}, nil
	}
	f, err := detect(in)
	if err != nil {
		return Document{}, err
	}
	defer func() {
		if p := recover(); p != nil {
			doc, err = Document{}, schemas.Wrap(schemas.Invalid, fmt.Errorf("panic: %v", p),
				"the document could not be read as %s: its structure breaks the reader", f.name)
		}
	}()
	return f.parse(in)
}

// invalid is the error of a document that cannot be read.
func invalid(format string, args ...any) error {
	return schemas.Errorf(schemas.Invalid, format, args...)
}
