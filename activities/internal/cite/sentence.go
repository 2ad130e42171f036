package cite

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Span is a part of a text, in byte offsets.
type Span struct {
	Start, End int
	Code       bool // the inside of a fenced code block
}

// Of returns the part of text that s names.
func (s Span) Of(text string) string { return text[s.Start:s.End] }

// shortLine is how long a line without closing punctuation may be, in bytes, to count as a title when a capital follows on the
// next line. Lines that were wrapped are longer.
const shortLine = 48

var blockStart = regexp.MustCompile(`^\s*(?:[-*+•]\s|\d{1,3}[.)]\s|#{1,6}\s|\||>)`)

// Sentences splits text into sentences. Paragraphs, list items, headings and table rows end one as well; a fenced code block is
// one span. Spans are in order, do not overlap, and begin and end with something visible.
func Sentences(text string) []Span {
	var spans []Span
	start, code := 0, false
	flush := func(end int) {
		switch block := trim(text, Span{start, end, code}); {
		case block.Start == block.End:
		case code:
			spans = append(spans, block)
		default:
			spans = splitBlock(text, block, spans)
		}
	}
	previous := ""
	for at := 0; at < len(text); {
		next := lineEnd(text, at)
		line := strings.TrimSpace(text[at:next])
		switch {
		case strings.HasPrefix(line, "```") || strings.HasPrefix(line, "~~~"):
			flush(at)
			start, code = next, !code
		case code:
		case line == "" || blockStart.MatchString(text[at:next]) || isTitle(previous, line):
			flush(at)
			start = at
		}
		previous, at = line, next
	}
	flush(len(text))
	return spans
}

// lineEnd is the offset behind the line that begins at at, and behind its line feed.
func lineEnd(text string, at int) int {
	if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(text)
}

// isTitle reports whether line is a title of what stands on the next line.
func isTitle(line, next string) bool {
	if line == "" || len(line) > shortLine || strings.HasPrefix(line, "#") {
		return strings.HasPrefix(line, "#")
	}
	last, _ := utf8.DecodeLastRuneInString(line)
	first, _ := utf8.DecodeRuneInString(next)
	return (unicode.IsLetter(last) || unicode.IsDigit(last)) && unicode.IsUpper(first)
}

// splitBlock appends the sentences of one block.
func splitBlock(text string, block Span, spans []Span) []Span {
	start := block.Start
	for at := block.Start; at < block.End; {
		r, size := utf8.DecodeRuneInString(text[at:block.End])
		at += size
		if !isStop(r) {
			continue
		}
		for at < block.End {
			r, size := utf8.DecodeRuneInString(text[at:block.End])
			if !isStop(r) && !unicode.In(r, unicode.Pe, unicode.Pf) && r != '"' && r != '\'' && r != '*' && r != '_' && r != '`' {
				break
			}
			at += size
		}
		if isWide(r) || endsSentence(text[start:at], text[at:block.End]) {
			spans = appendVisible(text, Span{Start: start, End: at}, spans)
			start = at
		}
	}
	return appendVisible(text, Span{Start: start, End: block.End}, spans)
}

func isStop(r rune) bool { return r == '.' || r == '!' || r == '?' || isWide(r) }

// isWide reports a full stop that needs no space behind it.
func isWide(r rune) bool { return r == '。' || r == '！' || r == '？' || r == '．' }

var abbreviation = regexp.MustCompile(`(?i)(?:^|[\s(\["'])(?:e\.g|i\.e|etc|cf|vs|fig|no|sec|vol|pp|dr|mr|mrs|ms|prof|st|al|resp|approx|[a-z])\.$`)

// endsSentence decides whether the stop at the end of before ends a sentence.
func endsSentence(before, after string) bool {
	space := strings.TrimLeftFunc(after, unicode.IsSpace)
	if after == "" || len(space) == len(after) {
		return after == ""
	}
	first, _ := utf8.DecodeRuneInString(space)
	if unicode.IsLower(first) {
		return false
	}
	return !abbreviation.MatchString(before[max(0, len(before)-12):])
}

func appendVisible(text string, s Span, spans []Span) []Span {
	if s = trim(text, s); s.Start < s.End {
		spans = append(spans, s)
	}
	return spans
}

func trim(text string, s Span) Span {
	part := s.Of(text)
	s.Start += len(part) - len(strings.TrimLeftFunc(part, unicode.IsSpace))
	s.End = s.Start + len(strings.TrimSpace(part))
	return s
}
