package evaluate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"slices"

	"github.com/tenuto-dev/tenuto/activities/internal/grader"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

// stored is a plan as it is kept, with all that its cells need.
type stored struct {
	schemas.EvalPlan
	Description string                  `json:"description,omitempty"`
	Policy      schemas.EvalPolicy      `json:"policy"`
	Targets     []target                `json:"targets"`
	Graders     map[string]graderTarget `json:"graders,omitempty"` // by their spelling
	Grader      string                  `json:"grader,omitempty"`
	Embedder    string                  `json:"embedder,omitempty"`
	Releases    []string                `json:"releases,omitempty"`
	Baseline    string                  `json:"baseline,omitempty"`
	Earlier     string                  `json:"earlier,omitempty"` // id of the run that is the baseline
	Fixed       map[string]string       `json:"fixed,omitempty"`   // releases that were found, by what named them: a label may have moved since
	Contents    contents                `json:"contents,omitempty"`
}

// planned is one cell of a plan.
type planned struct {
	schemas.EvalCell
	Column  int                 `json:"column"`
	Target  int                 `json:"target"`
	At      int                 `json:"at"`                // its place among all cells
	Problem string              `json:"problem,omitempty"` // it cannot be made
	Answer  *schemas.CellAnswer `json:"answer,omitempty"`  // known: only what is looked for has changed
}

// planner makes the plan of one run.
type planner struct {
	a        *Activities
	request  schemas.EvalRequest
	from     *loaded
	pins     map[string]*pinned // by provider, as it is spelt
	twins    map[string]*pinned // of the baseline
	graders  map[string]graderTarget
	targets  []target
	targetAt map[string]int
	columns  []schemas.EvalColumn
	columnAt map[columnKey]int
	plan     stored
	sum      hash.Hash
	written  *batches // nil while cells are only counted
	at       int
	want     map[place]span // in a further round: which samples of which cases
	tell     func(planned)  // of every cell; may be nil
}

// Plan expands the suite of a run into cells and says what has to be done. A plan is kept under the hash of what it is, so the same suite over
// the same releases and models has the same plan, and one whose cells all have a result is known as such. Codes: invalid for a suite that
// cannot be run, has more cells than allowed or names what there is not; not_found, those of the store.
func (a *Activities) Plan(ctx context.Context, in schemas.EvalRequest) (schemas.EvalPlan, error) {
	from, err := a.load(ctx, in.Package)
	if err != nil {
		return schemas.EvalPlan{}, err
	}
	p := newPlanner(a, in, from)
	if err := p.prepare(ctx); err != nil {
		return schemas.EvalPlan{}, err
	}
	before, err := p.before(ctx)
	if err != nil || before != nil {
		return p.asAsked(before), err
	}
	if err := p.count(ctx); err != nil {
		return schemas.EvalPlan{}, err
	}
	prefix := schemas.EvalPlanPrefix(in.Tenant, in.Suite, p.plan.Hash)
	if err := p.write(ctx, prefix); err != nil {
		return schemas.EvalPlan{}, err
	}
	if p.plan.Known, err = p.known(ctx, prefix); err != nil {
		return schemas.EvalPlan{}, err
	}
	_, err = blob.PutJSON(ctx, a.Store, p.plannedKey(), plannedAs{p.plan.Hash})
	return p.plan.EvalPlan, err
}

func newPlanner(a *Activities, request schemas.EvalRequest, from *loaded) *planner {
	p := &planner{a: a, request: request, from: from, pins: map[string]*pinned{}, graders: map[string]graderTarget{}, targetAt: map[string]int{}}
	p.plan.Warnings = from.warnings
	return p
}

// The files of a plan beside its cells. The second points to the run in which every cell came to a result.
const (
	planFile  = "plan.json"
	knownFile = "known.json"
)

func exists(ctx context.Context, store *blob.Store, key string) (bool, error) {
	_, err := store.Stat(ctx, key)
	if schemas.CodeOf(err) == schemas.NotFound {
		return false, nil
	}
	return err == nil, err
}

// prepare finds out what everything that the suite names stands for.
func (p *planner) prepare(ctx context.Context) error {
	s := p.from.suite
	p.plan.Policy, p.plan.Description, p.plan.Width = p.from.policy, s.Description, s.Options.MaxConcurrency
	p.plan.Budget = p.request.Budget
	if s.Budget != nil && p.plan.Budget == (schemas.EvalBudget{}) {
		p.plan.Budget = schemas.EvalBudget(*s.Budget)
	}
	p.plan.SinceMS = sinceOf(p.request, s.MaxAge)
	if p.plan.Notify = p.request.Notify; p.plan.Notify.IsZero() && s.Notify != nil {
		p.plan.Notify = *s.Notify
	}
	if err := distinct(s.Providers); err != nil {
		return err
	}
	for _, provider := range everyProvider(s) {
		if err := p.provide(ctx, provider); err != nil {
			return err
		}
	}
	if err := p.prepareGraders(); err != nil {
		return err
	}
	return p.baseline(ctx)
}

func (p *planner) provide(ctx context.Context, from suite.Provider) error {
	if _, ok := p.pins[from.ID]; ok {
		return nil
	}
	provider := schemas.EvalProvider{ID: from.ID, Kind: string(from.Kind), Name: from.Name, API: from.API, Version: from.Version}
	pin, err := p.pin(ctx, provider)
	if err != nil {
		return err
	}
	p.pins[from.ID] = pin
	if pin.loaded != nil {
		p.plan.Releases = append(p.plan.Releases, pin.loaded.Chain+"@"+pin.loaded.Hash)
	}
	return p.look(ctx, pin)
}

// look finds out what the chains of a provider look in.
func (p *planner) look(ctx context.Context, pin *pinned) (err error) {
	switch {
	case pin.loaded != nil:
		pin.within, err = p.within(ctx, pin.loaded.Content)
	case pin.bundle != nil:
		pin.within, err = p.within(ctx, *pin.bundle)
	}
	return err
}

// baseline finds out what the result is compared with. A label and a release stand in for the chains under test; an earlier run is read when
// the result is judged.
func (p *planner) baseline(ctx context.Context) error {
	name := cmp.Or(p.request.Baseline, p.from.suite.Baseline)
	if p.plan.Baseline = name; name == "" {
		return nil
	}
	if _, ok := schemas.RunStart(name); ok {
		p.plan.Earlier = name
		found, err := exists(ctx, p.a.Store, schemas.EvalSummaryKey(p.request.Tenant, p.request.Suite, name))
		if err == nil && !found {
			err = schemas.Errorf(schemas.NotFound, "the baseline %s is no run of the suite %s that ended: `tenuto eval list %s` shows those there are", name, p.request.Suite, p.request.Suite)
		}
		return err
	}
	p.twins = map[string]*pinned{}
	for _, provider := range everyProvider(p.from.suite) {
		if provider.Kind != suite.KindChain || provider.Version != "" && p.anyUnderTest() {
			continue
		}
		pin, err := p.standIn(ctx, provider.Name, name)
		if err == nil {
			err = p.look(ctx, pin)
		}
		if err != nil {
			return err
		}
		p.twins[provider.ID] = pin
	}
	if len(p.twins) == 0 {
		return schemas.Errorf(schemas.Invalid, "the baseline %s is a label or a release, and the suite asks no chain: compare with the id of an earlier run of the suite", name)
	}
	return nil
}

// anyUnderTest reports whether the suite asks a chain without saying which release.
func (p *planner) anyUnderTest() bool {
	return slices.ContainsFunc(everyProvider(p.from.suite), func(v suite.Provider) bool { return v.Kind == suite.KindChain && v.Version == "" })
}

func (p *planner) standIn(ctx context.Context, chain, name string) (*pinned, error) {
	if schemas.CheckRelease(name) == nil {
		return p.pinRelease(ctx, chain, name, "")
	}
	if err := schemas.CheckLabel(name); err != nil {
		return nil, schemas.Errorf(schemas.Invalid, "the baseline %.80q is neither a label, nor the hash of a release, nor the id of a run of the suite", name)
	}
	return p.pinLabel(ctx, chain, name)
}

// count makes every cell once, and with that the hash of the plan.
func (p *planner) count(ctx context.Context) error {
	p.sum = sha256.New()
	policy, err := json.Marshal(p.plan.Policy)
	if err != nil {
		return schemas.Wrap(schemas.Invalid, err, "the policy cannot be kept")
	}
	fmt.Fprintf(p.sum, "%s\n%s\n%s\n%d\n", policy, p.plan.Baseline, p.plan.Earlier, p.request.MaxRepeat)
	if err := p.each(ctx); err != nil {
		return err
	}
	// Prices, limits and names of keys decide no answer, and are part of no cell's identity; but they stand in the plan, which is kept by its hash.
	fmt.Fprintln(p.sum, digestOf(p.targets, p.graders, p.plan.Grader, p.plan.Embedder, p.plan.Width, p.plan.Description))
	p.plan.Hash = hex.EncodeToString(p.sum.Sum(nil))
	p.plan.Columns, p.plan.Targets, p.plan.Graders = p.columns, p.targets, p.graders
	return nil
}

// each makes every cell: of what is under test, then of the baseline.
func (p *planner) each(ctx context.Context) error {
	p.columns, p.columnAt, p.at, p.plan.Comparisons = nil, map[columnKey]int{}, 0, 0
	if err := p.side(ctx, p.pins, false); err != nil || len(p.twins) == 0 {
		return err
	}
	return p.side(ctx, p.twins, true)
}

func (p *planner) side(ctx context.Context, pins map[string]*pinned, baseline bool) error {
	spelt := map[string]string{}
	for id, pin := range pins {
		spelt[id] = pin.identity()
	}
	for id, g := range p.graders {
		spelt[id] = g.Pin
	}
	can, reasons := p.logProbs(pins)
	cells, err := p.from.suite.Cells(suite.Expansion{
		MaxCells: p.request.MaxCells, Repeat: p.request.Repeat, Pins: spelt, Grader: p.plan.Grader, Embedder: p.plan.Embedder, Asked: grader.Pin,
		LogProbs: can,
	})
	if err != nil {
		return err
	}
	for cell, fault := range cells {
		if err := ctx.Err(); err != nil {
			return err
		}
		pin, ok := pins[cell.Provider.ID]
		if !ok && baseline {
			continue
		}
		if fault == nil {
			if err := p.checkLogProbs(cell, reasons[cell.Provider.ID]); err != nil {
				return err
			}
		}
		if err := p.cell(ctx, cell, fault, pin, baseline); err != nil {
			return err
		}
	}
	return nil
}

// cell enters one cell into the plan.
func (p *planner) cell(ctx context.Context, cell schemas.EvalCell, fault error, pin *pinned, baseline bool) error {
	one := planned{EvalCell: cell, At: p.at}
	p.at++
	if fault == nil && cell.Output == nil {
		var err error
		if one.Target, err = p.targetOf(ctx, cell, pin); err != nil {
			return err
		}
		one.Problem = p.targets[one.Target].Problem
	}
	if fault != nil {
		one.Problem = schemas.SafeMessage(fault)
		one.ID.Score = digestOf("problem", cell.Case.ID, cell.Provider.ID, cell.Prompt, cell.Sample, one.Problem)
		one.ID.Call = one.ID.Score
	}
	one.Column = p.column(cell, pin, baseline)
	if p.want != nil && !p.want[place{cell.Case.ID, one.Column}].has(cell.Sample) {
		return nil
	}
	p.enter(cell, one.Column)
	fmt.Fprintf(p.sum, "%d %s\n", one.Column, one.ID.Score)
	if p.written != nil {
		p.written.add(ctx, one, p.columns[one.Column].ID)
	}
	if p.tell != nil {
		p.tell(one)
	}
	return nil
}

// columnKey tells columns apart.
type columnKey struct {
	provider, label, prompt string
	baseline                bool
}

// column is the place of a cell's column, which it makes.
func (p *planner) column(cell schemas.EvalCell, pin *pinned, baseline bool) int {
	key := columnKey{cell.Provider.ID, cell.Provider.Label, cell.Prompt, baseline}
	at, ok := p.columnAt[key]
	if !ok {
		provider := cell.Provider
		provider.Config = nil
		at = len(p.columns)
		p.columnAt[key] = at
		p.columns = append(p.columns, schemas.EvalColumn{
			ID: digestOf(provider.ID, pin.identity())[:32], Provider: provider, Prompt: cell.Prompt, Pin: pin.pin, Baseline: baseline,
		})
	}
	return at
}

// enter counts a cell in its column.
func (p *planner) enter(cell schemas.EvalCell, column int) {
	c := &p.columns[column]
	c.Cells++
	c.Calls = c.Calls || cell.Output == nil && suite.Kind(cell.Provider.Kind) != suite.KindEcho || slices.ContainsFunc(cell.Assertions, asksAbout)
	if slices.ContainsFunc(cell.Assertions, compares) {
		p.plan.Comparisons++
	}
}

func asksAbout(a schemas.Assertion) bool {
	return suite.AsksModel(a.Type) || a.Type == "webhook" || a.Type == "not-webhook" || slices.ContainsFunc(a.Assert, asksAbout)
}

func compares(a schemas.Assertion) bool { return suite.Compares(a.Type) }

// write keeps the cells of the plan, and then the plan.
func (p *planner) write(ctx context.Context, prefix string) error {
	there, err := blob.GetJSON[stored](ctx, p.a.Store, schemas.Ref{Key: prefix + planFile})
	if err == nil {
		p.plan.Columns, p.plan.Batch = there.Columns, there.Batch
		return nil
	}
	if schemas.CodeOf(err) != schemas.NotFound {
		return err
	}
	p.written = p.a.newBatches(prefix, 0, p.at, p.plan.Width)
	p.sum.Reset()
	if err := p.each(ctx); err != nil {
		return err
	}
	counts, err := p.written.close(ctx)
	if err != nil {
		return err
	}
	for i := range p.columns {
		p.columns[i].Batches, p.columns[i].Late = counts[i].all, counts[i].late
	}
	p.plan.Columns, p.plan.Batch = p.columns, p.written.size
	_, err = blob.PutJSON(ctx, p.a.Store, prefix+planFile, p.plan)
	return err
}

// planOf reads a plan.
func (a *Activities) planOf(ctx context.Context, run schemas.EvalRun) (stored, error) {
	return blob.GetJSON[stored](ctx, a.Store, schemas.Ref{Key: schemas.EvalPlanPrefix(run.Tenant, run.Suite, run.Plan) + planFile})
}
