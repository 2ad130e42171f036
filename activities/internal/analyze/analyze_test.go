package analyze

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
)

func TestTerms(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, language, text, want string }{
		{"empty", Auto, "", ""},
		{"nothing but marks", Auto, " \t… --- !?\u200b\n", ""},
		{"case, stop words, stems", Auto, "The Cells are dividing", "cell divid"},
		{"possessive, both apostrophes", Auto, "Parkinson's and Alzheimer’s", "parkinson alzheim"},
		{"contraction", Auto, "don't o'clock", "oclock"},
		{"hyphen separates", Auto, "COVID-19 re-ingested", "covid 19 re ingest"},
		{"numbers stay whole", Auto, "1,000 of 3.14, v1.35.2", "1,000 3.14 v1.35.2 v1"},
		{"accents", Auto, "naïve café", "naiv cafe"},
		{"decomposed accents", Auto, "cafe\u0301", "cafe"},
		{"full width and ligature", Auto, "ＡＢＣ ﬁles", "abc file"},
		{"soft hyphen", Auto, "hyphen\u00adated", "hyphen"},
		{"not UTF-8", Auto, "one\xfftwo", "on two"},

		{"dotted name", Auto, "unsafe.Pointer", "unsafe.pointer unsaf pointer"},
		{"dotted name with humps", Auto, "sync.WaitGroup", "sync.waitgroup sync waitgroup wait group"},
		{"call", Auto, "fmt.Println(x)", "fmt.println fmt println x"},
		{"capitals", Auto, "GOMAXPROCS", "gomaxproc"},
		{"humps", Auto, "HTTPServer parseURLs", "httpserver http server parseurl pars url"},
		{"no humps", Auto, "mRNA IgG iOS Println", "mrna igg io println"},
		{"snake", Auto, "max_open_files", "max_open_files max open file"},
		{"file", Auto, "cmd/go/main.go", "cmd go main.go main go"},
		{"glued sentences", Auto, "end.Next", "end.next end next"},
		{"initials", Auto, "U.S.A. e.g.", "usa eg"},
		{"languages with marks", Auto, "C++, C# and F#.", "c++ c# f#"},
		{"no language", Auto, "Ca2+ x+++y #1", "ca2 x y 1"},
		{"package path", Auto, "std::vector", "std vector"},

		{"Chinese", Auto, "北京大学", "北 北京 京 京大 大 大学 学"},
		{"one character", Auto, "猫", "猫"},
		{"Japanese", Auto, "東京のデータ", "東 東京 京 京の のデ デー ータ"},
		{"half-width katakana", Auto, "ﾃﾞｰﾀ", "デー ータ"},
		{"Korean", Auto, "서울에서 왔다", "서울 울에 에서 왔다"},
		{"Thai keeps its marks", Auto, "ที่นี่", "ที่นี่"},
		{"mixed scripts", Auto, "Go语言1.26版", "go 语 语言 言 1.26 版"},
		{"Chinese by code", "zh", "Go语言", "go 语 语言 言"},

		{"German", "de", "Die Häuser der Straßen", "haus strass"},
		{"German umlaut spelled out", "de", "Haeuser", "haus"},
		{"French elision", "fr", "l’avion", "avion"},
		{"Spanish with and without accent", "es", "canciones cancion", "cancion cancion"},
		{"Russian and a Latin word", "ru", "документы и servers", "документ server"},
		{"Cyrillic in auto", Auto, "Ёлки Документы", "елки документы"},
		{"Greek in auto", Auto, "Ἀθῆναι ΛΌΓΟΣ λόγος", "αθηναι λογοσ λογοσ"},
		{"Polish", "pl", "książkami", "ksiazek"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, newAnalyzer(t, test.language).Terms(test.text)); diff != "" {
				t.Errorf("Terms(%q) (-want +got)\n%s", test.text, diff)
			}
		})
	}
}

func TestLongWordIsCut(t *testing.T) {
	t.Parallel()
	word := strings.Repeat("x", 10*maxWord)
	for term := range strings.FieldsSeq(newAnalyzer(t, Auto).Terms(word)) {
		if len(term) > maxWord {
			t.Errorf("a term of %d bytes", len(term))
		}
	}
	hash := strings.Repeat("0123456789abcdef", 4) // the hex of a SHA-256 is found whole
	if got := newAnalyzer(t, Auto).Terms(hash); got != hash {
		t.Errorf("Terms(hash) = %q", got)
	}
}

func TestNewKnowsItsLanguages(t *testing.T) {
	t.Parallel()
	for _, code := range append(Languages(), "", Auto) {
		if got := newAnalyzer(t, code).Terms("Tenuto 7"); !strings.HasPrefix(got, "ten") || !strings.HasSuffix(got, " 7") {
			t.Errorf("%q: Terms = %q, want a stem and the number", code, got)
		}
	}
	_, err := New("xx")
	if schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(err.Error(), "da, de, en") {
		t.Errorf("New(xx): %v, want an invalid that lists the languages", err)
	}
}

// TestConcurrentUse shares one analyser between goroutines.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	shared := newAnalyzer(t, Auto)
	text := strings.Repeat("Running sync.WaitGroup cafés 北京 walked ", 50)
	want := newAnalyzer(t, Auto).Terms(text)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 20 {
				if got := shared.Terms(text); got != want {
					t.Errorf("got %q, want %q", got, want)
					return
				}
			}
		})
	}
	group.Wait()
}

func newAnalyzer(tb testing.TB, language string) *Analyzer {
	tb.Helper()
	analyzer, err := New(language)
	if err != nil {
		tb.Fatal(err)
	}
	return analyzer
}
