package analyze

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// maxTerm bounds a term in bytes: a word of maxWord bytes grows when its letters are folded (ß to ss) or composed.
const maxTerm = 3 * maxWord

func FuzzTerms(f *testing.F) {
	for _, text := range []string{
		"The quick brown fox", "unsafe.Pointer x++ C# a.b_c", "北京大学 東京のデータ ที่นี่", "l’avion Straße ﬁ Ⅷ ½",
		"a\xff\xc3(", "\u0301\u0301a\u200d\u00ad", strings.Repeat("y", 300), "İıẞǅ ﷺ", "1,000,000.5", "'''...,,,",
	} {
		f.Add(text, uint8(0))
	}
	codes := append(Languages(), Auto)
	analyzers := map[string]*Analyzer{}
	for _, code := range codes {
		analyzers[code] = newAnalyzer(f, code)
	}
	f.Fuzz(func(t *testing.T, text string, language uint8) {
		analyzer := analyzers[codes[int(language)%len(codes)]]
		got := analyzer.Terms(text)
		if again := analyzer.Terms(text); again != got {
			t.Fatalf("%q then %q", got, again)
		}
		checkTerms(t, got)
	})
}

// checkTerms checks what the index relies on: Weaviate's whitespace tokenisation must find exactly our terms.
func checkTerms(t *testing.T, terms string) {
	t.Helper()
	if !utf8.ValidString(terms) {
		t.Fatalf("%q is not valid UTF-8", terms)
	}
	if terms == "" {
		return
	}
	for term := range strings.SplitSeq(terms, " ") {
		if term == "" || strings.ContainsFunc(term, unicode.IsSpace) {
			t.Fatalf("a term is empty or has white space in it: %q", terms)
		}
		if strings.ContainsFunc(term, unicode.IsControl) {
			t.Fatalf("control character in %q", term)
		}
		if len(term) > maxTerm {
			t.Fatalf("a term of %d bytes: %q", len(term), term)
		}
	}
}
