package window

import (
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// leastPart is how many tokens of a passage are worth keeping.
const leastPart = 24

// retrieved drops passages from the worst. The first that does not fit is cut if enough of it does.
func (f *fitter) retrieved(s *Section, r room) {
	n, reason := f.leading(s.Items, r)
	if n == len(s.Items) {
		return
	}
	left := r.tokens - f.cost(s.Items[:n]...) - f.PerItem
	rest := s.Items[n:]
	if part, ok := f.part(rest[0], left); ok {
		f.cuts = append(f.cuts, Cut{
			Section: s.Kind, Item: part.ID, Tokens: max(rest[0].Tokens-part.Tokens, 0), Kept: part.Tokens, Reason: reason,
		})
		s.Items[n] = part
		n, rest = n+1, rest[1:]
	}
	for _, item := range rest {
		f.cut(s, item, reason)
	}
	s.Items = s.Items[:n]
}

// part is the longest beginning of an item that ends with a sentence or a line and has at most limit tokens.
func (f *fitter) part(item Item, limit int) (Item, bool) {
	if limit < leastPart {
		return item, false
	}
	ends := boundaries(item.Text)
	n := sort.Search(len(ends), func(i int) bool { return f.count(item.Text[:ends[i]]) > limit })
	for ; n > 0; n-- { // a longer text may have fewer tokens, if only by one
		item.Text = strings.TrimRightFunc(item.Text[:ends[n-1]], unicode.IsSpace)
		if item.Tokens = f.count(item.Text); item.Tokens <= limit {
			return item, item.Tokens >= leastPart
		}
	}
	return item, false
}

// boundaries is where sentences and lines end, save the last.
func boundaries(text string) []int {
	var ends []int
	for i, r := range text {
		end := i + utf8.RuneLen(r)
		if r == utf8.RuneError {
			continue
		}
		next, _ := utf8.DecodeRuneInString(text[end:])
		switch {
		case end >= len(text):
		case r == '\n', strings.ContainsRune("。！？｡।॥؟۔።", r):
			ends = append(ends, end)
		case strings.ContainsRune(".!?…", r) && unicode.IsSpace(next):
			ends = append(ends, end)
		}
	}
	return ends
}
