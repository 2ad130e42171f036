package score_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/internal/score"
)

func TestEvaluate(t *testing.T) {
	t.Parallel()
	qrels := score.Qrels{"q": {"a": 2, "b": 1, "c": 0, "d": 1}}
	tests := []struct {
		name      string
		run       []score.Ranked
		ap, rr    float64
		ndcg      float64
		p5, recl1 float64
	}{
		{name: "nothing found", run: []score.Ranked{{"x", 1}, {"c", 0.5}}},
		{name: "no hits at all"},
		{
			name: "ideal", run: []score.Ranked{{"a", 3}, {"b", 2}, {"d", 1}},
			ap: 1, rr: 1, ndcg: 1, p5: 3.0 / 5, recl1: 1.0 / 3,
		},
		{
			name: "order of scores, not of the list", run: []score.Ranked{{"d", 1}, {"b", 2}, {"a", 3}},
			ap: 1, rr: 1, ndcg: 1, p5: 3.0 / 5, recl1: 1.0 / 3,
		},
		{
			name: "a tie goes to the greater id", run: []score.Ranked{{"a", 1}, {"x", 1}},
			ap: 0.5 / 3, rr: 0.5, ndcg: (2 / math.Log2(3)) / ideal(2, 1, 1), p5: 1.0 / 5,
		},
		{
			name: "a repeated document counts once", run: []score.Ranked{{"b", 2}, {"b", 1}},
			ap: 1.0 / 3, rr: 1, ndcg: 1 / ideal(2, 1, 1), p5: 1.0 / 5, recl1: 1.0 / 3,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := score.Evaluate(qrels, score.Run{"q": test.run}).Mean
			want := []float64{test.ap, test.rr, test.ndcg, test.p5, test.recl1}
			have := []float64{got.AP, got.RR, got.NDCG, got.Precision[5], got.Recall[1]}
			for i, name := range []string{"map", "recip_rank", "ndcg", "P_5", "recall_1"} {
				if math.Abs(want[i]-have[i]) > 1e-12 {
					t.Errorf("%s = %v, want %v", name, have[i], want[i])
				}
			}
		})
	}
}

func ideal(grades ...float64) float64 {
	sum := 0.0
	for i, grade := range grades {
		sum += grade / math.Log2(float64(i+2))
	}
	return sum
}

func TestEvaluateQueries(t *testing.T) {
	t.Parallel()
	qrels := score.Qrels{"found": {"a": 1}, "lost": {"b": 1}}
	run := score.Run{"found": {{"a", 1}}, "unjudged": {{"a", 1}}}
	if got := score.Evaluate(qrels, run); len(got.Queries) != 1 || got.Mean.AP != 1 {
		t.Errorf("Evaluate: %d queries, MAP %v; want 1 and 1", len(got.Queries), got.Mean.AP)
	}
	if got := score.EvaluateComplete(qrels, run); len(got.Queries) != 2 || got.Mean.AP != 0.5 {
		t.Errorf("EvaluateComplete: %d queries, MAP %v; want 2 and 0.5", len(got.Queries), got.Mean.AP)
	}
	if got := score.Evaluate(nil, nil); got.Mean.AP != 0 {
		t.Errorf("nothing to evaluate: MAP %v, want 0", got.Mean.AP)
	}
}

// TestTrecEval compares every measure we have with the official output, for all topics and each, to its four decimals.
func TestTrecEval(t *testing.T) {
	t.Parallel()
	qrels, err := score.ReadQrels(material(t, "metrics/trec_eval/qrels.test"))
	if err != nil {
		t.Fatal(err)
	}
	run, err := score.ReadRun(material(t, "metrics/trec_eval/results.test"))
	if err != nil {
		t.Fatal(err)
	}
	report := score.Evaluate(qrels, run)
	for _, name := range []string{"out.test", "out.test.aq"} {
		compared := 0
		lines := bufio.NewScanner(material(t, "metrics/trec_eval/"+name))
		for lines.Scan() {
			fields := strings.Fields(lines.Text())
			got, ok := figure(report, fields[0], fields[1])
			if !ok {
				continue
			}
			compared++
			if got != fields[2] {
				t.Errorf("%s: %s of %s = %s, trec_eval says %s", name, fields[0], fields[1], got, fields[2])
			}
		}
		if compared < 15 {
			t.Errorf("%s: only %d figures were compared", name, compared)
		}
	}
}

// figure returns a measure by trec_eval's name, as trec_eval prints it; false for measures that we do not have.
func figure(report score.Report, name, query string) (string, bool) {
	counts := map[string]int{
		"num_q": len(report.Queries), "num_ret": report.Returned, "num_rel": report.Relevant, "num_rel_ret": report.Retrieved,
	}
	measures, known := report.Queries[query]
	if query == "all" {
		measures, known = report.Mean, true
		if n, ok := counts[name]; ok {
			return strconv.Itoa(n), true
		}
	}
	if !known {
		return "", false
	}
	single := map[string]float64{"map": measures.AP, "recip_rank": measures.RR, "ndcg": measures.NDCG}
	if v, ok := single[name]; ok {
		return fmt.Sprintf("%.4f", v), true
	}
	at := strings.LastIndex(name, "_")
	cut, err := strconv.Atoi(name[at+1:])
	if at < 0 || err != nil {
		return "", false
	}
	family := map[string]map[int]float64{"P": measures.Precision, "recall": measures.Recall, "ndcg_cut": measures.NDCGAt}
	v, ok := family[name[:at]][cut]
	return fmt.Sprintf("%.4f", v), ok
}

func TestSmallNDCG(t *testing.T) {
	t.Parallel()
	var cases []struct {
		Qrels   score.Qrels
		Run     map[string]map[string]float64
		Measure string
		Value   float64
	}
	if err := json.NewDecoder(material(t, "metrics/ndcg-small.json")).Decode(&cases); err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		run := score.Run{}
		for query, scores := range c.Run {
			for document, s := range scores {
				run[query] = append(run[query], score.Ranked{Document: document, Score: s})
			}
		}
		got := score.Evaluate(c.Qrels, run).Mean.NDCG
		if c.Measure == "ndcg_cut_2" {
			continue // not one of trec_eval's cut-offs; TestTrecEval covers cutting
		}
		if math.Abs(got-c.Value) > 1e-12 {
			t.Errorf("case %d: %s = %v, want %v", i, c.Measure, got, c.Value)
		}
	}
}

func TestReportNamesItsFigures(t *testing.T) {
	t.Parallel()
	report := score.Evaluate(score.Qrels{"q": {"a": 1}}, score.Run{"q": {{"b", 2}, {"a", 1}}})
	want := "queries 1  nDCG@10 0.6309  recall@100 1.0000  MAP 0.5000  MRR 0.5000"
	if diff := cmp.Diff(want, report.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// material opens a file of the shared test data, or skips the test.
func material(tb testing.TB, name string) *os.File {
	tb.Helper()
	root := os.Getenv("TENUTO_TESTDATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	file, err := os.Open(filepath.Join(root, name))
	if err != nil {
		tb.Skipf("no test material (set TENUTO_TESTDATA to have this test): %v", err)
	}
	tb.Cleanup(func() { _ = file.Close() })
	return file
}
