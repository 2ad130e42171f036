package parse

import (
	"bytes"
	"encoding/json"
	"strings"
)

// parseRecord reads one line of a JSONL source: schemas.MediaDocument.
func parseRecord(in Input) (Document, error) {
	if depth, _ := jsonDepth(in.Data); depth > maxNesting {
		return Document{}, invalid("the record is nested deeper than %d levels", maxNesting)
	}
	var fields map[string]any
	dec := json.NewDecoder(bytes.NewReader(in.Data))
	dec.UseNumber()
	if err := dec.Decode(&fields); err != nil {
		return Document{}, jsonFault(in.Data, err)
	}
	text, ok := fields["text"].(string)
	if !ok {
		return Document{}, invalid(`the record has no "text" of type string`)
	}
	title, _ := fields["title"].(string)
	for _, name := range []string{"_id", "id", "title", "text"} {
		delete(fields, name)
	}
	var meta metadata
	meta.flatten("", fields, 0)
	var b builder
	b.paragraphs(lineEnds(text))
	return b.document(strings.TrimSpace(title), meta), nil
}
