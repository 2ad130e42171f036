// Package route chooses the models that a call goes to, one after the other.
package route

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Condition decides from variables. The Test method of a compiled expression is one. An error is invalid and says where the expression
// fails.
type Condition func(vars map[string]any) (bool, error)

// Route is an ordered list of targets. Neighbours with weights stand in an order that is drawn; all others keep their place.
type Route struct {
	Name     string
	Targets  []Target
	Refusals bool // a refusal of one target falls back to the next
}

// Target is one model of a route.
type Target struct {
	Model    string    // PROVIDER/MODEL
	Weight   int       // how often it is drawn first, in proportion to its neighbours with weights; 0 keeps its place
	Context  int       // tokens that the model has room for; 0 is unknown
	When     Condition // over WhenNames; nil always holds
	Escalate Condition // over EscalateNames: the answer is not good enough, so the next target is asked; nil never holds
}

// Input is what conditions see of a call.
type Input struct {
	Input         map[string]any // of the step, as encoding/json decodes it
	Tenant, Chain string
}

// Output is what checks see of an answer.
type Output struct {
	Output map[string]any // its text as "text", and the fields of a structured answer
	Finish string         // how it ended: stop, length, filter or tool
}

// Attempt is one place of a plan. It is safe to record.
type Attempt struct {
	Target int    `json:"target"` // index in the route's targets
	Model  string `json:"model"`
}

// WhenNames lists the variables of Target.When: input, run.tenant, run.chain.
func WhenNames() []string { return []string{"input", "run"} }

// EscalateNames lists the variables of Target.Escalate: those of When, output and finish.
func EscalateNames() []string { return []string{"finish", "input", "output", "run"} }

func (in Input) vars() map[string]any {
	return map[string]any{"input": in.Input, "run": map[string]any{"tenant": in.Tenant, "chain": in.Chain}}
}

// Check reports what is wrong with the route. Error: invalid.
func (r Route) Check() error {
	if len(r.Targets) == 0 {
		return schemas.Errorf(schemas.Invalid, "route %q has no target", r.Name)
	}
	seen := map[string]bool{}
	for i, t := range r.Targets {
		switch {
		case t.Model == "":
			return schemas.Errorf(schemas.Invalid, "route %q: target %d names no model", r.Name, i+1)
		case t.Weight < 0:
			return schemas.Errorf(schemas.Invalid, "route %q: target %d has weight %d; choose 1 or more, or leave it out", r.Name, i+1, t.Weight)
		case t.When == nil && seen[t.Model]:
			return schemas.Errorf(schemas.Invalid, "route %q: target %d repeats %s; another attempt at the same model is a retry", r.Name, i+1, t.Model)
		}
		seen[t.Model] = seen[t.Model] || t.When == nil
	}
	return nil
}

// Plan lists the targets whose condition holds, in the order in which they are tried, each model once. The same seed draws the same
// order, so a retry goes where the first try went; run id and step id make a good seed.
//
// Error: invalid when no target fits, and that of a condition.
func Plan(r Route, in Input, seed string) ([]Attempt, error) {
	vars := in.vars()
	var plan []Attempt
	var group []drawn
	settle := func() {
		slices.SortStableFunc(group, func(a, b drawn) int { return cmp.Compare(a.key, b.key) })
		for _, d := range group {
			plan = append(plan, d.Attempt)
		}
		group = group[:0]
	}
	for i, t := range r.Targets {
		if holds, err := test(t.When, vars, true); err != nil {
			return nil, err
		} else if !holds {
			continue
		}
		if t.Weight == 0 {
			settle()
		}
		group = append(group, drawn{Attempt{Target: i, Model: t.Model}, key(seed, t)})
		if t.Weight == 0 {
			settle()
		}
	}
	settle()
	if len(plan) == 0 {
		return nil, schemas.Errorf(schemas.Invalid, "route %q has no target for this input", r.Name)
	}
	return unique(plan), nil
}

type drawn struct {
	Attempt
	key float64
}

// key draws a target's place: sorted by −ln(u)/w with u uniform, a target of weight w comes first with probability w of the sum, and
// the rest likewise (Efraimidis and Spirakis, Weighted random sampling with a reservoir, 2006). As u comes from seed and model alone,
// adding a target leaves the others in their order.
func key(seed string, t Target) float64 {
	sum := sha256.Sum256([]byte(seed + "\x00" + t.Model))
	u := (float64(binary.BigEndian.Uint64(sum[:8])>>11) + 0.5) / (1 << 53)
	return -math.Log(u) / float64(max(t.Weight, 1))
}

func unique(plan []Attempt) []Attempt {
	seen := map[string]bool{}
	return slices.DeleteFunc(plan, func(a Attempt) bool {
		again := seen[a.Model]
		seen[a.Model] = true
		return again
	})
}

// Escalates reports whether the answer of a target is not good enough for it. Error: that of the check.
func Escalates(r Route, a Attempt, in Input, out Output) (bool, error) {
	vars := in.vars()
	vars["output"], vars["finish"] = out.Output, out.Finish
	return test(r.Targets[a.Target].Escalate, vars, false)
}

func test(c Condition, vars map[string]any, absent bool) (bool, error) {
	if c == nil {
		return absent, nil
	}
	return c(vars)
}
