package cite

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/snowballstem"
	"github.com/blevesearch/snowballstem/english"
	"golang.org/x/text/unicode/norm"
)

// Terms returns what a text is about, in order and with repetitions: words in lower case without the commonest ones, English
// words by their stem (Porter's second stemmer), scripts written without spaces as pairs of characters, and operators of
// programming languages.
func Terms(text string) []string {
	var terms []string
	runes := []rune(particles.Replace(strings.ToLower(norm.NFKC.String(text))))
	for at := 0; at < len(runes); {
		class := classOf(runes[at])
		end := at + 1
		for class != other && end < len(runes) && classOf(runes[end]) == class {
			end++
		}
		terms = appendTerms(terms, class, string(runes[at:end]))
		at = end
	}
	return terms
}

// A class of characters that stand together in a term.
type class int

const (
	other class = iota
	word
	operator
	han
	hiragana
	unspaced // the other scripts without spaces
)

func classOf(r rune) class {
	switch {
	case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
		return word
	case r < 0x80:
		if strings.ContainsRune(":=<>!&|+-^.", r) {
			return operator
		}
		return other
	case unicode.Is(unicode.Han, r):
		return han
	case unicode.Is(unicode.Hiragana, r):
		return hiragana
	case unicode.In(r, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) || r == 'ー':
		return unspaced
	case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
		return word
	}
	return other
}

func appendTerms(terms []string, c class, s string) []string {
	switch c {
	case word:
		if _, size := utf8.DecodeRuneInString(s); !common[s] && (len(s) > size || s[0] <= '9') {
			terms = append(terms, stem(s))
		}
	case operator:
		if operators[s] {
			terms = append(terms, s)
		}
	case han, hiragana, unspaced:
		return appendPairs(terms, c, []rune(s))
	case other:
	}
	return terms
}

// appendPairs appends each two neighbours. What stands alone counts in Han only: a single Hiragana is a particle.
func appendPairs(terms []string, c class, runes []rune) []string {
	if len(runes) == 1 && c != hiragana {
		return append(terms, string(runes))
	}
	for i := range len(runes) - 1 {
		if pair := string(runes[i : i+2]); !common[pair] {
			terms = append(terms, pair)
		}
	}
	return terms
}

// stem cuts the endings of an English word; any other word stays.
func stem(s string) string {
	for i := range len(s) {
		if s[i] < 'a' || s[i] > 'z' {
			return s
		}
	}
	env := snowballstem.NewEnv(s)
	english.Stem(env)
	return env.Current()
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

var operators = set(":= <- == != <= >= && || << >> &^ -> => :: += -= ++ -- ... |= &= ^=")

// particles are Chinese words of questions and grammar. They part what stands before and after.
var particles = strings.NewReplacer("为什么", " ", "為什麼", " ", "怎么样", " ", "是不是", " ", "有没有", " ", "什么", " ", "什麼", " ", "怎么", " ",
	"怎麼", " ", "怎样", " ", "如何", " ", "哪里", " ", "哪裡", " ", "哪些", " ", "哪个", " ", "多少", " ", "是谁", " ", "是否", " ", "吗", " ", "嗎", " ",
	"呢", " ", "的", " ", "了", " ", "是", " ")

// common holds the words of English that say little, those of questions among them, and pairs of Hiragana like them.
var common = set(`a an the this that these those it its they them their there here he she his her we our us you your i me my
is are was were be been being am do does did done doing have has had having can could may might must shall should will would
of in on at to from by for with without about into onto over under between through during before after above below as than
and or but if then so because while until when where which who whom whose what why how whether also just only very too such
any some each every both either neither all most more less much many few other another same own not no nor
s t d ll m re ve don doesn isn aren wasn weren won please tell explain describe say says said give gives given get gets
happen happens happened work works working handle handled use uses used using
です ます でし した する して から まで など こと もの ある いる れる すか とは には では なに どこ いつ だれ どう`)
