package score

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Ranked is one document that a run returned for a query.
type Ranked struct {
	Document string
	Score    float64
}

// Qrels are relevance judgements: query, document, grade. A document is relevant from grade 1.
type Qrels map[string]map[string]int

// Run is what a system returned: for each query its documents, in any order.
type Run map[string][]Ranked

// Measures are the effectiveness of one ranking, or the mean of several. All are in [0, 1].
type Measures struct {
	AP        float64         `json:"map"`        // average precision; in a mean, MAP
	RR        float64         `json:"recip_rank"` // 1 / rank of the first relevant document
	NDCG      float64         `json:"ndcg"`       // over the whole ranking
	NDCGAt    map[int]float64 `json:"ndcg_cut"`   // by cut-off
	Recall    map[int]float64 `json:"recall"`     // by cut-off
	Precision map[int]float64 `json:"p"`          // by cut-off; always divided by the cut-off, however few were returned
}

// Report holds the measures of a run.
type Report struct {
	Mean      Measures            `json:"mean"` // over the queries evaluated
	Queries   map[string]Measures `json:"queries"`
	Returned  int                 `json:"num_ret"`
	Relevant  int                 `json:"num_rel"`
	Retrieved int                 `json:"num_rel_ret"` // relevant documents that were returned
}

// Cutoffs are the ranks at which trec_eval cuts by default, and 1.
func Cutoffs() []int { return []int{1, 5, 10, 15, 20, 30, 100, 200, 500, 1000} }

// Evaluate scores run as trec_eval does (https://github.com/usnistgov/trec_eval, version 9): documents are ranked by score
// descending, ties by document id descending; whatever rank a run file states is ignored; unjudged documents count as not relevant.
// The gain of nDCG is the grade itself and the discount log2(rank+1) (Järvelin and Kekäläinen, TOIS 2002). Only queries that are both
// judged and in the run are evaluated and averaged; [EvaluateComplete] counts the others too.
func Evaluate(qrels Qrels, run Run) Report {
	report := Report{Queries: map[string]Measures{}}
	for query, ranking := range run {
		if grades, judged := qrels[query]; judged {
			report.add(query, ranking, grades)
		}
	}
	report.Mean = mean(report.Queries)
	return report
}

// EvaluateComplete is [Evaluate] over all judged queries: one that the run lacks scores zero (trec_eval -c). It is the one to compare
// systems by, because a run cannot gain by leaving hard queries out.
func EvaluateComplete(qrels Qrels, run Run) Report {
	report := Report{Queries: map[string]Measures{}}
	for query, grades := range qrels {
		report.add(query, run[query], grades)
	}
	report.Mean = mean(report.Queries)
	return report
}

func (r *Report) add(query string, ranking []Ranked, grades map[string]int) {
	gains := rank(ranking, grades)
	r.Queries[query] = measure(gains, grades)
	r.Returned += len(gains)
	r.Relevant += relevant(grades)
	r.Retrieved += hits(gains)
}

// String shows the figures that people compare first.
func (r *Report) String() string {
	return fmt.Sprintf("queries %d  nDCG@10 %.4f  recall@100 %.4f  MAP %.4f  MRR %.4f",
		len(r.Queries), r.Mean.NDCGAt[10], r.Mean.Recall[100], r.Mean.AP, r.Mean.RR)
}

// order sorts by score, then document id, both descending.
func order(ranking []Ranked) []Ranked {
	ordered := slices.Clone(ranking)
	slices.SortStableFunc(ordered, func(a, b Ranked) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(b.Document, a.Document))
	})
	return ordered
}

// rank orders a ranking and returns the grade at each rank. Of a document returned twice the better place counts.
func rank(ranking []Ranked, grades map[string]int) []int {
	seen := make(map[string]bool, len(ranking))
	gains := make([]int, 0, len(ranking))
	for _, hit := range order(ranking) {
		if seen[hit.Document] {
			continue
		}
		seen[hit.Document] = true
		gains = append(gains, max(grades[hit.Document], 0))
	}
	return gains
}

// measure computes all measures of one ranking, given as the grade at each rank.
func measure(gains []int, grades map[string]int) Measures {
	total := relevant(grades)
	ideal := idealGains(grades)
	m := Measures{
		AP:        averagePrecision(gains, total),
		RR:        reciprocalRank(gains),
		NDCG:      ratio(dcg(gains), dcg(ideal)),
		NDCGAt:    map[int]float64{},
		Recall:    map[int]float64{},
		Precision: map[int]float64{},
	}
	for _, k := range Cutoffs() {
		top := gains[:min(k, len(gains))]
		m.NDCGAt[k] = ratio(dcg(top), dcg(ideal[:min(k, len(ideal))]))
		m.Recall[k] = ratio(float64(hits(top)), float64(total))
		m.Precision[k] = float64(hits(top)) / float64(k)
	}
	return m
}

func averagePrecision(gains []int, total int) float64 {
	sum, found := 0.0, 0
	for i, gain := range gains {
		if gain > 0 {
			found++
			sum += float64(found) / float64(i+1)
		}
	}
	return ratio(sum, float64(total))
}

func reciprocalRank(gains []int) float64 {
	first := slices.IndexFunc(gains, func(gain int) bool { return gain > 0 })
	if first < 0 {
		return 0
	}
	return 1 / float64(first+1)
}

func dcg(gains []int) float64 {
	sum := 0.0
	for i, gain := range gains {
		sum += float64(gain) / math.Log2(float64(i+2))
	}
	return sum
}

// idealGains are the relevant grades, best first.
func idealGains(grades map[string]int) []int {
	var ideal []int
	for _, grade := range grades {
		if grade > 0 {
			ideal = append(ideal, grade)
		}
	}
	slices.SortFunc(ideal, func(a, b int) int { return b - a })
	return ideal
}

func relevant(grades map[string]int) int { return len(idealGains(grades)) }

func hits(gains []int) int {
	n := 0
	for _, gain := range gains {
		if gain > 0 {
			n++
		}
	}
	return n
}

// ratio is a/b, and 0 where there is nothing to find.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// mean averages over queries in the order of their ids, so that the sum is the same every time.
func mean(queries map[string]Measures) Measures {
	m := Measures{NDCGAt: map[int]float64{}, Recall: map[int]float64{}, Precision: map[int]float64{}}
	n := float64(len(queries))
	for _, id := range sortedKeys(queries) {
		q := queries[id]
		m.AP += q.AP / n
		m.RR += q.RR / n
		m.NDCG += q.NDCG / n
		for _, k := range Cutoffs() {
			m.NDCGAt[k] += q.NDCGAt[k] / n
			m.Recall[k] += q.Recall[k] / n
			m.Precision[k] += q.Precision[k] / n
		}
	}
	return m
}
