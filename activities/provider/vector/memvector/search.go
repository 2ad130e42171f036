package memvector

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

// candidates is how many results of each kind a hybrid search looks at: Weaviate's QUERY_HYBRID_MAXIMUM_RESULTS.
const candidates = 100

// Search implements [vector.Driver].
func (d *Driver) Search(ctx context.Context, target vector.Target, query vector.Query) ([]vector.Found, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	c, s, err := d.find(target)
	if err != nil {
		return nil, err
	}
	dimensions := s.dimensions()
	byVector := query.Mode == schemas.Vector || query.Mode == schemas.Hybrid
	if byVector && dimensions != 0 && len(query.Vector) != dimensions {
		return nil, schemas.Errorf(schemas.Invalid, "the query has %d dimensions and the vectors in %s have %d",
			len(query.Vector), target.Class, dimensions)
	}
	scores := s.answer(c.bm25, query)
	found := make([]vector.Found, 0, min(query.Limit, len(scores)))
	for _, r := range best(scores, query.Limit) {
		o := s[r.id]
		o.Terms, o.Vector, o.Metadata = "", nil, cloneMetadata(o.Metadata)
		found = append(found, vector.Found{Score: r.score, Object: o})
	}
	return found, nil
}

func (s shard) answer(bm25 vector.BM25, query vector.Query) map[string]float64 {
	switch query.Mode {
	case schemas.Keyword:
		return s.keyword(bm25, query)
	case schemas.Vector:
		return s.nearest(query)
	case schemas.Hybrid:
		limit := max(query.Limit, candidates)
		return fuse(best(s.keyword(bm25, query), limit), best(s.nearest(query), limit), query.Alpha)
	case vector.Listing:
		return s.listed(query)
	}
	return nil
}

func (s shard) listed(query vector.Query) map[string]float64 {
	scores := map[string]float64{}
	for id, o := range s {
		if o.Ordinal >= query.First && o.Ordinal <= query.Last && vector.Matches(query.Filter, o) {
			scores[id] = 0
		}
	}
	return scores
}

// keyword scores by BM25 with the idf that is never negative, ln(1 + (N - n + 0.5)/(n + 0.5)), as Lucene and Weaviate do. The
// statistics are those of the whole shard, whatever the filter.
func (s shard) keyword(bm25 vector.BM25, query vector.Query) map[string]float64 {
	counts, lengths, average := s.statistics()
	scores := map[string]float64{}
	for term := range strings.FieldsSeq(query.Terms) {
		containing := 0
		for _, c := range counts {
			if c[term] > 0 {
				containing++
			}
		}
		idf := math.Log1p((float64(len(s)-containing) + 0.5) / (float64(containing) + 0.5))
		for id, c := range counts {
			tf := float64(c[term])
			if tf > 0 && vector.Matches(query.Filter, s[id]) {
				scores[id] += idf * tf * (bm25.K1 + 1) / (tf + bm25.K1*(1-bm25.B+bm25.B*lengths[id]/average))
			}
		}
	}
	return scores
}

// statistics returns how often each object has each term, how many terms it has, and how many an object has on average.
func (s shard) statistics() (counts map[string]map[string]int, lengths map[string]float64, average float64) {
	counts, lengths = map[string]map[string]int{}, map[string]float64{}
	for id, o := range s {
		terms := strings.Fields(o.Terms)
		counts[id] = map[string]int{}
		for _, term := range terms {
			counts[id][term]++
		}
		lengths[id] = float64(len(terms))
		average += float64(len(terms)) / float64(len(s))
	}
	return counts, lengths, average
}

func (s shard) nearest(query vector.Query) map[string]float64 {
	scores := map[string]float64{}
	for id, o := range s {
		if vector.Matches(query.Filter, o) {
			scores[id] = cosine(query.Vector, o.Vector)
		}
	}
	return scores
}

// cosine is 0 where one of both is all zeros.
func cosine(a, b []float32) float64 {
	var dot, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		dot, aa, bb = dot+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return dot / math.Sqrt(aa*bb)
}

// fuse adds both scores, each scaled to 0 to 1 over its own results, the nearest weighing alpha: Weaviate's relativeScoreFusion.
func fuse(keyword, nearest []result, alpha float64) map[string]float64 {
	scores := map[string]float64{}
	add := func(results []result, weight float64) {
		if len(results) == 0 || weight == 0 {
			return
		}
		highest, lowest := results[0].score, results[len(results)-1].score
		for _, r := range results {
			scaled := 1.0
			if highest > lowest {
				scaled = (r.score - lowest) / (highest - lowest)
			}
			scores[r.id] += weight * scaled
		}
	}
	add(keyword, 1-alpha)
	add(nearest, alpha)
	return scores
}

type result struct {
	id    string
	score float64
}

// best returns the limit highest scores, highest first, equal ones by id.
func best(scores map[string]float64, limit int) []result {
	results := make([]result, 0, len(scores))
	for id, score := range scores {
		results = append(results, result{id, score})
	}
	slices.SortFunc(results, func(a, b result) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.id, b.id))
	})
	return results[:min(limit, len(results))]
}
