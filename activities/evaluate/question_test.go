package evaluate_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// panel answers the questions of graders, and counts what was asked.
type panel struct {
	mu     sync.Mutex
	asked  map[string]int    // steps, scores, rubrics by their text, and answers
	rubric map[string]string // answers about a rubric, by a word of it
}

func (p *panel) says(in model.Request) string {
	var all strings.Builder
	for _, m := range in.Messages {
		all.WriteString(m.Text)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	kind, answer := "answer", "what was said"
	switch text := all.String(); {
	case strings.Contains(text, "Task: write the steps"):
		kind, answer = "steps", `{"steps": ["look", "judge"]}`
	case strings.Contains(text, "Follow the list in"):
		kind, answer = "score", `{"reason": "fine", "score": 9}`
	case strings.Contains(text, "Task: say how well"):
		for word, said := range p.rubric {
			if strings.Contains(text, word) {
				kind, answer = word, said
			}
		}
	}
	p.asked[kind]++
	return answer
}

// since is what was asked since it was asked last.
func (p *panel) since() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := p.asked
	p.asked = map[string]int{}
	return asked
}

func withPanel(t *testing.T) (*rig, *panel) {
	t.Helper()
	r, p := newRig(t), &panel{asked: map[string]int{}, rubric: map[string]string{}}
	r.says = p.says
	return r, p
}

func (p *panel) want(t *testing.T, when string, want map[string]int) {
	t.Helper()
	if diff := cmp.Diff(want, p.since()); diff != "" {
		t.Errorf("%s: %s", when, diff)
	}
}

// byCriterion is a suite of 40 cases that g-eval judges by one criterion.
func byCriterion(prompt, criterion string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "prompts: ['%s {{word}}']\nproviders: ['model:a']\ndefaultTest: {assert: [{type: g-eval, value: %s, provider: 'model:a'}]}\ntests:\n", prompt, criterion)
	for n := range 40 {
		fmt.Fprintf(&text, "  - {vars: {word: w%d}}\n", n)
	}
	return text.String()
}

// TestStepsAreAskedForOnce though many cells are judged by them side by side, in a further process, on another day and after a crash.
func TestStepsAreAskedForOnce(t *testing.T) {
	t.Parallel()
	r, p := withPanel(t)
	s, _ := r.run(t, r.pack(t, byCriterion("Say", "is kind")))
	p.want(t, "first", map[string]int{"answer": 40, "steps": 1, "score": 40})
	if s.Counts.Passed != 40 {
		t.Errorf("%+v", s)
	}
	r.forget()
	r.runs += 24 * 60
	r.run(t, r.pack(t, byCriterion("Tell", "is kind")))
	p.want(t, "another prompt, the next day", map[string]int{"answer": 40, "score": 40})
	r.run(t, r.pack(t, byCriterion("Tell", "is short")))
	p.want(t, "another criterion", map[string]int{"steps": 1, "score": 40})

	in := r.request(r.pack(t, byCriterion("Ask", "is true")))
	plan, run := r.plan(t, in)
	usage := schemas.Usage{}
	for _, out := range r.columns(t, plan, run, 1) {
		usage = usage.Add(out.Usage)
	}
	if usage.Calls != 81 {
		t.Errorf("%d calls were counted", usage.Calls)
	}
	p.want(t, "before a crash", map[string]int{"answer": 40, "steps": 1, "score": 40})
	for info, err := range r.Store.All(t.Context(), schemas.EvalPackPrefix("default", "s", plan.Columns[0].ID)+"packs/"+run.ID) {
		if err == nil {
			err = r.Store.Delete(t.Context(), info.Key)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	r.forget()
	usage = schemas.Usage{}
	r.attempt = 2
	work, err := r.Open(t.Context(), schemas.ColumnRequest{Run: run})
	if err != nil || work.Batches != 2 || work.Fresh {
		t.Fatalf("%+v, %v", work, err)
	}
	for b := range work.Batches {
		out, err := r.Cells(t.Context(), schemas.CellsRequest{Run: run, Batch: b, Prefix: work.Prefix, Earlier: work.Earlier, Last: true})
		if err != nil {
			t.Fatal(err)
		}
		usage = usage.Add(out.Usage)
	}
	p.want(t, "after it", map[string]int{})
	if usage.Calls != 81 {
		t.Errorf("%d calls were counted after it", usage.Calls)
	}
}

const twoRubrics = `prompts: ['Say this']
providers: ['model:a']
tests: [{assert: [{type: llm-rubric, value: is polite, provider: 'model:a'}, {type: llm-rubric, value: is short, provider: 'model:a'}]}]
`

// TestAVerdictThatCannotBeRead is none: its cell is errored, and the next run asks that grader anew, and nobody else.
func TestAVerdictThatCannotBeRead(t *testing.T) {
	t.Parallel()
	const fine = `{"reason": "yes", "score": 1, "pass": true}`
	for name, said := range map[string]string{"prose": "I think it is short.", "cut": `{"reason": "ye`, "half": `{"reason": "yes", "score": 1}`} {
		for when, later := range map[string]func(*rig){
			"right away": func(*rig) {}, "in another process": (*rig).forget, "the next day": func(r *rig) { r.runs += 24 * 60 },
		} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				r, p := withPanel(t)
				ref := r.pack(t, twoRubrics)
				p.rubric = map[string]string{"polite": fine, "is short": said}
				s, _ := r.run(t, ref)
				p.want(t, "first", map[string]int{"answer": 1, "polite": 1, "is short": 2})
				if s.Counts.Errored != 1 || s.Ruling == schemas.RulingPassed {
					t.Fatalf("%+v", s)
				}
				later(r)
				s, _ = r.run(t, ref)
				p.want(t, "still so", map[string]int{"is short": 2})
				if s.Counts.Errored != 1 {
					t.Fatalf("%+v", s)
				}
				later(r)
				p.rubric["is short"] = fine
				in := r.request(ref)
				plan, run := r.plan(t, in)
				outs := r.columns(t, plan, run, 1)
				p.want(t, "mended", map[string]int{"is short": 1})
				if outs[0].Passed != 1 || outs[0].Usage.Calls != 1 || outs[0].Cost.USD <= 0 {
					t.Errorf("%+v", outs)
				}
			})
		}
	}
}
