package evaluate

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/tenuto-dev/tenuto/activities/internal/report"
	"github.com/tenuto-dev/tenuto/activities/internal/verdict"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Judging is all that the result of a run is made of.
type Judging struct {
	Run         schemas.EvalRun
	Request     schemas.EvalRequest
	Columns     []schemas.EvalColumn
	Cells       []schemas.CellRecord // of all columns, each that was planned, in the order of the plan
	Earlier     *schemas.EvalResult  // the baseline, where it is an earlier run
	Policy      schemas.EvalPolicy
	Description string    // of the suite
	Now         time.Time // decides which quarantines are over
	EndMS       int64     // Unix milliseconds
	Usage       schemas.Usage
	Cost        schemas.Cost
	Stopped     bool // cells were left undone on purpose
}

// Judge puts the result of a run together. The cells of all columns under test are held to the policy, and compared with those of their twins
// or of the same columns of the earlier run, whose cells then stand in the result beside them. Cases in quarantine are in the result and not
// in its verdict. The same cells give the same verdict in any order. Errors: invalid (a policy that cannot be kept, an earlier run of another
// suite, a cell twice).
func Judge(in Judging) (schemas.EvalResult, error) {
	j := &judging{Judging: in, columns: slices.Clone(in.Columns), cells: slices.Clone(in.Cells), planned: len(in.Columns)}
	j.names = namesOf(j.columns, false)
	if err := j.check(); err != nil {
		return schemas.EvalResult{}, err
	}
	if err := j.besideEarlier(); err != nil {
		return schemas.EvalResult{}, err
	}
	if err := j.quarantine(); err != nil {
		return schemas.EvalResult{}, err
	}
	j.order()
	j.twins = twinsOf(j.columns)
	r := schemas.EvalResult{Description: in.Description, Policy: in.Policy, Columns: j.columns, Cells: j.cells}
	for i := range j.columns {
		r.Twins = append(r.Twins, twinOr(j.twins, i))
	}
	var err error
	if r.Verdict, err = j.verdict(); err != nil {
		return schemas.EvalResult{}, err
	}
	groups := groupsOf(j.cells)
	r.Flaky = j.flaky(groups)
	r.Regressions = j.regressions(groups)
	if r.EvalSummary, err = j.summary(r); err == nil {
		r.Failing = report.Failing(r)
	}
	return r, err
}

// judging is the work of Judge.
type judging struct {
	Judging
	columns []schemas.EvalColumn
	cells   []schemas.CellRecord
	planned int                // columns of this run; those of an earlier one follow
	names   map[int]columnName // of the columns under test
	twins   map[int]int        // column of the baseline, by column under test
	resting map[string]string  // days until which cases are in quarantine
}

// check refuses cells that no result can hold. What has no result counts nothing, whatever stands in its record.
func (j *judging) check() error {
	for i := range j.cells {
		cell := &j.cells[i]
		if cell.Column < 0 || cell.Column >= len(j.columns) {
			return schemas.Errorf(schemas.Invalid, "case %q stands in column %d of %d", cell.Case.ID, cell.Column, len(j.columns))
		}
		if math.IsNaN(cell.Score) || math.IsInf(cell.Score, 0) {
			return schemas.Errorf(schemas.Invalid, "case %q has the score %v, which is no number", cell.Case.ID, cell.Score)
		}
		if cell.State != schemas.CellScored {
			cell.Pass, cell.Score = false, 0
		}
	}
	return nil
}

// besideEarlier takes the columns of the earlier run that this one has too, with their cells.
func (j *judging) besideEarlier() error {
	if j.Earlier == nil {
		return nil
	}
	if j.Earlier.Suite != j.Run.Suite {
		return schemas.Errorf(schemas.Invalid, "the baseline %s is a run of the suite %s, and this is %s: name a run of the same suite", j.Earlier.ID, j.Earlier.Suite, j.Run.Suite)
	}
	ours, before := map[columnName]bool{}, map[int]int{}
	for _, name := range j.names {
		ours[name] = true
	}
	for i, name := range namesOf(j.Earlier.Columns, false) {
		if ours[name] {
			before[i] = 0
		}
	}
	for _, i := range slices.Sorted(maps.Keys(before)) {
		column := j.Earlier.Columns[i]
		column.Baseline, column.Batches, column.Calls = true, 0, false
		before[i] = len(j.columns)
		j.columns = append(j.columns, column)
	}
	j.takeEarlier(before)
	return nil
}

// takeEarlier takes cells of the columns of before, which has their new places. What has no result there, and is no case of the suite any
// more, is left: nobody could mend it.
func (j *judging) takeEarlier(before map[int]int) {
	here := map[string]bool{}
	for _, cell := range j.cells {
		here[cell.Case.ID] = true
	}
	for _, cell := range j.Earlier.Cells {
		column, takes := before[cell.Column]
		if !takes || cell.State != schemas.CellScored && !here[cell.Case.ID] {
			continue
		}
		cell.Column, cell.Reused = column, true
		j.cells = append(j.cells, cell)
	}
}

// quarantine checks the quarantines of the policy, and finds the cases that are in one now.
func (j *judging) quarantine() error {
	known := map[string]bool{}
	for _, cell := range j.Cells {
		known[cell.Case.ID] = true
	}
	seen := map[string]bool{}
	for _, q := range j.Policy.Quarantine {
		if _, err := time.Parse(time.DateOnly, q.Until); err != nil {
			return schemas.Wrap(schemas.Invalid, err, "the quarantine of case %q ends on %q: write a day as YYYY-MM-DD", q.Case, q.Until)
		}
		if !known[q.Case] {
			return schemas.Errorf(schemas.Invalid, "the quarantine names the case %q, which the suite does not have", q.Case)
		}
		if seen[q.Case] {
			return schemas.Errorf(schemas.Invalid, "the quarantine names the case %q twice", q.Case)
		}
		seen[q.Case] = true
	}
	j.resting = restingOn(j.Policy, j.Now)
	return nil
}

// restingOn has the cases that are in quarantine at a time, with the day on which they count again.
func restingOn(policy schemas.EvalPolicy, now time.Time) map[string]string {
	today, resting := now.UTC().Format(time.DateOnly), map[string]string{}
	for _, q := range policy.Quarantine {
		if today < q.Until {
			resting[q.Case] = q.Until
		}
	}
	return resting
}

// order has the cells of a case stand together, cases in the order in which they come first.
func (j *judging) order() {
	first := map[string]int{}
	for i, cell := range j.cells {
		if _, known := first[cell.Case.ID]; !known {
			first[cell.Case.ID] = i
		}
	}
	slices.SortStableFunc(j.cells, func(a, b schemas.CellRecord) int {
		return cmp.Or(cmp.Compare(first[a.Case.ID], first[b.Case.ID]), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Sample, b.Sample))
	})
}

// verdict judges what is not in quarantine. A baseline that the policy asks nothing about is compared with for people to read.
func (j *judging) verdict() (schemas.Verdict, error) {
	candidate, baseline := j.sides(func(cell schemas.CellRecord) bool { return j.resting[cell.Case.ID] == "" })
	policy := j.Policy
	policy.Required = j.required()
	v, err := verdict.Judge(policy, candidate, baseline)
	if err != nil || policy.NoRegression != nil || len(baseline) == 0 {
		return v, err
	}
	shown, err := verdict.Judge(schemas.EvalPolicy{NoRegression: &schemas.Regression{}}, candidate, baseline)
	v.Comparison = shown.Comparison
	return v, err
}

// sides are the cells under test that take part, and those that they are compared with, under the names by which they pair.
func (j *judging) sides(takesPart func(schemas.CellRecord) bool) (candidate, baseline []schemas.CaseResult) {
	of := map[int]int{}
	for ours, theirs := range j.twins {
		of[theirs] = ours
	}
	for _, cell := range j.cells {
		if !takesPart(cell) {
			continue
		}
		result := schemas.CaseResult{Sample: cell.Sample, Tags: cell.Case.Tags, State: cell.State, Pass: cell.Pass, Score: cell.Score, Reason: cell.Reason}
		if !j.columns[cell.Column].Baseline {
			result.Case = j.pairName(cell.Case.ID, cell.Column)
			candidate = append(candidate, result)
		} else if ours, paired := of[cell.Column]; paired {
			result.Case = j.pairName(cell.Case.ID, ours)
			baseline = append(baseline, result)
		}
	}
	return candidate, baseline
}

// pairName is what a case is called in the verdict: its id, and where several columns are under test, the column.
func (j *judging) pairName(id string, column int) string {
	if len(j.names) == 1 {
		return id
	}
	return id + " under " + j.names[column].String()
}

// required are the required cases as the verdict calls them, without those in quarantine. One that the suite does not have keeps its name.
func (j *judging) required() []string {
	columns := map[string]map[int]bool{}
	for _, cell := range j.cells {
		if !j.columns[cell.Column].Baseline {
			if columns[cell.Case.ID] == nil {
				columns[cell.Case.ID] = map[int]bool{}
			}
			columns[cell.Case.ID][cell.Column] = true
		}
	}
	var names []string
	for _, id := range j.Policy.Required {
		if j.resting[id] != "" {
			continue
		}
		if len(columns[id]) == 0 {
			names = append(names, id)
		}
		for _, column := range slices.Sorted(maps.Keys(columns[id])) {
			names = append(names, j.pairName(id, column))
		}
	}
	return names
}

func (j *judging) summary(r schemas.EvalResult) (schemas.EvalSummary, error) {
	all, _ := j.sides(func(schemas.CellRecord) bool { return true })
	whole, err := verdict.Judge(schemas.EvalPolicy{}, all, nil)
	if err != nil {
		return schemas.EvalSummary{}, err
	}
	s := schemas.EvalSummary{
		ID: j.Run.ID, Suite: j.Run.Suite, StartMS: j.Run.StartMS, EndMS: j.EndMS, Trigger: cmp.Or(j.Request.Trigger, schemas.EvalManual), By: j.Request.By,
		Package: j.Request.Package.SHA256, Plan: j.Run.Plan, Ruling: r.Verdict.Ruling, Reasons: r.Verdict.Reasons,
		Counts: whole.Counts, PassRate: whole.PassRate, Score: whole.Score, Cells: whole.Counts.Total(),
		Usage: j.Usage, Cost: j.Cost, Baseline: j.Request.Baseline, Stopped: j.Stopped, PlannedMS: j.Request.PlannedMS,
	}
	for _, cell := range j.cells {
		if cell.Reused && cell.Column < j.planned {
			s.Reused++
		}
	}
	for _, f := range r.Flaky {
		if !j.columns[f.Column].Baseline {
			s.Flaky++
		}
	}
	for _, chain := range slices.Sorted(maps.Keys(j.Request.Releases)) {
		s.Releases = append(s.Releases, chain+"@"+j.Request.Releases[chain])
	}
	return s, nil
}
