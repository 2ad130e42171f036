package localmodel

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/tenuto-dev/tenuto/activities/internal/cite"
	"github.com/tenuto-dev/tenuto/activities/internal/prompt"
)

// How a sentence is scored. Coverage is the share of the question's terms that a sentence holds, weighted by rarity; it lies
// between 0 and 1, and the other parts are small beside it. The figures were set on questions about the Go specification; the
// test in this folder holds them.
const (
	headingWeight  = 0.45 // of a term that stands only in the title or section of the passage
	previousWeight = 0.35 // of a term that stands only in the sentence before
	pairBonus      = 0.20 // for neighbours in the question that are neighbours in the sentence
	defineBonus    = 0.25 // for a sentence that defines what a "what is" question asks for
	rankBonus      = 0.12 // for the first passage, falling with the rank
	firstBonus     = 0.05 // for the first sentence of a passage
	longPenalty    = 0.15 // for a sentence of twice longWords words
	partPenalty    = 0.15 // for what begins in the middle of a sentence
	longWords      = 45
	shortWords     = 4    // a sentence with fewer answers nothing
	enough         = 0.5  // coverage below which nothing fits
	nextShare      = 0.72 // of the best score that a further sentence needs
	maxSentences   = 3
)

// sentence is a candidate of the answer.
type sentence struct {
	passage int // its number
	order   int // over all passages
	first   bool
	quote   string // as it stands in the passage
	text    string // on one line, without the marks of lists
	terms   []string
	heading []string // terms of title and section
	before  []string // terms of the sentence before
	words   int
	score   float64
}

func (s sentence) cited() string {
	body := strings.TrimRightFunc(s.text, unicode.IsSpace)
	if end := strings.TrimRight(body, ".。"); end != body {
		return fmt.Sprintf("%s [%d]%s", end, s.passage, body[len(end):])
	}
	return fmt.Sprintf("%s [%d]", body, s.passage)
}

// extract chooses the sentences that answer question, in the order of the passages; none when nothing fits.
func extract(question string, passages []prompt.Passage) []sentence {
	q := ask(question)
	candidates := sentences(passages)
	q.weigh(candidates)
	var fitting []sentence
	for _, s := range candidates {
		if coverage := q.coverage(s); coverage >= enough && s.answers() && q.holdsEnough(s) {
			s.score = coverage + q.bonus(s)
			fitting = append(fitting, s)
		}
	}
	slices.SortStableFunc(fitting, func(a, b sentence) int { return cmp.Compare(b.score, a.score) })
	return choose(q, fitting)
}

// choose takes the best sentence and those that are nearly as good and not said yet.
func choose(q query, fitting []sentence) []sentence {
	var chosen []sentence
	for _, s := range fitting {
		if len(chosen) == maxSentences || s.score < nextShare*fitting[0].score {
			break
		}
		repeats := slices.ContainsFunc(chosen, func(c sentence) bool { return similar(c.terms, s.terms) > 0.6 })
		if !repeats && (len(chosen) == 0 || q.adds(chosen, s)) {
			chosen = append(chosen, s)
		}
	}
	slices.SortFunc(chosen, func(a, b sentence) int { return a.order - b.order })
	return chosen
}

var listMark = regexp.MustCompile(`^\s*(?:[-*+•]\s+|>\s*|\d{1,3}[.)]\s+)+`)

// sentences lists the candidates of all passages. Code is left out; headings and short lines are there for their neighbours.
func sentences(passages []prompt.Passage) []sentence {
	var all []sentence
	for rank, p := range passages {
		heading := cite.Terms(p.Title + " " + p.Section)
		var before []string
		for i, span := range cite.Sentences(p.Text) {
			if span.Code {
				continue
			}
			quote := span.Of(p.Text)
			text := strings.Join(strings.Fields(listMark.ReplaceAllString(quote, "")), " ")
			s := sentence{
				passage: p.N, order: rank<<20 + i, first: i == 0, quote: quote, text: text,
				terms: cite.Terms(text), heading: heading, before: before, words: countWords(text),
			}
			all, before = append(all, s), s.terms
		}
	}
	return all
}

// answers reports whether s is a statement: no heading, table row, question or remnant.
func (s sentence) answers() bool {
	return s.words >= shortWords && !strings.HasPrefix(s.quote, "#") && !strings.HasPrefix(s.quote, "|") &&
		!strings.HasSuffix(s.text, "?") && !strings.HasSuffix(s.text, "？") && !strings.HasSuffix(s.text, ":") && !isCode(s.text)
}

// isCode reports text with a comment of a programming language, or of which more than a tenth are characters that prose seldom has.
func isCode(text string) bool {
	if strings.Contains(text, " // ") {
		return true
	}
	odd := 0
	for _, r := range text {
		if strings.ContainsRune("{}[]()=:;<>/*+&|\\", r) {
			odd++
		}
	}
	return 10*odd > len(text)
}

// similar is the share of the distinct terms of both that both hold (Jaccard).
func similar(a, b []string) float64 {
	union := map[string]int{}
	for _, t := range a {
		union[t] |= 1
	}
	for _, t := range b {
		union[t] |= 2
	}
	both := 0
	for _, in := range union {
		if in == 3 {
			both++
		}
	}
	return float64(both) / math.Max(1, float64(len(union)))
}

// countWords counts words, and each character of scripts written without spaces.
func countWords(text string) int {
	n := 0
	inWord := false
	for _, r := range text {
		wide := unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai)
		letter := unicode.IsLetter(r) || unicode.IsDigit(r)
		if wide || (letter && !inWord) {
			n++
		}
		inWord = letter && !wide
	}
	return n
}
