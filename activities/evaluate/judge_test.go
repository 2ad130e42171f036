package evaluate_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tenuto-dev/tenuto/activities/evaluate"
	"github.com/tenuto-dev/tenuto/schemas"
)

// sides is a run of one column with its twin, case by case: a letter a sample, p passed, f failed, e errored, n not run.
func sides(candidate, baseline string) evaluate.Judging {
	in := evaluate.Judging{
		Run: schemas.EvalRun{Suite: "answers", ID: "run-2", StartMS: 1},
		Columns: []schemas.EvalColumn{
			{ID: "a", Provider: schemas.EvalProvider{ID: "chain:qa", Kind: "chain", Name: "qa"}, Batches: 1, Calls: true},
			{ID: "b", Provider: schemas.EvalProvider{ID: "chain:qa", Kind: "chain", Name: "qa"}, Batches: 1, Calls: true, Baseline: true},
		},
		Now: time.Date(2026, 11, 27, 23, 30, 0, 0, time.UTC), EndMS: time.Date(2026, 11, 27, 23, 30, 0, 0, time.UTC).UnixMilli(),
	}
	for column, states := range []string{candidate, baseline} {
		for i, samples := range strings.Fields(states) {
			for sample, state := range samples {
				in.Cells = append(in.Cells, record(fmt.Sprintf("case-%03d", i), column, sample, state))
			}
		}
	}
	if baseline == "" {
		in.Columns = in.Columns[:1]
	}
	return in
}

func record(id string, column, sample int, state rune) schemas.CellRecord {
	cell := schemas.CellRecord{Case: schemas.EvalCase{ID: id, Tags: []string{"all"}}, Column: column, Sample: sample, State: schemas.CellScored}
	switch state {
	case 'p':
		cell.Pass, cell.Score = true, 1
	case 'f':
		cell.Reason = "wrong"
	case 'e':
		cell.State, cell.Reason, cell.Code, cell.Pass, cell.Score = schemas.CellErrored, "the provider is down", schemas.Unavailable, true, 1
	case 'n':
		cell.State = schemas.CellNotRun
	}
	return cell
}

func times(state string, n int) string { return strings.Repeat(state+" ", n) }

func TestJudge(t *testing.T) {
	t.Parallel()
	noRegression := schemas.EvalPolicy{NoRegression: &schemas.Regression{}}
	resting := func(id, until string) schemas.EvalPolicy {
		return schemas.EvalPolicy{Quarantine: []schemas.Quarantine{{Case: id, Until: until}}}
	}
	tests := []struct {
		name                string
		policy              schemas.EvalPolicy
		candidate, baseline string
		ruling              schemas.Ruling
		reason              string
	}{
		{name: "nothing asked", candidate: "p f", ruling: schemas.RulingPassed},
		{name: "no cells", ruling: schemas.RulingNotEnoughData, reason: "there is no cell to judge"},
		{name: "an error is unresolved, whatever stands in its record", candidate: "p e", ruling: schemas.RulingUnresolved, reason: "1 of 2 cells have no result"},
		{name: "so is what was not run", candidate: "p n", ruling: schemas.RulingUnresolved, reason: "1 of 2 cells have no result"},
		{name: "alike", policy: noRegression, candidate: times("p", 400), baseline: times("p", 400), ruling: schemas.RulingPassed},
		{name: "worse", policy: noRegression, candidate: times("f", 10) + times("p", 30), baseline: times("p", 40), ruling: schemas.RulingFailed, reason: "the pass rate fell by 0.2500 over 40 cases"},
		{name: "too few to say so", policy: noRegression, candidate: "p p", baseline: "p p", ruling: schemas.RulingNotEnoughData, reason: "2 cases show a loss"},
		{name: "the twin is unresolved", policy: noRegression, candidate: "p p", baseline: "p e", ruling: schemas.RulingUnresolved, reason: "1 cells of the baseline"},
		{name: "required", policy: schemas.EvalPolicy{Required: []string{"case-001"}}, candidate: "p f", ruling: schemas.RulingFailed, reason: `the required case "case-001" failed: wrong`},
		{name: "required and unknown", policy: schemas.EvalPolicy{Required: []string{"case-009"}}, candidate: "p", ruling: schemas.RulingFailed, reason: `the required case "case-009" was not among the cells`},
		{name: "tags are of cases", policy: schemas.EvalPolicy{Thresholds: []schemas.TagThreshold{{Tag: "all", PassRate: 0.9}}}, candidate: "p f", ruling: schemas.RulingFailed, reason: `the pass rate of the cells tagged "all" is 0.5000`},
		{name: "in quarantine an error counts nothing", policy: resting("case-001", "2026-11-28"), candidate: "p e", ruling: schemas.RulingPassed},
		{name: "on its day it counts again", policy: resting("case-001", "2026-11-27"), candidate: "p e", ruling: schemas.RulingUnresolved, reason: "1 of 2 cells"},
		{name: "in quarantine on the other side too", policy: schemas.EvalPolicy{NoRegression: &schemas.Regression{}, Quarantine: resting("case-000", "2026-12-24").Quarantine}, candidate: times("p", 300), baseline: "e " + times("p", 299), ruling: schemas.RulingPassed},
		{name: "all in quarantine", policy: resting("case-000", "2026-12-24"), candidate: "p", ruling: schemas.RulingNotEnoughData, reason: "there is no cell to judge"},
		{name: "quarantine comes before required", policy: schemas.EvalPolicy{Required: []string{"case-001"}, Quarantine: resting("case-001", "2026-12-24").Quarantine}, candidate: "p f", ruling: schemas.RulingPassed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := sides(test.candidate, test.baseline)
			in.Policy = test.policy
			r := judge(t, in)
			first := strings.Join(r.Reasons[:min(1, len(r.Reasons))], "")
			if r.Ruling != test.ruling || r.Verdict.Ruling != test.ruling || !strings.HasPrefix(first, test.reason) || (test.reason == "") != (first == "") {
				t.Errorf("got %s: %q\nwant %s: %q", r.Ruling, r.Reasons, test.ruling, test.reason)
			}
			if want := len(strings.Join(strings.Fields(test.candidate), "")); r.EvalSummary.Cells != want || r.Counts.Total() != want || len(r.Cells) != len(in.Cells) {
				t.Errorf("%d cells, %d counted, %d in the result; want %d", r.EvalSummary.Cells, r.Counts.Total(), len(r.Cells), want)
			}
		})
	}
}

func judge(t *testing.T, in evaluate.Judging) schemas.EvalResult {
	t.Helper()
	r, err := evaluate.Judge(in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestJudgeRefuses(t *testing.T) {
	t.Parallel()
	earlier := func(suite string) func(*evaluate.Judging) {
		return func(in *evaluate.Judging) {
			in.Earlier = &schemas.EvalResult{EvalSummary: schemas.EvalSummary{ID: "run-1", Suite: suite}}
		}
	}
	quarantine := func(q ...schemas.Quarantine) func(*evaluate.Judging) {
		return func(in *evaluate.Judging) { in.Policy.Quarantine = q }
	}
	tests := []struct {
		change  func(*evaluate.Judging)
		message string
	}{
		{earlier("questions"), "the baseline run-1 is a run of the suite questions, and this is answers"},
		{quarantine(schemas.Quarantine{Case: "case-007", Until: "2026-12-01"}), `names the case "case-007", which the suite does not have`},
		{quarantine(schemas.Quarantine{Case: "case-007", Until: "2020-12-01"}), `names the case "case-007"`},
		{quarantine(schemas.Quarantine{Case: "case-000", Until: "1.12.2026"}), `ends on "1.12.2026": write a day as YYYY-MM-DD`},
		{quarantine(schemas.Quarantine{Case: "case-000", Until: "2026-02-30"}), `ends on "2026-02-30"`},
		{quarantine(schemas.Quarantine{Case: "case-000", Until: "2026-12-01"}, schemas.Quarantine{Case: "case-000", Until: "2027-12-01"}), `"case-000" twice`},
		{func(in *evaluate.Judging) { in.Cells[0].Column = 2 }, "stands in column 2 of 2"},
		{func(in *evaluate.Judging) { in.Cells[0].Score = math.Inf(1) }, "no number"},
		{func(in *evaluate.Judging) { in.Cells[0].State = "lost" }, `state "lost"`},
		{func(in *evaluate.Judging) { in.Cells[1] = in.Cells[0] }, "sample 0 twice"},
		{func(in *evaluate.Judging) { in.Policy.NoRegression = &schemas.Regression{Alpha: 7} }, "an alpha up to 0.5"},
	}
	for _, test := range tests {
		in := sides("p p", "p p")
		test.change(&in)
		if _, err := evaluate.Judge(in); schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(err.Error(), test.message) {
			t.Errorf("got %v, want %q", err, test.message)
		}
	}
}

// TestErrorsNeverFlatter has one in twenty calls fail, once those that had failed anyway and once at random: no policy passes, and no rate rises.
func TestErrorsNeverFlatter(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	for _, policy := range []schemas.EvalPolicy{{}, {NoRegression: &schemas.Regression{}}, {Thresholds: []schemas.TagThreshold{{PassRate: 0.1}}}} {
		for round := range 20 {
			in := sides(times("pppf", 50), times("pppf", 50))
			in.Policy = policy
			before := judge(t, in)
			for i := range in.Cells[:200] {
				if round == 0 && i%16 == 3 || round > 0 && random.Float64() < 0.05 {
					in.Cells[i] = record(in.Cells[i].Case.ID, 0, in.Cells[i].Sample, 'e')
				}
			}
			after := judge(t, in)
			if after.Ruling == schemas.RulingPassed || after.Counts.Errored == 0 || after.Score > before.Score || after.PassRate > before.PassRate || after.Verdict.PassRate > before.Verdict.PassRate {
				t.Fatalf("before %+v\nafter %+v", before.EvalSummary, after.EvalSummary)
			}
		}
	}
}

// TestOrderIsNothing shuffles the cells: all that is said of them is the same.
func TestOrderIsNothing(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 8))
	in := sides(times("ppf", 20)+times("ffp", 10)+times("ppp", 30), times("ppp", 60))
	in.Policy.NoRegression = &schemas.Regression{Measure: schemas.MeasureScore}
	for i := range in.Cells {
		in.Cells[i].Score *= random.Float64()
	}
	first := judge(t, in)
	random.Shuffle(len(in.Cells), func(i, k int) { in.Cells[i], in.Cells[k] = in.Cells[k], in.Cells[i] })
	second := judge(t, in)
	places := cmpopts.IgnoreFields(schemas.Regressed{}, "Candidate", "Before")
	if diff := cmp.Diff(first, second, places, cmpopts.IgnoreFields(schemas.EvalResult{}, "Cells")); diff != "" {
		t.Errorf("(-first +second)\n%s", diff)
	}
	if len(first.Regressions) == 0 || len(first.Flaky) == 0 {
		t.Errorf("%d regressions, %d flaky cases", len(first.Regressions), len(first.Flaky))
	}
	for i, r := range first.Regressions {
		if diff := cmp.Diff(first.Cells[r.Candidate], second.Cells[second.Regressions[i].Candidate]); diff != "" {
			t.Errorf("another sample stands for %s\n%s", r.Case, diff)
		}
	}
}

func TestRegressions(t *testing.T) {
	t.Parallel()
	in := sides("pf f p pp e f", "pp p f pp p f")
	in.Cells[3].Score = 0.9 // of case-002, which passes now
	for i := range in.Cells {
		if in.Cells[i].Case.ID == "case-003" && in.Cells[i].Column == 0 {
			in.Cells[i].Score = 0.5
		}
	}
	r := judge(t, in)
	got := make([]string, len(r.Regressions))
	for i, g := range r.Regressions {
		candidate, before := r.Cells[g.Candidate], r.Cells[g.Before]
		if candidate.Case.ID != g.Case || before.Case.ID != g.Case || candidate.Column != 0 || before.Column != 1 {
			t.Errorf("%s has the cells %+v and %+v", g.Case, candidate, before)
		}
		got[i] = fmt.Sprintf("%s %g<%g %g<%g %t", g.Case, g.PassRate, g.Passed, g.Score, g.Baseline, candidate.Pass)
	}
	want := []string{"case-001 0<1 0<1 false", "case-000 0.5<1 0.5<1 false", "case-003 1<1 0.5<1 true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if r.Verdict.Comparison == nil || r.Ruling != schemas.RulingUnresolved {
		t.Errorf("got %+v", r.Verdict)
	}
}

func TestFlaky(t *testing.T) {
	t.Parallel()
	in := sides("ppf ppp fff ppp p", "fpp ppp fff ppp p")
	in.Policy.Quarantine = []schemas.Quarantine{{Case: "case-000", Until: "2026-12-01"}}
	for i := range in.Cells {
		if in.Cells[i].Case.ID == "case-003" && in.Cells[i].Column == 0 {
			in.Cells[i].Score = 1 - 0.2*float64(in.Cells[i].Sample)
		}
	}
	want := []schemas.FlakyCase{
		{Case: "case-000", Samples: 3, Passed: 2, Deviation: math.Sqrt(1.0 / 3), Quarantined: "2026-12-01"},
		{Case: "case-000", Column: 1, Samples: 3, Passed: 2, Deviation: math.Sqrt(1.0 / 3), Quarantined: "2026-12-01"},
		{Case: "case-003", Samples: 3, Passed: 3, Deviation: 0.2},
	}
	r := judge(t, in)
	if diff := cmp.Diff(want, r.Flaky, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if r.EvalSummary.Flaky != 2 {
		t.Errorf("the summary has %d flaky cases", r.EvalSummary.Flaky)
	}
}

// TestSeveralColumns has two models, each with a failure that the other does not have.
func TestSeveralColumns(t *testing.T) {
	t.Parallel()
	in := sides("p f p", "f p p")
	in.Columns[0].Provider = schemas.EvalProvider{ID: "openai:one", Kind: "vendor", Label: "one"}
	in.Columns[1].Provider = schemas.EvalProvider{ID: "openai:two", Kind: "vendor"}
	in.Columns[1].Baseline = false
	in.Policy.Required = []string{"case-000"}
	r := judge(t, in)
	want := []string{`the required case "case-000 under openai:two" failed: wrong`}
	if diff := cmp.Diff(want, r.Reasons); diff != "" || r.EvalSummary.Cells != 6 || r.Counts.Passed != 4 || r.Verdict.Comparison != nil {
		t.Errorf("(-want +got)\n%s%+v", diff, r.EvalSummary)
	}
}

// TestEarlier compares with a run before: another hash of the same chain, a case that is no more, one that is new, a column that is new.
func TestEarlier(t *testing.T) {
	t.Parallel()
	old := sides("p p p e", "")
	old.Run.ID = "run-1"
	old.Cells[3].Case.ID = "gone"
	old.Columns[0].Pin = "before"
	earlier := judge(t, old)

	in := sides("f p p p", "p p p p")
	in.Columns[1].Provider, in.Columns[1].Baseline = schemas.EvalProvider{ID: "echo", Kind: "echo"}, false
	in.Earlier, in.Policy.NoRegression = &earlier, &schemas.Regression{}
	r := judge(t, in)
	if len(r.Columns) != 3 || !r.Columns[2].Baseline || r.Columns[2].Pin != "before" || r.Reused != 0 {
		t.Fatalf("columns %+v, %+v", r.Columns, r.EvalSummary)
	}
	if c := r.Verdict.Comparison; c.Cases != 3 || c.Unpaired != 5 || c.Worse != 1 {
		t.Errorf("got %+v", c)
	}
	if len(r.Regressions) != 1 || !slices.IsSortedFunc(r.Cells, func(a, b schemas.CellRecord) int { return strings.Compare(a.Case.ID, b.Case.ID) }) {
		t.Errorf("regressions %+v", r.Regressions)
	}
	if r.Ruling != schemas.RulingNotEnoughData {
		t.Errorf("what the suite no longer has was held against it: %s %q", r.Ruling, r.Reasons)
	}

	other := earlier
	other.Columns = []schemas.EvalColumn{{Provider: schemas.EvalProvider{ID: "another"}}}
	in.Earlier = &other
	if r := judge(t, in); r.Ruling != schemas.RulingNotEnoughData || !strings.Contains(r.Reasons[0], "no case has a result on both sides") {
		t.Errorf("nothing in common: %s %q", r.Ruling, r.Reasons)
	}

	open := earlier
	open.Cells = slices.Clone(earlier.Cells)
	open.Cells[1].State = schemas.CellNotRun
	in.Earlier = &open
	if r := judge(t, in); r.Ruling != schemas.RulingUnresolved || !strings.Contains(r.Reasons[0], "1 cells of the baseline have no result") {
		t.Errorf("an unresolved baseline: %s %q", r.Ruling, r.Reasons)
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	in := sides("p f", "p p")
	in.Request = schemas.EvalRequest{
		Package: schemas.Ref{SHA256: "abc"}, Baseline: "production", Releases: map[string]string{"qa": "r2", "ask": "r1"}, Trigger: schemas.EvalGate,
		By: schemas.Actor{Name: "Ada"}, PlannedMS: 3,
	}
	in.Run.Plan, in.EndMS, in.Usage.Calls, in.Cost.USD, in.Stopped = "plan", 9, 4, 0.5, true
	in.Cells[0].Reused, in.Cells[3].Reused = true, true
	got := judge(t, in).EvalSummary
	want := schemas.EvalSummary{
		ID: "run-2", Suite: "answers", StartMS: 1, EndMS: 9, Trigger: schemas.EvalGate, By: schemas.Actor{Name: "Ada"}, Package: "abc", Plan: "plan",
		Ruling: schemas.RulingPassed, Counts: schemas.CellCounts{Passed: 1, Failed: 1}, PassRate: 0.5, Score: 0.5, Cells: 2, Reused: 2,
		Usage: schemas.Usage{Calls: 4}, Cost: schemas.Cost{USD: 0.5}, Releases: []string{"ask@r1", "qa@r2"}, Baseline: "production", Stopped: true, PlannedMS: 3,
		Failing: []schemas.EvalFailing{{State: schemas.CellScored, Reason: "wrong", Cells: 1, Case: "case-001", Column: "chain:qa"}},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
