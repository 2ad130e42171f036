package cite

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// marker is one place of an answer that cites: [1], [1, 3], 【2】.
type marker struct {
	Span
	indices []int
}

var (
	markerPattern = regexp.MustCompile(`[\[【]\s*\^?(\d{1,4}(?:\s*[,;]\s*\d{1,4})*)\s*[\]】]`)
	codePattern   = regexp.MustCompile("(?s)```.*?(?:```|\\z)|`[^`\n]*`")
)

// markers finds the markers of an answer. Brackets in code, the text of links, and a zero behind a name (as in a[0]) are none.
func markers(text string) []marker {
	var found []marker
	code := codePattern.FindAllStringIndex(text, -1)
	for _, at := range markerPattern.FindAllStringSubmatchIndex(text, -1) {
		inCode := slices.ContainsFunc(code, func(c []int) bool { return at[0] >= c[0] && at[1] <= c[1] })
		if inCode || strings.HasPrefix(text[at[1]:], "(") {
			continue
		}
		m := marker{Span: Span{Start: at[0], End: at[1]}, indices: numbers(text[at[2]:at[3]])}
		before, _ := utf8.DecodeLastRuneInString(text[:at[0]])
		if m.indices[0] == 0 && (unicode.IsLetter(before) || before == ')' || before == ']') {
			continue
		}
		found = append(found, m)
	}
	return found
}

func numbers(list string) []int {
	var indices []int
	for field := range strings.FieldsFuncSeq(list, func(r rune) bool { return r < '0' || r > '9' }) {
		n, err := strconv.Atoi(field)
		if err == nil && !slices.Contains(indices, n) {
			indices = append(indices, n)
		}
	}
	return indices
}

// carriers returns the sentence that each marker belongs to: the one around it, or the one that ended just before it.
func carriers(text string, found []marker) []string {
	blank := []byte(text)
	for _, m := range found {
		for i := m.Start; i < m.End; i++ {
			blank[i] = ' '
		}
	}
	plain := string(blank)
	sentences := Sentences(plain)
	carried := make([]string, len(found))
	for i, m := range found {
		for _, s := range sentences {
			if s.Start > m.Start && carried[i] != "" {
				break
			}
			carried[i] = s.Of(plain)
		}
	}
	return carried
}

// rewrite returns text with only the indices kept that hold. A marker that loses all goes, and the space before it.
func rewrite(text string, found []marker, holds func(index int) bool) string {
	var b strings.Builder
	at := 0
	for _, m := range found {
		kept := slices.DeleteFunc(slices.Clone(m.indices), func(index int) bool { return !holds(index) })
		before := text[at:m.Start]
		switch {
		case len(kept) == len(m.indices):
			before += m.Of(text)
		case len(kept) > 0:
			before += "[" + join(kept) + "]"
		default:
			before = strings.TrimRight(before, " \t")
		}
		b.WriteString(before)
		at = m.End
	}
	b.WriteString(text[at:])
	return strings.TrimSpace(b.String())
}

func join(indices []int) string {
	words := make([]string, len(indices))
	for i, n := range indices {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ", ")
}
