package evaluate_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/evaluate"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestMore(t *testing.T) {
	t.Parallel()
	both := func(id string, samples int) []evaluate.Wanted {
		return []evaluate.Wanted{{Case: id, Column: 0, Samples: samples}, {Case: id, Column: 1, Samples: samples}}
	}
	tests := []struct {
		name                string
		candidate, baseline string
		change              func(*evaluate.Judging)
		repeat              int
		want                []evaluate.Wanted
	}{
		{name: "all is clear", candidate: "pp ff", baseline: "pp ff", repeat: 8},
		{name: "samples disagree", candidate: "pp pf", baseline: "pp pp", repeat: 8, want: both("case-001", 2)},
		{name: "those of the twin do", candidate: "pp pp", baseline: "pp pf", repeat: 8, want: both("case-001", 2)},
		{name: "up to the most", candidate: "pp ppf", baseline: "pp ppp", repeat: 5, want: both("case-001", 2)},
		{name: "they have them already", candidate: "pp ppf", baseline: "pp ppp", repeat: 3},
		{name: "the twin catches up", candidate: "pppf", baseline: "pp", repeat: 8, want: []evaluate.Wanted{{Case: "case-000", Samples: 4}, {Case: "case-000", Column: 1, Samples: 6}}},
		{name: "without a baseline", candidate: "pf", repeat: 8, want: both("case-000", 2)[:1]},
		{name: "an error is mended first", candidate: "pfe", baseline: "ppp", repeat: 8},
		{name: "in quarantine", candidate: "pf", repeat: 8, change: func(in *evaluate.Judging) {
			in.Policy.Quarantine = []schemas.Quarantine{{Case: "case-000", Until: "2026-12-01"}}
		}},
		{name: "after quarantine", candidate: "pf", repeat: 8, want: both("case-000", 2)[:1], change: func(in *evaluate.Judging) {
			in.Policy.Quarantine = []schemas.Quarantine{{Case: "case-000", Until: "2026-11-01"}}
		}},
		{name: "it was stopped", candidate: "pf", repeat: 8, change: func(in *evaluate.Judging) { in.Stopped = true }},
		{name: "nobody is asked", candidate: "pf", repeat: 8, change: func(in *evaluate.Judging) { in.Columns[0].Calls = false }},
		{name: "near the threshold with one sample", candidate: "p p", repeat: 4, want: both("case-001", 1)[:1], change: scores(0.9, 0.79)},
		{name: "near with some", candidate: "ppp fff", repeat: 4, want: both("case-001", 1)[:1], change: scores(1, 1, 1, 0.75, 0.6, 0.7)},
		{name: "not near with some", candidate: "ppp fff", repeat: 4, change: scores(0.8, 0.81, 0.8, 0.6, 0.61, 0.6)},
		{name: "the least certain first", candidate: "p p pf", repeat: 9, change: scores(0.78, 0.71, 1, 0), want: []evaluate.Wanted{
			{Case: "case-002", Samples: 2}, {Case: "case-001", Samples: 1}, {Case: "case-000", Samples: 1},
		}},
		{name: "not enough data", candidate: "p f p", baseline: "p p f", repeat: 2, want: append(both("case-001", 1), both("case-002", 1)...), change: func(in *evaluate.Judging) {
			in.Policy.NoRegression = &schemas.Regression{}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := sides(test.candidate, test.baseline)
			if test.change != nil {
				test.change(&in)
			}
			if diff := cmp.Diff(test.want, evaluate.More(judge(t, in), test.repeat)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// scores gives the candidate's cells scores in their order, and a threshold of 0.7.
func scores(of ...float64) func(*evaluate.Judging) {
	return func(in *evaluate.Judging) {
		threshold := 0.7
		for i := range of {
			in.Cells[i].Score, in.Cells[i].Threshold = of[i], &threshold
		}
	}
}

// TestMoreEnds follows the advice until there is none: rounds are bounded, and no case has more samples than it may.
func TestMoreEnds(t *testing.T) {
	t.Parallel()
	in := sides(times("pf", 400)+times("pp", 100), times("pf", 500))
	const most = 11
	for round := 0; ; round++ {
		r := judge(t, in)
		wanted := evaluate.More(r, most)
		if len(wanted) == 0 {
			break
		}
		added := 0
		for _, w := range wanted {
			samples := 0
			for _, cell := range in.Cells {
				if cell.Case.ID == w.Case && cell.Column == w.Column {
					samples++
				}
			}
			for i := range w.Samples {
				in.Cells = append(in.Cells, record(w.Case, w.Column, samples+i, rune("pf"[(samples+i)%2])))
			}
			added += w.Samples
		}
		if added > len(r.Cells)/2 || round > 40 {
			t.Fatalf("round %d adds %d to %d", round, added, len(r.Cells))
		}
	}
	if len(in.Cells) != 1000*most {
		t.Errorf("%d cells", len(in.Cells))
	}
}
