package analyze

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/analysis/lang/ar"
	"github.com/blevesearch/bleve/v2/analysis/lang/da"
	"github.com/blevesearch/bleve/v2/analysis/lang/de"
	"github.com/blevesearch/bleve/v2/analysis/lang/en"
	"github.com/blevesearch/bleve/v2/analysis/lang/es"
	"github.com/blevesearch/bleve/v2/analysis/lang/fa"
	"github.com/blevesearch/bleve/v2/analysis/lang/fi"
	"github.com/blevesearch/bleve/v2/analysis/lang/fr"
	"github.com/blevesearch/bleve/v2/analysis/lang/hi"
	"github.com/blevesearch/bleve/v2/analysis/lang/hr"
	"github.com/blevesearch/bleve/v2/analysis/lang/hu"
	"github.com/blevesearch/bleve/v2/analysis/lang/it"
	"github.com/blevesearch/bleve/v2/analysis/lang/nl"
	"github.com/blevesearch/bleve/v2/analysis/lang/no"
	"github.com/blevesearch/bleve/v2/analysis/lang/pl"
	"github.com/blevesearch/bleve/v2/analysis/lang/pt"
	"github.com/blevesearch/bleve/v2/analysis/lang/ro"
	"github.com/blevesearch/bleve/v2/analysis/lang/ru"
	"github.com/blevesearch/bleve/v2/analysis/lang/sv"
	"github.com/blevesearch/bleve/v2/analysis/lang/tr"
	"github.com/blevesearch/bleve/v2/registry"

	"github.com/tenuto-dev/tenuto/schemas"
)

// language is how bleve analyses a language, and the script it is written in.
type language struct {
	build  registry.AnalyzerConstructor
	script *unicode.RangeTable
}

// languages are those for which bleve has a whole analyser: stop words and a stemmer.
var languages = map[string]language{
	"ar": {ar.AnalyzerConstructor, unicode.Arabic},
	"da": {da.AnalyzerConstructor, unicode.Latin},
	"de": {de.AnalyzerConstructor, unicode.Latin},
	"en": {en.AnalyzerConstructor, unicode.Latin},
	"es": {es.AnalyzerConstructor, unicode.Latin},
	"fa": {fa.AnalyzerConstructor, unicode.Arabic},
	"fi": {fi.AnalyzerConstructor, unicode.Latin},
	"fr": {fr.AnalyzerConstructor, unicode.Latin},
	"hi": {hi.AnalyzerConstructor, unicode.Devanagari},
	"hr": {hr.AnalyzerConstructor, unicode.Latin},
	"hu": {hu.AnalyzerConstructor, unicode.Latin},
	"it": {it.AnalyzerConstructor, unicode.Latin},
	"nl": {nl.AnalyzerConstructor, unicode.Latin},
	"no": {no.AnalyzerConstructor, unicode.Latin},
	"pl": {pl.AnalyzerConstructor, unicode.Latin},
	"pt": {pt.AnalyzerConstructor, unicode.Latin},
	"ro": {ro.AnalyzerConstructor, unicode.Latin},
	"ru": {ru.AnalyzerConstructor, unicode.Cyrillic},
	"sv": {sv.AnalyzerConstructor, unicode.Latin},
	"tr": {tr.AnalyzerConstructor, unicode.Latin},
}

// filters are the token filters of one language, and those for Latin words in languages of another script.
type filters struct {
	script *unicode.RangeTable
	own    []analysis.TokenFilter
	latin  []analysis.TokenFilter
}

func newFilters(code string) (filters, error) {
	switch code {
	case "", Auto, "zh", "ja", "ko":
		code = "en"
	}
	lang, ok := languages[code]
	if !ok {
		return filters{}, schemas.Errorf(schemas.Invalid, "no keyword analysis for language %q: choose auto or one of %s",
			code, strings.Join(Languages(), ", "))
	}
	own, err := lang.filters()
	if err != nil {
		return filters{}, err
	}
	latin, err := languages["en"].filters()
	return filters{script: lang.script, own: own, latin: latin}, err
}

// filters returns what bleve does with the words of the language after segmentation.
func (l language) filters() ([]analysis.TokenFilter, error) {
	built, err := l.build(nil, registry.NewCache())
	if err != nil {
		return nil, schemas.Wrap(schemas.Internal, err, "the keyword analyser could not be built")
	}
	standard, ok := built.(*analysis.DefaultAnalyzer)
	if !ok {
		return nil, schemas.Errorf(schemas.Internal, "the keyword analyser has an unknown shape")
	}
	return standard.TokenFilters, nil
}

// apply returns the term of one word; empty for a stop word.
func (f filters) apply(word string) string {
	var out strings.Builder
	stream := analysis.TokenStream{{Term: []byte(strings.ToLower(word)), Start: 0, End: len(word), Position: 1}}
	for _, filter := range f.choose(word) {
		stream = filter.Filter(stream)
	}
	for _, token := range stream {
		writeTerms(&out, fold(string(token.Term)))
	}
	return out.String()
}

// choose returns the filters for the script that word begins with.
func (f filters) choose(word string) []analysis.TokenFilter {
	r, _ := utf8.DecodeRuneInString(word)
	switch {
	case unicode.Is(f.script, r):
		return f.own
	case unicode.Is(unicode.Latin, r):
		return f.latin
	}
	return nil
}
