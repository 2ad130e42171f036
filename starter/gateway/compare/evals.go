package compare

import (
	"cmp"
	"math"
	"slices"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// least is a difference that is none but of rounding.
const least = 1e-9

// Evals pairs the cases of two runs of a suite by their id, prompt and provider as the suite spells them, whatever those stood for, and says
// what changed. Columns that are a baseline of their own run take no part. Where each run has one column, those are a pair in any case.
func Evals(run, with schemas.EvalResult) rest.EvalDifference {
	out := rest.EvalDifference{Run: run.EvalSummary, With: with.EvalSummary, Changed: []rest.CaseDifference{}}
	one := len(candidates(run)) == 1 && len(candidates(with)) == 1
	after, before := standings(run, one), standings(with, one)
	for _, key := range after.order {
		pair(&out, key, after.cases[key], before.cases[key])
	}
	for _, key := range before.order {
		if after.cases[key] == nil {
			pair(&out, key, nil, before.cases[key])
		}
	}
	if out.Pairs > 0 {
		out.Score /= float64(out.Pairs)
		out.PassRate /= float64(out.Pairs)
	}
	slices.SortStableFunc(out.Changed, func(a, b rest.CaseDifference) int {
		return cmp.Or(cmp.Compare(alone(a), alone(b)), cmp.Compare(a.PassRate, b.PassRate), cmp.Compare(a.Score, b.Score))
	})
	return out
}

func alone(d rest.CaseDifference) int {
	if d.Run == nil || d.With == nil {
		return 1
	}
	return 0
}

// pair counts one case and lists it if it changed.
func pair(out *rest.EvalDifference, key caseKey, run, with *standing) {
	d := rest.CaseDifference{Case: key.id}
	for _, s := range []*standing{with, run} { // what the first run says of the case comes last
		if s != nil {
			d.Description, d.Provider, d.Prompt = s.about.Description, s.provider, s.prompt
		}
	}
	if run != nil {
		d.Run, d.Reason = run.mean(), run.reason
	}
	if with != nil {
		d.With = with.mean()
	}
	if run == nil || with == nil {
		out.Alone++
		out.Changed = append(out.Changed, d)
		return
	}
	d.Score, d.PassRate = d.Run.Score-d.With.Score, d.Run.PassRate-d.With.PassRate
	out.Pairs++
	out.Score += d.Score
	out.PassRate += d.PassRate
	difference := d.PassRate
	if math.Abs(difference) < least {
		difference = d.Score
	}
	switch {
	case difference < -least:
		out.Worse++
	case difference > least:
		out.Better++
	default:
		return
	}
	out.Changed = append(out.Changed, d)
}

// caseKey is what a case is known by in two runs.
type caseKey struct{ id, provider, prompt string }

// standing adds up the samples of a case.
type standing struct {
	rest.CaseStanding
	about            schemas.EvalCase
	provider, prompt string
	reason           string
}

func (s *standing) mean() *rest.CaseStanding {
	out := s.CaseStanding
	out.Score /= float64(out.Samples)
	out.PassRate = float64(out.Passed) / float64(out.Samples)
	return &out
}

// standingsOf are the cases of a run, in its order.
type standingsOf struct {
	cases map[caseKey]*standing
	order []caseKey
}

func candidates(r schemas.EvalResult) []schemas.EvalColumn {
	return slices.DeleteFunc(slices.Clone(r.Columns), func(c schemas.EvalColumn) bool { return c.Baseline })
}

func standings(r schemas.EvalResult, one bool) standingsOf {
	out := standingsOf{cases: map[caseKey]*standing{}}
	for i := range r.Cells {
		cell := &r.Cells[i]
		if cell.Column < 0 || cell.Column >= len(r.Columns) || r.Columns[cell.Column].Baseline {
			continue
		}
		column := r.Columns[cell.Column]
		key := caseKey{cell.Case.ID, column.Provider.ID, column.Prompt}
		if one {
			key = caseKey{id: cell.Case.ID}
		}
		s := out.cases[key]
		if s == nil {
			s = &standing{about: cell.Case, provider: cmp.Or(column.Provider.Label, column.Provider.ID), prompt: column.Prompt}
			out.cases[key] = s
			out.order = append(out.order, key)
		}
		s.add(cell)
	}
	return out
}

func (s *standing) add(cell *schemas.CellRecord) {
	s.Samples++
	if cell.State != schemas.CellScored {
		s.Errored++
	} else {
		s.Score += cell.Score
		if cell.Pass {
			s.Passed++
		}
	}
	if s.reason == "" && (cell.State != schemas.CellScored || !cell.Pass) {
		s.reason = cell.Reason
	}
}
