package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/records"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type runView struct {
	frame
	ID, Chain, Status string
	Started, Machine  string
	Facts             []fact
	Problem           *problem
	Filled            string // when its record was filled in; empty for a record of its own
	Input, Output     *text
	Axis              []string
	Rows              []waterfallRow
	Within            string // the part of the run that is shown; empty for all
	Whole             string // address of the whole, where a part is shown
	Cut               bool
	Steps             []stepView
	Feedback          []feedbackView
	Replaced          int
	Doing             []doing
	Question          *schemas.Question
	Waiting           []string
	Reload            string
}

// fact is a line of what is known of a run.
type fact struct {
	Name, Value string
	Unknown     bool // it is not known, or not all of it
	Link        string
}

type problem struct {
	Code    schemas.Code
	Message string
	Advice  string
}

type feedbackView struct {
	Name, Value, By, Comment, At, Happened string
}

// doing is a step of a run that goes on.
type doing struct{ Name, Kind, State string }

// showRun shows a run: the waterfall of its record, or how far it is.
func (c *Console) showRun(w http.ResponseWriter, r *http.Request, v visit) {
	run, err := c.run(r, v)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	view := runView{
		frame: frameOf("Run "+run.RunID, v), ID: run.RunID, Chain: run.Chain, Status: string(run.Status), Reload: r.URL.RequestURI(),
	}
	if run.StartMS > 0 {
		at := time.UnixMilli(run.StartMS)
		view.Started, view.Machine = when(at), at.UTC().Format(time.RFC3339)
	}
	if run.Failure != nil {
		view.Problem = &problem{run.Failure.Code, run.Failure.Message, run.Failure.Advice}
	}
	if run.Record == nil {
		view.underway(run)
		c.render(w, http.StatusOK, "run.html", view)
		return
	}
	if err := c.record(r.Context(), &view, run, r.URL.Query(), v.key.Tenant); err != nil {
		c.fail(w, r, err)
		return
	}
	c.render(w, http.StatusOK, "run.html", view)
}

// run finds the run that the address names.
func (c *Console) run(r *http.Request, v visit) (rest.Run, error) {
	start, _ := strconv.ParseInt(r.URL.Query().Get("start"), 10, 64) // without it the run may be found all the same
	ctx, cancel := context.WithTimeout(r.Context(), searchTime)
	defer cancel()
	return c.Runs.Show(ctx, v.key.Tenant, r.PathValue("run"), start)
}

// underway says how far a run without a record is.
func (v *runView) underway(run rest.Run) {
	if run.Progress != nil {
		for _, s := range run.Progress.Steps {
			state := "done"
			switch {
			case s.Skipped:
				state = "skipped"
			case s.Failure != nil:
				state = "failed"
			}
			v.Doing = append(v.Doing, doing{s.Path + s.ID, string(s.Kind), state})
		}
		if q := run.Progress.Question; q.Text != "" {
			v.Question = &q
		}
	}
	for _, reason := range run.Waiting {
		line := reason.Step + ": " + reason.Reason
		if reason.Attempt > 1 {
			line += fmt.Sprintf(" (attempt %d)", reason.Attempt)
		}
		v.Waiting = append(v.Waiting, line)
	}
}

// record shows what the record holds.
func (c *Console) record(ctx context.Context, view *runView, run rest.Run, q url.Values, tenant string) error {
	e := *run.Record
	page := newTexts(run.RunID, e.StartMS)
	view.Facts = factsOf(e)
	if run.Callback != nil {
		view.Facts = append(view.Facts, fact{Name: "Callback", Value: deliveryOf(*run.Callback)})
	}
	if e.FilledMS > 0 {
		view.Filled = when(time.UnixMilli(e.FilledMS))
	}
	view.Input = page.text("input", "Input", string(e.Input))
	output := string(e.Output)
	if len(run.Output) > 0 {
		output = string(run.Output)
	}
	if output != "" {
		view.Output = page.text("output", "Output", output)
	}
	view.draw(e, q, page)
	history, err := c.Runs.Feedback(ctx, tenant, run.RunID, time.UnixMilli(e.StartMS))
	current := rest.Current(history)
	view.Replaced = len(history) - len(current)
	for _, f := range current {
		said := feedbackView{Name: f.Name, Value: valueOf(f), By: f.Author(), Comment: f.Comment, At: when(f.At)}
		if f.HappenedAt != nil {
			said.Happened = when(*f.HappenedAt)
		}
		view.Feedback = append(view.Feedback, said)
	}
	return err
}

// draw makes the waterfall, of the part of the run that is asked for.
func (v *runView) draw(e schemas.Exchange, q url.Values, page *texts) {
	root := records.Tree(e.Steps)
	w := &waterfall{
		begin: float64(e.StartMS), length: max(float64(e.TookMS), root.To-float64(e.StartMS)), kept: e.Retries > 0,
		link: func(path string, from int) string {
			return runURL(e.RunID, e.StartMS) + "&" + url.Values{"within": {path}, "from": {strconv.Itoa(from)}}.Encode() + "#steps"
		},
	}
	part, items, from := root, itemsShown, 0
	if within := q.Get("within"); within != "" {
		if found := root.At(within); found != nil {
			part, items = found, itemsMore
			from, _ = strconv.Atoi(q.Get("from"))
			v.Within, v.Whole = within, runURL(e.RunID, e.StartMS)
			if found.From > 0 {
				w.begin, w.length = found.From, found.To-found.From
			}
		}
	}
	w.below(part, 0, max(from, 0), items)
	v.Rows, v.Cut = w.rows, w.cut
	for i := range 5 {
		v.Axis = append(v.Axis, took(w.length*float64(i)/4))
	}
	for _, n := range w.seen {
		v.Steps = append(v.Steps, page.step(n))
	}
}

// factsOf is the head of a run's page.
func factsOf(e schemas.Exchange) []fact {
	how := "a workflow of its own"
	switch {
	case e.Lane:
		how = "a lane"
	case strings.HasPrefix(e.Chain, schemas.ModelChain("")):
		how = "the gateway, which passed it through"
	}
	facts := []fact{
		{Name: "Took", Value: took(float64(e.TookMS))},
		{Name: "Cost", Value: costOf(e.Cost, e.Usage), Unknown: e.Cost.Unknown > 0},
		{Name: "Tokens", Value: tokens(e.Usage)},
		{Name: "Model calls", Value: grouped(e.Usage.Calls)},
		{Name: "Carried out in", Value: how},
	}
	if e.Cost.Unknown > 0 {
		facts[1].Value += " (" + counted(e.Cost.Unknown, "call") + " without a price)"
	}
	if e.Release != "" {
		facts = append(facts, fact{Name: "Release", Value: short(e.Release), Link: "/console/runs?" + url.Values{"release": {e.Release}}.Encode()})
	}
	if e.Label != "" {
		facts = append(facts, fact{Name: "Label", Value: e.Label, Link: "/console/runs?" + url.Values{"label": {e.Label}, "chain": {e.Chain}}.Encode()})
	}
	if e.Retries > 0 {
		facts = append(facts, fact{Name: "Continued", Value: strings.ToLower(counted(e.Retries, "time")) + "; steps without a time were done before"})
	}
	return facts
}
