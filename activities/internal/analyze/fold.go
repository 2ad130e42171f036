package analyze

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// letters are folded that have no decomposition.
var letters = strings.NewReplacer("ß", "ss", "æ", "ae", "œ", "oe", "ø", "o", "đ", "d", "ð", "d", "ł", "l", "þ", "th", "ı", "i",
	"ё", "е", "ς", "σ", "'", "")

// fold removes the accents of Latin and Greek letters, so that a query typed without them matches. It comes after stemming, whose
// rules need them. In other scripts marks are letters, and stay.
func fold(term string) string {
	if isASCII(term) {
		return strings.ReplaceAll(term, "'", "")
	}
	var out strings.Builder
	base := false
	for _, r := range norm.NFD.String(letters.Replace(term)) {
		if unicode.Is(unicode.Mn, r) && base {
			continue
		}
		base = unicode.In(r, unicode.Latin, unicode.Greek)
		out.WriteRune(r)
	}
	return norm.NFC.String(out.String())
}
