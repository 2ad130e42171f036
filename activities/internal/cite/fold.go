package cite

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// folded is a text in a spelling that does not tell apart what quoting changes: Unicode form (NFKC), case, white space, the shape
// of quotation marks and dashes, and marks of emphasis. It remembers where each byte came from.
type folded struct {
	text       string
	starts     []int // of the original character, by byte of text
	ends       []int
	whitespace bool // the last byte is a space
}

// fold folds s.
func fold(s string) *folded {
	f := &folded{}
	var b strings.Builder
	for at := 0; at < len(s); {
		next := at + boundary(s[at:])
		part := s[at:next]
		if next-at > 1 {
			part = norm.NFKC.String(part)
		}
		for _, r := range part {
			f.add(&b, r, at, next)
		}
		at = next
	}
	f.text = b.String()
	return f
}

// boundary is the length of the first part of s that normalises by itself.
func boundary(s string) int {
	if s[0] < utf8.RuneSelf && (len(s) == 1 || s[1] < utf8.RuneSelf) {
		return 1
	}
	return norm.NFKC.NextBoundaryInString(s, true)
}

func (f *folded) add(b *strings.Builder, r rune, start, end int) {
	r, keep := foldRune(r)
	if !keep || (r == ' ' && (f.whitespace || b.Len() == 0)) {
		return
	}
	f.whitespace = r == ' '
	size, _ := b.WriteRune(r)
	for range size {
		f.starts = append(f.starts, start)
		f.ends = append(f.ends, end)
	}
}

func foldRune(r rune) (rune, bool) {
	switch {
	case unicode.IsSpace(r):
		return ' ', true
	case strings.ContainsRune("‘’‚‛′`´", r):
		return '\'', r != '`'
	case strings.ContainsRune("“”„‟″«»「」『』", r):
		return '"', true
	case unicode.Is(unicode.Pd, r) || r == '−':
		return '-', true
	case r == '*' || unicode.Is(unicode.Cf, r):
		return 0, false
	}
	return unicode.ToLower(r), true
}

// quotable is a folded quote without what writers put around one.
func quotable(quote string) string { return strings.Trim(fold(quote).text, `"'. `) }

// find returns where quote, folded, stands in the original text, at the limits of words. Not ok for a quote without a letter or
// digit.
func (f *folded) find(quote string) (start, end int, ok bool) {
	if !strings.ContainsFunc(quote, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
		return 0, 0, false
	}
	for from := 0; ; {
		i := strings.Index(f.text[from:], quote)
		if i < 0 {
			return 0, 0, false
		}
		i += from
		if f.atWordLimit(i) && f.atWordLimit(i+len(quote)) {
			return f.starts[i], f.ends[i+len(quote)-1], true
		}
		_, size := utf8.DecodeRuneInString(f.text[i:])
		from = i + size
	}
}

// atWordLimit reports whether offset i does not cut a word in two.
func (f *folded) atWordLimit(i int) bool {
	before, _ := utf8.DecodeLastRuneInString(f.text[:i])
	after, _ := utf8.DecodeRuneInString(f.text[i:])
	return classOf(before) != word || classOf(after) != word
}
