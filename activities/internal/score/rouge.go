package score

import (
	"regexp"
	"strings"
	"unicode"
)

// Prediction says how well a candidate matches a reference.
type Prediction struct {
	Precision float64
	Recall    float64
}

// F is the weighted harmonic mean of precision and recall; beta 1 weighs them alike, and 0 is precision alone.
func (p Prediction) F(beta float64) float64 {
	return ratio((1+beta*beta)*p.Precision*p.Recall, p.Recall+beta*beta*p.Precision)
}

// RougeN compares n-grams (Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004). Both are tokens.
func RougeN(candidate, reference []string, n int) Prediction {
	return predict(overlap(ngrams(candidate, n), ngrams(reference, n)), len(candidate)-n+1, len(reference)-n+1)
}

// RougeS compares skip-bigrams: pairs of tokens in order, at most so many places apart (1 is neighbours); 0 is without a limit.
func RougeS(candidate, reference []string, apart int) Prediction {
	inCandidate, all := skipBigrams(candidate, apart)
	inReference, expected := skipBigrams(reference, apart)
	return predict(overlap(inCandidate, inReference), all, expected)
}

// RougeL compares by the longest common subsequence of each sentence of the reference with the candidate's: their union counts, as in
// section 3.2 of Lin. Candidate and reference are sentences of tokens; of one sentence each it is the plain ROUGE-L. A token is matched
// no more often than the candidate has it.
func RougeL(candidate, reference [][]string) Prediction {
	have := map[string]int{}
	inCandidate, inReference, matched := 0, 0, 0
	for _, sentence := range candidate {
		inCandidate += len(sentence)
		for _, token := range sentence {
			have[token]++
		}
	}
	for _, sentence := range reference {
		inReference += len(sentence)
		union := make([]bool, len(sentence))
		for _, other := range candidate {
			commonTokens(sentence, other, union)
		}
		for i, token := range sentence {
			if union[i] && have[token] > 0 {
				have[token]--
				matched++
			}
		}
	}
	return predict(matched, inCandidate, inReference)
}

func predict(matches, candidate, reference int) Prediction {
	return Prediction{Precision: ratio(float64(matches), float64(max(candidate, 0))), Recall: ratio(float64(matches), float64(max(reference, 0)))}
}

// commonTokens marks the tokens of a that a longest common subsequence with b has.
func commonTokens(a, b []string, marked []bool) {
	lengths := make([][]int32, len(a)+1)
	for i := range lengths {
		lengths[i] = make([]int32, len(b)+1)
	}
	for i := range a {
		for j := range b {
			lengths[i+1][j+1] = max(lengths[i][j+1], lengths[i+1][j])
			if a[i] == b[j] {
				lengths[i+1][j+1] = lengths[i][j] + 1
			}
		}
	}
	for i, j := len(a), len(b); i > 0 && j > 0; {
		switch {
		case a[i-1] == b[j-1]:
			marked[i-1] = true
			i, j = i-1, j-1
		case lengths[i-1][j] > lengths[i][j-1]:
			i--
		default:
			j--
		}
	}
}

func skipBigrams(tokens []string, apart int) (counts map[string]int, total int) {
	counts = map[string]int{}
	for i := range tokens {
		for j := i + 1; j < len(tokens) && (apart == 0 || j-i <= apart); j++ {
			counts[tokens[i]+"\x00"+tokens[j]]++
			total++
		}
	}
	return counts, total
}

// The rules of the Penn Treebank, as its tokenizer.sed has them: punctuation and the endings of contractions are tokens of their own, and
// a full stop is one only where the text ends.
var (
	punctuation  = regexp.MustCompile(`[;@#$%&?!:(){}\[\]<>"“”]|\.\.\.|--`)
	comma        = regexp.MustCompile(`,([^0-9]|$)`)
	finalStop    = regexp.MustCompile(`([^.])\.([\])}>"'”’]*)\s*$`)
	closingQuote = regexp.MustCompile(`([^'])' `)
	endings      = regexp.MustCompile(`(?i)('s|'m|'d|'ll|'re|'ve|n't)\b`)
	contractions = regexp.MustCompile(`(?i)\b(can)(not)\b|\b(gim|lem)(me)\b|\b(gon|wan)(na)\b|\b(got)(ta)\b`)
)

// tokens splits a text into tokens, sentence by sentence; case stays.
func tokens(text string) []string {
	var out []string
	for _, sentence := range sentences(text) {
		out = append(out, treebank(sentence)...)
	}
	return out
}

// treebank splits a sentence into tokens.
func treebank(text string) []string {
	text = finalStop.ReplaceAllString(text, "$1 . $2 ")
	text = punctuation.ReplaceAllString(text, " $0 ")
	text = comma.ReplaceAllString(text, " , $1")
	text = closingQuote.ReplaceAllString(text+" ", "$1 ' ")
	text = endings.ReplaceAllString(text, " $1")
	text = contractions.ReplaceAllString(text, "$1$3$5$7 $2$4$6$8")
	return strings.Fields(text)
}

// abbreviations end with a full stop that ends no sentence, folded.
var abbreviations = map[string]bool{
	"mr": true, "mrs": true, "ms": true, "dr": true, "prof": true, "st": true, "jr": true, "sr": true, "e.g": true, "i.e": true, "etc": true,
	"vs": true, "no": true, "fig": true, "al": true, "ca": true, "inc": true, "ltd": true, "co": true, "dept": true, "gen": true, "u.s": true,
}

// sentences splits a text where a mark that ends sentences is followed by white space, and at empty lines.
func sentences(text string) []string {
	var out []string
	start := 0
	for i, r := range text {
		if !unicode.IsSpace(r) || i == 0 || i < start {
			continue
		}
		before := strings.TrimRight(text[start:i], `"')]”’`)
		if before == "" || !strings.ContainsRune(".!?", rune(before[len(before)-1])) || abbreviated(before) {
			continue
		}
		out, start = append(out, text[start:i]), i
	}
	if strings.TrimSpace(text[start:]) != "" {
		out = append(out, text[start:])
	}
	return out
}

func abbreviated(text string) bool {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return true
	}
	last := strings.ToLower(strings.TrimLeft(fields[len(fields)-1], `"'([“‘`))
	stem, stopped := strings.CutSuffix(last, ".")
	return stopped && (abbreviations[stem] || len(stem) == 1 && stem[0] >= 'a' && stem[0] <= 'z')
}
