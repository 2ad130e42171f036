package localmodel

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/activities/internal/cite"
)

// query is what a question asks for.
type query struct {
	terms   []string // in order, repetitions left out
	weight  map[string]float64
	defines *regexp.Regexp // begins of sentences that define the subject; nil when the question asks for no definition
}

var whatIs = regexp.MustCompile(`(?i)^\s*(?:what(?:'s|\s+is|\s+are)|define|what\s+does\s+(.+?)\s+mean)\s+(?:an?\s+|the\s+)?(.*?)\s*\??\s*$`)

func ask(question string) query {
	var q query
	for _, t := range cite.Terms(question) {
		if !slices.Contains(q.terms, t) {
			q.terms = append(q.terms, t)
		}
	}
	if match := whatIs.FindStringSubmatch(question); match != nil {
		if subject := strings.TrimSpace(match[1] + match[2]); subject != "" && len(subject) < 60 {
			q.defines = regexp.MustCompile(`(?i)^(?:(?:an?|the|each|every)\s+)?["'` + "`" + `*]*` + regexp.QuoteMeta(subject) +
				`\S*(?:\s+\S+){0,2}?\s+(?:is|are|denotes?|means?|refers?|represents?|specif(?:y|ies)|describes?|consists?|provides?|defines?|determines?)\b`)
		}
	}
	return q
}

// weigh gives each term its rarity among the candidates: Robertson and Sparck Jones' inverse document frequency with a sentence for
// a document, as BM25 uses it. A term that stands nowhere weighs as one that stands once; half of that in scripts written without
// spaces, where many pairs of characters only come from words that meet.
func (q *query) weigh(candidates []sentence) {
	q.weight = make(map[string]float64, len(q.terms))
	n := float64(len(candidates))
	for _, t := range q.terms {
		in := 0.0
		for _, s := range candidates {
			if slices.Contains(s.terms, t) {
				in++
			}
		}
		q.weight[t] = math.Log(1 + (n-max(in, 1)+0.5)/(max(in, 1)+0.5))
		if in == 0 && !isSpaced(t) {
			q.weight[t] /= 2
		}
	}
}

// isSpaced reports whether a term is of a script that parts words by spaces.
func isSpaced(term string) bool {
	r, _ := utf8.DecodeRuneInString(term)
	return !unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// coverage is the weighted share of the question's terms that s holds, itself or less so by its surroundings.
func (q *query) coverage(s sentence) float64 {
	held, all := 0.0, 0.0
	for _, t := range q.terms {
		all += q.weight[t]
		switch {
		case slices.Contains(s.terms, t):
			held += q.weight[t]
		case slices.Contains(s.heading, t):
			held += headingWeight * q.weight[t]
		case slices.Contains(s.before, t):
			held += previousWeight * q.weight[t]
		}
	}
	if all == 0 {
		return 0
	}
	return held / all
}

// holdsEnough asks for two of the question's terms, one of them in the sentence itself; a question of one term needs that one.
func (q *query) holdsEnough(s sentence) bool {
	own, around := 0, 0
	for _, t := range q.terms {
		switch {
		case slices.Contains(s.terms, t):
			own++
		case slices.Contains(s.heading, t), slices.Contains(s.before, t):
			around++
		}
	}
	return own > 0 && own+around >= min(2, len(q.terms))
}

// bonus ranks sentences that cover alike.
func (q *query) bonus(s sentence) float64 {
	bonus := pairBonus*q.pairs(s) + rankBonus/float64(1+s.order>>20)
	if s.first {
		bonus += firstBonus
	}
	if q.defines != nil && q.defines.MatchString(s.text) {
		bonus += defineBonus
	}
	if s.words > longWords {
		bonus -= longPenalty * math.Min(1, float64(s.words-longWords)/longWords)
	}
	if first, _ := utf8.DecodeRuneInString(s.quote); unicode.IsLower(first) {
		bonus -= partPenalty
	}
	return bonus
}

// pairs is the share of the question's neighbouring terms that are neighbours in s, in the same order.
func (q *query) pairs(s sentence) float64 {
	if len(q.terms) < 2 {
		return 0
	}
	found := 0
	for i := range len(q.terms) - 1 {
		for j := range max(0, len(s.terms)-1) {
			if s.terms[j] == q.terms[i] && s.terms[j+1] == q.terms[i+1] {
				found++
				break
			}
		}
	}
	return float64(found) / float64(len(q.terms)-1)
}

// adds reports whether s says something on the question that the chosen sentences do not: it holds a term that they lack, or
// follows one of them.
func (q *query) adds(chosen []sentence, s sentence) bool {
	for _, c := range chosen {
		if s.order == c.order+1 {
			return true
		}
	}
	return slices.ContainsFunc(q.terms, func(t string) bool {
		return slices.Contains(s.terms, t) && !slices.ContainsFunc(chosen, func(c sentence) bool { return slices.Contains(c.terms, t) })
	})
}
