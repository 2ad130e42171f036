package evaluate

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/tenuto-dev/tenuto/activities/internal/grader"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// mostAnew bounds how often a question may have been answered by other runs in a way that cannot be read.
const mostAnew = 50

// question is a question of a grader on its way.
type question struct {
	k      *asker
	asking asking
	name   []any // what it is named by
	usable func(answer string) error
}

// Ask implements grader.Asker.
func (k *asker) Ask(ctx context.Context, q grader.Question, usable func(answer string) error) (string, error) {
	one, err := k.question(ctx, q, usable)
	if err != nil {
		return "", err
	}
	put := one.put
	if q.Shared {
		put = one.shared
	}
	r, err := put(ctx)
	if err != nil {
		return "", err
	}
	k.note(r)
	return textIn(r.answer), nil
}

// question finds out who is asked, and how the run is named that asks. What is shared is named without the cell, and may be known to others.
func (k *asker) question(ctx context.Context, q grader.Question, usable func(answer string) error) (question, error) {
	g, err := k.grader(q.Grader, false)
	if err != nil {
		return question{}, err
	}
	t, err := k.w.a.graderTarget(ctx, k.w.in.Run.Tenant, g)
	if err != nil {
		return question{}, err
	}
	messages := make([]message, len(q.Messages))
	for i, m := range q.Messages {
		messages[i] = message{Role: m.Role, Text: m.Text}
	}
	input, err := json.Marshal(map[string]any{"messages": messages})
	if err != nil {
		return question{}, schemas.Wrap(schemas.Internal, err, "the question of a grader cannot be kept")
	}
	name := []any{k.cell, g.Pin, q}
	if q.Shared {
		q.Grader = "" // the pin says who that is
		name = []any{"shared", g.Pin, q}
	}
	return question{k: k, name: name, usable: usable, asking: asking{
		run: k.w.in.Run, target: t, input: input, fresh: k.w.fresh && !q.Shared && k.knew == nil, earlier: k.earlier(), purpose: q.Purpose,
		work: k.w, start: k.w.in.Run.StartMS,
	}}, nil
}

// earlier are starts of runs that may have asked.
func (k *asker) earlier() []int64 {
	if k.knew == nil || k.knew.StartMS == 0 || k.knew.StartMS == k.w.in.Run.StartMS {
		return k.w.in.Earlier
	}
	return append(slices.Clip(k.w.in.Earlier), k.knew.StartMS)
}

// as is the asking under the n-th name of the question. Another name is another call.
func (q question) as(n int) asking {
	out, name := q.asking, q.name
	if n > 0 {
		name = append(slices.Clip(name), n)
	}
	out.id = schemas.EvalGradeID(digestOf(name...))
	return out
}

// serves reports whether an answer on record is the one to judge by. One that cannot be read is no verdict: it counts for the run that asked for
// it, and is asked for anew by every other.
func (q question) serves(r reply) bool { return r.own || q.usable(textIn(r.answer)) == nil }

// put asks, unless there is an answer that serves.
func (q question) put(ctx context.Context) (reply, error) {
	for n := 0; ; n++ {
		r, err := q.k.w.a.ask(ctx, q.as(n))
		if err != nil || n == mostAnew || q.serves(r) {
			return r, err
		}
	}
}

// key is where the answer to a question is kept that serves many cells.
func (q question) key() string { return schemas.EvalGradeKey(q.asking.run.Tenant, digestOf(q.name...)) }

// shared is an answer that serves all cells of a tenant that ask the same of the same model.
type shared struct {
	schemas.CellAnswer
	Run  string `json:"run"`  // of the evaluation that paid for it
	Cell string `json:"cell"` // score identity of the cell that did
}

// shared finds the answer, or asks: once in a process, whoever else wants it meanwhile. The first that has it keeps it for all runs to come.
func (q question) shared(ctx context.Context) (reply, error) {
	key := q.key()
	for {
		r := reply{shared: true}
		joined, err, _ := q.k.w.a.sharing.Do(key, func() (any, error) {
			first, err := q.first(ctx, key)
			r.own, r.paid = first.own, first.paid
			return first.answer, err
		})
		if errors.Is(err, context.Canceled) && ctx.Err() == nil {
			continue // whoever asked has left
		}
		r.answer, _ = joined.(schemas.CellAnswer)
		return r, err
	}
}

// first is shared for the one who comes first.
func (q question) first(ctx context.Context, key string) (reply, error) {
	a, own := q.k.w.a, key+"/"+q.asking.run.ID
	known, ok, err := a.sharedAt(ctx, key, q.asking.run.SinceMS)
	if unread, there := a.steps.get(own); !ok && there {
		known, ok = unread, true
	}
	if ok || err != nil {
		lost := known.Run == q.asking.run.ID && known.Cell == q.k.cell && a.Attempt(ctx) > 1 // nobody has heard what it cost
		return reply{answer: known.CellAnswer, paid: lost, own: lost}, err
	}
	r, err := q.put(ctx)
	if err != nil {
		return r, err
	}
	known = shared{CellAnswer: r.answer, Run: q.asking.run.ID, Cell: q.k.cell}
	if readable := q.usable(textIn(r.answer)) == nil; readable {
		_, err = blob.PutJSON(ctx, a.Store, key, known)
	} else {
		a.steps.put(own, known, int64(len(known.Output)))
	}
	return r, err
}

// sharedAt reads an answer that was kept, if it was given since then.
func (a *Activities) sharedAt(ctx context.Context, key string, since int64) (known shared, ok bool, err error) {
	if known, ok = a.steps.get(key); ok && known.StartMS >= since {
		return known, true, nil
	}
	known, err = blob.GetJSON[shared](ctx, a.Store, schemas.Ref{Key: key})
	if err != nil || known.StartMS < since {
		return shared{}, false, unlessAbsent(err)
	}
	a.steps.put(key, known, int64(len(known.Output)))
	return known, true, nil
}

// textIn is what a model said.
func textIn(answer schemas.CellAnswer) string {
	var text string
	if json.Unmarshal(answer.Output, &text) != nil {
		return string(answer.Output)
	}
	return text
}

// note enters a grader's answer. What it cost counts for the cell that asked for it, and what this run paid is the run's too. An answer that serves
// twice counts once.
func (k *asker) note(r reply) {
	k.mu.Lock()
	twice := slices.Contains(k.runs, r.answer.RunID)
	if !twice {
		k.runs = append(k.runs, r.answer.RunID)
	}
	if !twice && (r.paid || r.own || !r.shared) {
		k.usage, k.cost = k.usage.Add(r.answer.Usage), k.cost.Add(r.answer.Cost)
	}
	k.mu.Unlock()
	if r.paid && !twice {
		k.w.paid(r.answer.Usage, r.answer.Cost)
	}
}
