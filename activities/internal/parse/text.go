package parse

import (
	"iter"
	"strings"
)

func parseText(in Input) (Document, error) {
	text, err := decode(in.Data, charsetOf(in.MediaType))
	if err != nil {
		return Document{}, err
	}
	var b builder
	b.paragraphs(text)
	return b.document("", metadata{}), nil
}

// parseCode makes a block of each stretch that begins at the left margin after an empty line: in most languages a declaration
// with its comment.
func parseCode(in Input) (Document, error) {
	text, err := decode(in.Data, charsetOf(in.MediaType))
	if err != nil {
		return Document{}, err
	}
	var b builder
	start, blank := 0, false
	for from, line := range lines(text) {
		if empty := strings.TrimSpace(line) == ""; empty || !blank {
			blank = empty
			continue
		}
		blank = false
		if !strings.ContainsRune(" \t})]", rune(line[0])) {
			b.add(Code, text[start:from])
			start = from
		}
	}
	b.add(Code, text[start:])
	return b.document("", metadata{}), nil
}

// lines yields each line with its offset, without the line end.
func lines(text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for from := 0; from < len(text); {
			end := strings.IndexByte(text[from:], '\n')
			if end < 0 {
				end = len(text) - from
			}
			if !yield(from, text[from:from+end]) {
				return
			}
			from += end + 1
		}
	}
}

// stretches yields the parts of text between lines that are empty or hold a form feed.
func stretches(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		start := 0
		for from, line := range lines(text) {
			if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "\f") {
				continue
			}
			if from > start && !yield(text[start:from]) {
				return
			}
			start = from
		}
		if start < len(text) {
			yield(text[start:])
		}
	}
}
