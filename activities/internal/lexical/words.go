package lexical

import (
	"iter"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/analysis/lang/en"
	"github.com/blevesearch/go-porterstemmer"
	"golang.org/x/text/unicode/norm"
)

// maxWord bounds a word in bytes; of what is longer (base64, minified code) the rest is not looked at.
const maxWord = 64

// words returns the words of text in order: small letters without accents, English ones stemmed, without English stop words and
// single letters unless there is nothing else. Scripts without spaces yield overlapping pairs of characters.
func words(text string) []string {
	stops := stopWords()
	var all, telling []string
	for run := range strings.FieldsFuncSeq(normalize(text), separates) {
		for word := range split(run) {
			stem := stem(word)
			all = append(all, stem)
			if _, stop := stops[word]; !stop && (len(word) > 1 || isDigit(word)) {
				telling = append(telling, stem)
			}
		}
	}
	if len(telling) == 0 {
		return all
	}
	return telling
}

// normalize brings text into small letters without the accents of Latin and Greek (Unicode NFKD; other scripts keep their marks).
func normalize(text string) string {
	text = strings.ToLower(text)
	if isASCII(text) {
		return text
	}
	base := false
	unaccented := strings.Map(func(r rune) rune {
		if base && unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		base = unicode.In(r, unicode.Latin, unicode.Greek)
		return r
	}, norm.NFKD.String(text))
	return norm.NFC.String(unaccented)
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
}

func isDigit(word string) bool { return '0' <= word[0] && word[0] <= '9' }

func separates(r rune) bool {
	if r < utf8.RuneSelf {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}
	return !unicode.In(r, unicode.L, unicode.M, unicode.N) || r == utf8.RuneError
}

// split yields the words of a run of letters and digits: the run, or where a script without spaces occurs in it, the pairs of its
// characters and what stands between.
func split(run string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for run != "" {
			end, step := wordAt(run)
			if !yield(run[:end]) {
				return
			}
			run = run[step:]
		}
	}
}

// wordAt returns the length of the word that run begins with, and how far on the next one begins.
func wordAt(run string) (end, step int) {
	first, size := utf8.DecodeRuneInString(run)
	if isUnspaced(first) {
		return pairAt(run, size)
	}
	if end = strings.IndexFunc(run, isUnspaced); end < 0 {
		end = len(run)
	}
	return boundary(run, min(end, maxWord)), end
}

// pairAt is wordAt for a run whose first character, of size bytes, is of a script without spaces.
func pairAt(run string, size int) (end, step int) {
	second, next := utf8.DecodeRuneInString(run[size:])
	if !isUnspaced(second) {
		return size, size
	}
	third, _ := utf8.DecodeRuneInString(run[size+next:])
	if !isUnspaced(third) {
		return size + next, size + next
	}
	return size + next, size
}

// boundary returns the last start of a character at or before at.
func boundary(text string, at int) int {
	for at < len(text) && at > 0 && !utf8.RuneStart(text[at]) {
		at--
	}
	return at
}

// isUnspaced reports whether r is of a script that is written without spaces between words.
func isUnspaced(r rune) bool {
	return r >= 0x0e00 && (r == 'ー' || unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul,
		unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Tibetan))
}

// stem cuts English endings (M. F. Porter, "An algorithm for suffix stripping", 1980).
func stem(word string) string {
	if !isASCII(word) {
		return word
	}
	return string(porterstemmer.StemWithoutLowerCasing([]rune(word)))
}

// stopWords are bleve's for English.
var stopWords = sync.OnceValue(func() analysis.TokenMap {
	stops := analysis.NewTokenMap()
	if err := stops.LoadBytes(en.EnglishStopWords); err != nil { // reads memory
		panic(err)
	}
	return stops
})
