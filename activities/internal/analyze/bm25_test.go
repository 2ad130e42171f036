package analyze

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
)

// index ranks with BM25 as Weaviate does (S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond",
// 2009, with the idf ln(1 + (N-n+0.5)/(n+0.5)) that cannot be negative), so that figures here are those of the real index.
type index struct {
	postings map[string]map[int]int // term, document, count
	lengths  []int
	total    int
}

func newIndex(documents []string) *index {
	ix := &index{postings: map[string]map[int]int{}}
	for number, terms := range documents {
		length := 0
		for term := range strings.FieldsSeq(terms) {
			if ix.postings[term] == nil {
				ix.postings[term] = map[int]int{}
			}
			ix.postings[term][number]++
			length++
		}
		ix.lengths = append(ix.lengths, length)
		ix.total += length
	}
	return ix
}

// search returns the numbers of the documents that share a term with query, best first.
func (ix *index) search(query string) []int {
	scores := map[int]float64{}
	n := float64(len(ix.lengths))
	for term := range strings.FieldsSeq(query) {
		found := ix.postings[term]
		idf := math.Log(1 + (n-float64(len(found))+0.5)/(float64(len(found))+0.5))
		for number, count := range found {
			tf := float64(count)
			relative := float64(ix.lengths[number]) * n / float64(ix.total)
			scores[number] += idf * tf * (K1 + 1) / (tf + K1*(1-B+B*relative))
		}
	}
	return slices.SortedFunc(maps.Keys(scores), func(x, y int) int {
		return cmp.Or(cmp.Compare(scores[y], scores[x]), cmp.Compare(x, y))
	})
}
