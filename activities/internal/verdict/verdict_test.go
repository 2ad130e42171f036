package verdict_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/internal/verdict"
	"github.com/tenuto-dev/tenuto/schemas"
)

// cells are cases of one sample: p passes, f fails, e is errored, n was not run.
func cells(states string, tags ...string) []schemas.CaseResult {
	out := make([]schemas.CaseResult, len(states))
	for i, state := range states {
		c := schemas.CaseResult{Case: fmt.Sprintf("case %03d", i), State: schemas.CellScored, Tags: tags}
		switch state {
		case 'p':
			c.Pass, c.Score = true, 1
		case 'f':
			c.Reason = "wrong"
		case 'e':
			c.State, c.Reason = schemas.CellErrored, "the provider is down"
		case 'n':
			c.State = schemas.CellNotRun
		}
		out[i] = c
	}
	return out
}

func TestJudge(t *testing.T) {
	t.Parallel()
	all := strings.Repeat("p", 400)
	regression := schemas.EvalPolicy{NoRegression: &schemas.Regression{}}
	tests := []struct {
		name                string
		policy              schemas.EvalPolicy
		candidate, baseline string
		ruling              schemas.Ruling
		reason              string // of the first
	}{
		{name: "nothing asked", candidate: "pf", ruling: schemas.RulingPassed},
		{name: "nothing to judge", ruling: schemas.RulingNotEnoughData, reason: "there is no cell to judge"},
		{name: "an error is unresolved", candidate: "ppe", ruling: schemas.RulingUnresolved, reason: "1 of 3 cells have no result: 1 errored, 0 not run"},
		{name: "so is what was not run", candidate: "ppn", ruling: schemas.RulingUnresolved, reason: "1 of 3 cells have no result: 0 errored, 1 not run"},
		{name: "required fails", policy: schemas.EvalPolicy{Required: []string{"case 001"}}, candidate: "pfe", ruling: schemas.RulingFailed, reason: `the required case "case 001" failed: wrong`},
		{name: "required is errored", policy: schemas.EvalPolicy{Required: []string{"case 002"}}, candidate: "ppe", ruling: schemas.RulingUnresolved, reason: "1 of 3 cells"},
		{name: "required is missing", policy: schemas.EvalPolicy{Required: []string{"other"}}, candidate: "p", ruling: schemas.RulingFailed, reason: `the required case "other" was not among the cells`},
		{name: "threshold holds", policy: bound(schemas.TagThreshold{PassRate: 0.5}), candidate: "pf", ruling: schemas.RulingPassed},
		{name: "all must pass", policy: bound(schemas.TagThreshold{PassRate: 1}), candidate: "pfp", ruling: schemas.RulingFailed, reason: "1 of 3 cells failed, and all must pass"},
		{name: "threshold breaks", policy: bound(schemas.TagThreshold{PassRate: 0.6}), candidate: "pf", ruling: schemas.RulingFailed, reason: "the pass rate of all cells is 0.5000, and must be at least 0.6"},
		{name: "errors may still save it", policy: bound(schemas.TagThreshold{PassRate: 0.6}), candidate: "pfe", ruling: schemas.RulingUnresolved, reason: "1 of 3 cells"},
		{name: "errors cannot save it", policy: bound(schemas.TagThreshold{PassRate: 0.9}), candidate: "pfe", ruling: schemas.RulingFailed, reason: "the pass rate of all cells is 0.6667"},
		{name: "score of a tag", policy: bound(schemas.TagThreshold{Tag: "hard", Score: 0.9}), candidate: "pf", ruling: schemas.RulingFailed, reason: `the mean score of the cells tagged "hard" is 0.5000`},
		{name: "a tag without cells", policy: bound(schemas.TagThreshold{Tag: "soft", Score: 0.9}), candidate: "p", ruling: schemas.RulingFailed, reason: `there is no cell for the threshold of the cells tagged "soft"`},
		{name: "alike", policy: regression, candidate: all, baseline: all, ruling: schemas.RulingPassed},
		{name: "alike, and too few to say so", policy: regression, candidate: "ppp", baseline: "ppp", ruling: schemas.RulingNotEnoughData, reason: "3 cases show a loss of 1.000 at the least, and 0.05 must not be missed; about "},
		{name: "worse", policy: regression, candidate: "ffffffpppp", baseline: "pppppppppp", ruling: schemas.RulingFailed, reason: "the pass rate fell by 0.6000 over 10 cases (6 worse, 0 better, p = 0.016)"},
		{name: "better", policy: regression, candidate: all, baseline: strings.Repeat("fp", 200), ruling: schemas.RulingPassed},
		{name: "worse, and an error hides it", policy: regression, candidate: "ffffffpppe", baseline: "pppppppppp", ruling: schemas.RulingUnresolved, reason: "1 of 10 cells"},
		{name: "the baseline is unresolved", policy: regression, candidate: "pp", baseline: "pn", ruling: schemas.RulingUnresolved, reason: "1 cells of the baseline have no result"},
		{name: "no baseline", policy: regression, candidate: "pp", ruling: schemas.RulingNotEnoughData, reason: "no case has a result on both sides"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v, err := verdict.Judge(test.policy, cells(test.candidate, "hard"), cells(test.baseline))
			if err != nil {
				t.Fatal(err)
			}
			first := ""
			if len(v.Reasons) > 0 {
				first = v.Reasons[0]
			}
			if v.Ruling != test.ruling || !strings.HasPrefix(first, test.reason) || (test.reason == "") != (first == "") {
				t.Errorf("got %s: %q\nwant %s: %q", v.Ruling, v.Reasons, test.ruling, test.reason)
			}
			if v.Counts.Total() != len(test.candidate) {
				t.Errorf("%d cells of %d", v.Counts.Total(), len(test.candidate))
			}
		})
	}
}

func bound(t schemas.TagThreshold) schemas.EvalPolicy {
	return schemas.EvalPolicy{Thresholds: []schemas.TagThreshold{t}}
}

// TestFailuresNeverFlatter takes results away: neither rate may rise, and the gate may not pass.
func TestFailuresNeverFlatter(t *testing.T) {
	t.Parallel()
	before, err := verdict.Judge(schemas.EvalPolicy{}, cells(strings.Repeat("ppppf", 40)), nil)
	if err != nil {
		t.Fatal(err)
	}
	broken := []byte(strings.Repeat("ppppf", 40))
	for i := 4; i < len(broken); i += 20 {
		broken[i] = 'e' // the very cells that failed
	}
	after, err := verdict.Judge(schemas.EvalPolicy{}, cells(string(broken)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if after.Ruling == schemas.RulingPassed || after.Score > before.Score || after.PassRate > before.PassRate {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// TestEveryCaseCountsTheSame has one case asked nine times, because its samples disagree, and one asked once.
func TestEveryCaseCountsTheSame(t *testing.T) {
	t.Parallel()
	uneven := cells("pfffffffff")
	for i := range uneven[1:] {
		uneven[i+1].Case, uneven[i+1].Sample = "flaky", i
	}
	v, err := verdict.Judge(schemas.EvalPolicy{}, uneven, nil)
	if err != nil || v.PassRate != 0.5 || v.Score != 0.5 || v.Counts.Failed != 9 {
		t.Errorf("got %+v, %v", v, err)
	}
}

// TestKnownFigures compares with figures that are published, or worked out by hand.
func TestKnownFigures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name            string
		worse, better   int
		p               float64
		equal           int
		difference, low float64
	}{
		{name: "6 of 6", worse: 6, p: 1.0 / 64, equal: 4, difference: -0.6},
		{name: "McNemar's exact tail of 9 in 12", worse: 9, better: 3, p: 299.0 / 4096, equal: 88, difference: -0.06},
		{name: "all the other way", better: 5, p: 1, equal: 5, difference: 0.5},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			candidate := strings.Repeat("f", test.worse) + strings.Repeat("p", test.better) + strings.Repeat("p", test.equal)
			baseline := strings.Repeat("p", test.worse) + strings.Repeat("f", test.better) + strings.Repeat("p", test.equal)
			v, err := verdict.Judge(schemas.EvalPolicy{NoRegression: &schemas.Regression{}}, cells(candidate), cells(baseline))
			if err != nil {
				t.Fatal(err)
			}
			c := v.Comparison
			if math.Abs(c.P-test.p) > 1e-9 || math.Abs(c.Difference-test.difference) > 1e-12 || c.Worse != test.worse || c.Better != test.better {
				t.Errorf("got %+v", c)
			}
			if c.Low > c.Difference || c.High < c.Difference {
				t.Errorf("the interval [%v, %v] is beside %v", c.Low, c.High, c.Difference)
			}
		})
	}
}

// TestInterval holds the bootstrap to the interval of Student's t for normal scores, to a tenth of its width.
func TestInterval(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	candidate, baseline := cells(strings.Repeat("p", 100)), cells(strings.Repeat("p", 100))
	sum, square := 0.0, 0.0
	for i := range candidate {
		candidate[i].Score = 1 + random.NormFloat64()
		d := candidate[i].Score - 1
		sum, square = sum+d, square+d*d
	}
	policy := schemas.EvalPolicy{NoRegression: &schemas.Regression{Measure: schemas.MeasureScore}}
	v, err := verdict.Judge(policy, candidate, baseline)
	if err != nil {
		t.Fatal(err)
	}
	mean := sum / 100
	half := 1.6604 * math.Sqrt((square/100-mean*mean)/99) // the 95 % quantile of t with 99 degrees of freedom
	if c := v.Comparison; math.Abs(c.Low-(mean-half)) > 0.2*half || math.Abs(c.High-(mean+half)) > 0.2*half {
		t.Errorf("[%v, %v], want about [%v, %v]", c.Low, c.High, mean-half, mean+half)
	}
}

// TestOrderIsNothing shuffles both sides: the verdict, to the last bit, is the same.
func TestOrderIsNothing(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	w := world{"", 60, 3, schemas.MeasureScore, graded(0.2)}
	candidate, baseline := w.cells(random, 0.05)
	policy := schemas.EvalPolicy{NoRegression: &schemas.Regression{Measure: schemas.MeasureScore}}
	first, err := verdict.Judge(policy, candidate, baseline)
	if err != nil {
		t.Fatal(err)
	}
	random.Shuffle(len(candidate), func(i, j int) { candidate[i], candidate[j] = candidate[j], candidate[i] })
	slices.Reverse(baseline)
	second, err := verdict.Judge(policy, candidate, baseline)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.Comparison, second.Comparison); diff != "" {
		t.Errorf("(-first +second)\n%s", diff)
	}
}

// TestMoreIsEnough follows the advice of a verdict without enough data: with so many more cases alike it must pass.
func TestMoreIsEnough(t *testing.T) {
	t.Parallel()
	policy := schemas.EvalPolicy{NoRegression: &schemas.Regression{MinimumEffect: 0.1}}
	few := strings.Repeat("p", 20)
	v, err := verdict.Judge(policy, cells(few), cells(few))
	if err != nil {
		t.Fatal(err)
	}
	if v.Ruling != schemas.RulingNotEnoughData || v.Comparison.More < 10 || v.Comparison.More > 500 {
		t.Fatalf("got %s, %d more", v.Ruling, v.Comparison.More)
	}
	enough := strings.Repeat("p", 20+v.Comparison.More)
	v, err = verdict.Judge(policy, cells(enough), cells(enough))
	if err != nil || v.Ruling != schemas.RulingPassed {
		t.Errorf("with %d cases: %s %q, %v", len(enough), v.Ruling, v.Reasons, err)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	twice := append(cells("p"), cells("p")...)
	odd, mad := cells("p"), cells("p")
	odd[0].State, mad[0].Score = "lost", math.NaN()
	tests := []struct {
		policy  schemas.EvalPolicy
		cells   []schemas.CaseResult
		message string
	}{
		{bound(schemas.TagThreshold{}), nil, "needs a pass_rate"},
		{bound(schemas.TagThreshold{PassRate: 80}), nil, "needs a pass_rate"},
		{schemas.EvalPolicy{NoRegression: &schemas.Regression{Alpha: 0.9}}, nil, "an alpha up to 0.5"},
		{schemas.EvalPolicy{NoRegression: &schemas.Regression{MinimumEffect: 5}}, nil, "minimum_effect"},
		{schemas.EvalPolicy{NoRegression: &schemas.Regression{Measure: "taste"}}, nil, `measure "taste"`},
		{schemas.EvalPolicy{}, twice, "sample 0 twice"},
		{schemas.EvalPolicy{}, odd, `state "lost"`},
		{schemas.EvalPolicy{}, mad, "no number"},
	}
	for _, test := range tests {
		_, err := verdict.Judge(test.policy, test.cells, nil)
		if schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(err.Error(), test.message) {
			t.Errorf("got %v, want %q", err, test.message)
		}
	}
}

// FuzzJudge gives any outcomes and policy: a verdict comes, can be sent, and never passes with an unresolved cell.
func FuzzJudge(f *testing.F) {
	f.Add("ppfe", "ppfp", 0.05, 0.8, 0.05, 0.5)
	f.Add("", "n", 0.5, 0.5, 1.0, 1.0)
	f.Fuzz(func(t *testing.T, candidate, baseline string, alpha, power, effect, score float64) {
		if len(candidate) > 200 || len(baseline) > 200 {
			return
		}
		policy := schemas.EvalPolicy{NoRegression: &schemas.Regression{Measure: schemas.MeasureScore, Alpha: alpha, Power: power, MinimumEffect: effect}}
		ours := cells(candidate)
		for i := range ours {
			ours[i].Score *= score
		}
		v, err := verdict.Judge(policy, ours, cells(baseline))
		if err != nil {
			if schemas.CodeOf(err) != schemas.Invalid {
				t.Fatal(err)
			}
			return
		}
		if v.Ruling == schemas.RulingPassed && v.Counts.Unresolved() > 0 {
			t.Fatalf("passed: %+v", v)
		}
		if _, err := json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	})
}
