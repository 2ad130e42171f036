package gateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// detach starts a run that nobody waits for.
func (c caller) detach(text, key string) {
	c.t.Helper()
	body := says(text)
	body.Mode, body.Metadata = "detach", map[string]string{"user": key}
	c.send("POST", byProduction, body, "Idempotency-Key", key).want(c.t, 202, nil)
}

// recall recalls a release and waits until its runs are dealt with.
func (c caller) recall(body rest.NewRecall) rest.Recall {
	c.t.Helper()
	var begun rest.Recall
	c.send("POST", "/api/v1/recalls", body).want(c.t, 202, &begun)
	if begun.Recalled.Action != body.Action || begun.Chain != "two" {
		c.t.Errorf("begun %+v", begun)
	}
	found := begun
	until(c.t, func() bool {
		found = rest.Recall{}
		c.send("GET", "/api/v1/recalls/"+begun.Release, nil).want(c.t, 200, &found)
		return found.Status != rest.Running
	})
	return found
}

func TestRecall(t *testing.T) {
	t.Parallel()
	for name, action := range map[string]schemas.RecallAction{"stop": schemas.RecallStop, "finish": schemas.RecallFinish, "rerun": schemas.RecallRerun} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, operator, c, first := served(t, nil)
			s.Work.Gate = make(chan struct{})
			c.detach("hello", "r1")
			c.detach("hello", "r2")
			second := operator.release("Tell")
			if action == schemas.RecallFinish {
				time.AfterFunc(50*time.Millisecond, func() { close(s.Work.Gate) })
			}
			body := rest.NewRecall{Release: first.Hash[:10], Action: action, Why: "it lies"}
			if action == schemas.RecallRerun {
				body.On = second.Hash
			}
			found := operator.recall(body)
			want := map[schemas.RecallAction]schemas.RecallReport{
				schemas.RecallStop: {Affected: 2, Callers: 1, Cancelled: 2}, schemas.RecallFinish: {Affected: 2, Callers: 1, Done: 2},
				schemas.RecallRerun: {Affected: 2, Callers: 1, Rerun: 2},
			}[action]
			if found.Status != rest.Completed || found.Report == nil || *found.Report != want || len(found.Runs) != 2 || found.Recalled.Why != "it lies" || found.Recalled.By.Name != "bootstrap" {
				t.Errorf("found %+v, report %+v", found, found.Report)
			}
			if run := found.Runs[0]; run.RunID != "r1" || run.Label != "production" || run.Metadata["user"] != "r1" || run.Key == "" {
				t.Errorf("run %+v", run)
			}
			c.send("POST", byProduction, says("x")).wantProblem(t, 422, schemas.Refused, "was recalled: it lies")
			c.send("POST", "/api/v1/chains/two/runs", rest.NewChainRun{Release: first.Hash, Input: says("x").Input}).wantProblem(t, 422, schemas.Refused, "was recalled")
			operator.send("POST", "/api/v1/chains/two/labels/canary/moves", rest.MoveLabel{Release: first.Hash}).wantProblem(t, 422, schemas.Refused, "was recalled")
			var page rest.Page[rest.Release]
			c.send("GET", "/api/v1/releases?chain=two", nil).want(t, 200, &page)
			for _, r := range page.Items {
				if (r.Recalled != nil) != (r.Hash == first.Hash) {
					t.Errorf("listed %+v", r)
				}
			}
			var label rest.Label
			c.send("GET", "/api/v1/chains/two/labels/production", nil).want(t, 200, &label)
			if !label.Recalled || label.Release != first.Hash {
				t.Errorf("label %+v", label)
			}
			operator.point("production", second.Hash)
			if action != schemas.RecallFinish {
				close(s.Work.Gate)
			}
			if done := c.run(byProduction, says("x")); done.Release != second.Hash {
				t.Errorf("after the label moved: %+v", done)
			}
			if action == schemas.RecallRerun {
				var shown rest.Run
				until(t, func() bool {
					return c.send("GET", "/api/v1/runs/"+found.Runs[0].RerunAs, nil).want(t, 200, &shown).status == 200 && shown.Record != nil
				})
				if shown.Record.RerunOf != "r1" || shown.Record.Release != second.Hash {
					t.Errorf("anew: %+v", shown.Record)
				}
			}
			again := operator.recall(body) // nothing is left to do
			if again.Report == nil || again.Report.Rerun+again.Report.Cancelled != 0 {
				t.Errorf("again: %+v", again)
			}
		})
	}
}

func TestWhatIsWrongWithARecall(t *testing.T) {
	t.Parallel()
	_, operator, c, first := served(t, nil)
	other := operator.release("Tell")
	bundle := two()
	bundle.Chain, bundle.Chains = "other", map[string]schemas.ChainDef{"other": bundle.Chains["two"]}
	var elsewhere rest.Release
	operator.send("POST", "/api/v1/releases", rest.NewRelease{Bundle: bundle}).want(t, 201, &elsewhere)
	for _, test := range []struct {
		body   any
		status int
		code   schemas.Code
		detail string
	}{
		{rest.NewRecall{Release: first.Hash}, 400, schemas.Invalid, "action"},
		{rest.NewRecall{Release: first.Hash, Action: "burn"}, 400, schemas.Invalid, "action"},
		{rest.NewRecall{Release: strings.Repeat("0", 64), Action: schemas.RecallStop}, 404, schemas.NotFound, "no release"},
		{rest.NewRecall{Release: "two@nothing", Action: schemas.RecallStop}, 404, schemas.NotFound, "no label"},
		{rest.NewRecall{Release: first.Hash, Action: schemas.RecallRerun}, 400, schemas.Invalid, "names the release"},
		{rest.NewRecall{Release: first.Hash, Action: schemas.RecallStop, On: other.Hash}, 400, schemas.Invalid, "no other action does"},
		{rest.NewRecall{Release: first.Hash, Action: schemas.RecallRerun, On: first.Hash}, 400, schemas.Invalid, "name another"},
		{rest.NewRecall{Release: first.Hash, Action: schemas.RecallRerun, On: elsewhere.Hash}, 400, schemas.Invalid, "of chain other"},
		{rest.NewRecall{Release: first.Hash, Action: schemas.RecallRerun, On: "ffffffff"}, 404, schemas.NotFound, "no release"},
		{map[string]any{"release": first.Hash, "action": "stop", "force": true}, 400, schemas.Invalid, "force"},
	} {
		operator.send("POST", "/api/v1/recalls", test.body).wantProblem(t, test.status, test.code, test.detail)
	}
	c.send("POST", "/api/v1/recalls", rest.NewRecall{Release: first.Hash, Action: schemas.RecallStop}).wantProblem(t, 403, schemas.Unauthorized, "role")
	operator.send("GET", "/api/v1/recalls/"+first.Hash, nil).wantProblem(t, 404, schemas.NotFound, "was not recalled")
	if done := c.run(byProduction, says("x")); done.Release != first.Hash {
		t.Errorf("a wrong recall recalled: %+v", done)
	}
	operator.recall(rest.NewRecall{Release: other.Hash, Action: schemas.RecallFinish})
	operator.send("POST", "/api/v1/recalls", rest.NewRecall{Release: first.Hash, Action: schemas.RecallRerun, On: other.Hash}).
		wantProblem(t, 422, schemas.Refused, "was recalled")
}
