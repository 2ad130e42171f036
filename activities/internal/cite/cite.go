// Package cite has the form of an answer with citations, and checks those against the passages that the model was given.
package cite

import (
	"slices"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Checked is an answer whose every citation holds.
type Checked struct {
	Text      string
	Citations []schemas.Citation // in the order of the answer's markers; those that the answer does not mark come last
	Dropped   int                // citations of the model that did not hold
}

// A sentence supports a statement when at least support of the statement's distinct terms occur in it, and at least supportTerms
// of them (all, if the statement has fewer). Below a half, sentences of the same topic that say something else begin to pass.
const (
	support      = 0.5
	supportTerms = 2
)

// Verify reads a model's output, JSON or plain text, and keeps the citations that hold. Index n means hits[n-1].
//
// A citation holds when its quote occurs in the chunk's text; white space, case, Unicode form, the shape of quotation marks and
// emphasis may differ, and the reported quote is the exact part of the chunk. Where the quote is missing or does not occur, the
// sentence of the chunk that shares most with the quote or with the answer's sentence takes its place if it shares enough. What
// does not hold is dropped and its markers are taken out of the text.
func Verify(raw string, hits []schemas.Hit) Checked {
	v := verifier{output: parse(raw), hits: hits, folds: map[int]*folded{}}
	v.found = markers(v.text)
	v.carried = carriers(v.text, v.found)
	v.checkClaims()
	v.checkMarkers()
	return Checked{Text: v.clean(), Citations: v.ordered(), Dropped: v.dropped}
}

type verifier struct {
	output
	hits      []schemas.Hit
	folds     map[int]*folded // by index, as needed
	found     []marker
	carried   []string // the sentence of each marker
	citations []schemas.Citation
	dropped   int
}

// checkClaims judges the citations that the model listed.
func (v *verifier) checkClaims() {
	for _, c := range v.claims {
		if !v.inContext(c.index) {
			v.dropped++
			continue
		}
		if start, end, ok := v.fold(c.index).find(quotable(c.quote)); ok {
			v.add(c.index, Span{Start: start, End: end})
			continue
		}
		if span, ok := v.nearest(c.index, append([]string{c.quote}, v.sentencesOf(c.index)...)); ok {
			v.add(c.index, span)
			continue
		}
		v.dropped++
	}
}

// checkMarkers judges the markers whose index the model did not list, or listed with nothing that held.
func (v *verifier) checkMarkers() {
	judged := map[int]bool{}
	for _, c := range v.claims {
		judged[c.index] = true
	}
	for _, m := range v.found {
		for _, index := range m.indices {
			if judged[index] {
				continue
			}
			judged[index] = true
			span, ok := v.nearest(index, v.sentencesOf(index))
			if !ok {
				v.dropped++
				continue
			}
			v.add(index, span)
		}
	}
}

// clean takes out the markers that do not hold. Taking one out may put another together, as in [[9]9], so it looks again.
func (v *verifier) clean() string {
	text := v.text
	for {
		next := rewrite(text, markers(text), v.held)
		if next == text {
			return text
		}
		text = next
	}
}

func (v *verifier) inContext(index int) bool { return index >= 1 && index <= len(v.hits) }

func (v *verifier) held(index int) bool {
	return slices.ContainsFunc(v.citations, func(c schemas.Citation) bool { return c.Index == index })
}

// sentencesOf returns the sentences of the answer that cite index.
func (v *verifier) sentencesOf(index int) []string {
	var sentences []string
	for i, m := range v.found {
		if slices.Contains(m.indices, index) {
			sentences = append(sentences, v.carried[i])
		}
	}
	return sentences
}

func (v *verifier) fold(index int) *folded {
	f, ok := v.folds[index]
	if !ok {
		f = fold(v.hits[index-1].Text)
		v.folds[index] = f
	}
	return f
}

// nearest finds the sentence of a chunk that supports the first of the statements that any supports.
func (v *verifier) nearest(index int, statements []string) (Span, bool) {
	if !v.inContext(index) {
		return Span{}, false
	}
	text := v.hits[index-1].Text
	spans := Sentences(text)
	for _, statement := range statements {
		terms := distinct(Terms(statement))
		var best Span
		most := 0
		for _, s := range spans {
			if n := shared(terms, s.Of(text)); n > most {
				best, most = s, n
			}
		}
		if most > 0 && most >= min(supportTerms, len(terms)) && float64(most) >= support*float64(len(terms)) {
			return best, true
		}
	}
	return Span{}, false
}

func (v *verifier) add(index int, quote Span) {
	hit := v.hits[index-1]
	c := schemas.Citation{Index: index, Document: hit.Document, Section: hit.Section, Chunk: hit.Chunk, Quote: quote.Of(hit.Text)}
	if !slices.Contains(v.citations, c) {
		v.citations = append(v.citations, c)
	}
}

// ordered sorts the citations by where the answer first marks them.
func (v *verifier) ordered() []schemas.Citation {
	var marked []int
	for _, m := range v.found {
		marked = append(marked, m.indices...)
	}
	place := func(c schemas.Citation) int {
		if i := slices.Index(marked, c.Index); i >= 0 {
			return i
		}
		return len(marked)
	}
	slices.SortStableFunc(v.citations, func(a, b schemas.Citation) int { return place(a) - place(b) })
	return v.citations
}

func distinct(terms []string) []string {
	terms = slices.Clone(terms)
	slices.Sort(terms)
	return slices.Compact(terms)
}

// shared counts the terms that occur in text.
func shared(terms []string, text string) int {
	n := 0
	have := Terms(text)
	for _, t := range terms {
		if slices.Contains(have, t) {
			n++
		}
	}
	return n
}
