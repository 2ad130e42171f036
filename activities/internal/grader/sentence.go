package grader

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// abbreviations end with a full stop in mid-sentence.
var abbreviations = strings.Fields("mr mrs ms dr prof st no nr vs etc e.g i.e cf fig approx inc ltd")

// sentences splits text at line ends, and after what ends a sentence where something that can begin one follows. What has neither letter nor
// digit is no sentence, unless there is nothing else.
func sentences(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		start := 0
		for i := range line {
			if end := endOf(line, i); end > start {
				out, start = append(out, strings.TrimSpace(line[start:end])), end
			}
		}
		out = append(out, strings.TrimSpace(line[start:]))
	}
	out = slices.DeleteFunc(out, func(s string) bool {
		return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
	})
	if len(out) == 0 {
		return []string{strings.TrimSpace(text)}
	}
	return out
}

// endOf is where the sentence ends that the mark at i ends, after closing quotes and brackets; 0 if it ends none.
func endOf(line string, i int) int {
	mark, size := utf8.DecodeRuneInString(line[i:])
	rest := strings.TrimLeft(line[i+size:], "\"')]”’»」")
	end := len(line) - len(rest)
	switch mark {
	case '。', '！', '？':
		return end
	case '.', '!', '?':
	default:
		return 0
	}
	next := strings.TrimLeftFunc(rest, unicode.IsSpace)
	first, _ := utf8.DecodeRuneInString(next)
	word := strings.TrimLeft(line[strings.LastIndexFunc(line[:i], unicode.IsSpace)+1:i], "([\"'")
	switch {
	case next == "" || next == rest || unicode.IsLower(first):
		return 0
	case mark == '.' && (slices.Contains(abbreviations, strings.ToLower(word)) || utf8.RuneCountInString(word) == 1):
		return 0
	}
	return end
}
