package gateway_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const gatedLabel = "/api/v1/chains/two/labels/production"

// packSuite puts a package of a suite into the store, and returns its hash.
func packSuite(t *testing.T, s *gatewaytest.Server, suite string) string {
	t.Helper()
	data, _ := json.Marshal(schemas.SuitePackage{Suite: suite, File: suite + ".yaml", Files: map[string][]byte{}})
	hash := schemas.Hash(data)
	if err := s.Store.Put(t.Context(), schemas.SuitePackageKey("default", suite, hash), data); err != nil {
		t.Fatal(err)
	}
	return hash
}

// gated makes two releases and a label of the first, which requires a suite.
func gated(t *testing.T, now func() time.Time) (s *gatewaytest.Server, c caller, first, second rest.Release, hash string) {
	t.Helper()
	s = gatewaytest.Start(t, func(d *gateway.Deps) { d.Now = now })
	c = admin(t, s)
	first, second, hash = c.release("Say"), c.release("Tell"), packSuite(t, s, "smoke")
	c.point("production", first.Hash)
	c.require(schemas.SuiteRequirement{Suite: "smoke", Package: hash})
	return s, c, first, second, hash
}

func (c caller) require(requires ...schemas.SuiteRequirement) {
	c.t.Helper()
	c.send("PUT", gatedLabel+"/requirements", rest.RequireSuites{Requires: requires, Why: "safe"}).want(c.t, 200, nil)
}

// settled asks for a move until the runs of its suites have ended, as the command does.
func (c caller) settled(move rest.MoveLabel) reply {
	c.t.Helper()
	for range 2000 {
		answer := c.send("POST", gatedLabel+"/moves", move)
		if answer.status != 202 {
			return answer
		}
		var label rest.Label
		answer.want(c.t, 202, &label)
		move.Waited = nil
		for _, e := range label.Waiting {
			move.Waited = append(move.Waited, e.ID)
		}
		time.Sleep(time.Millisecond)
	}
	c.t.Fatal("the suites do not end")
	return reply{}
}

func TestAGatedMove(t *testing.T) {
	t.Parallel()
	s, c, first, second, hash := gated(t, nil)
	open := make(chan struct{})
	var asked atomic.Pointer[schemas.EvalRequest]
	s.Work.Judge(func(_ context.Context, in schemas.EvalRequest, summary schemas.EvalSummary) (schemas.EvalSummary, error) {
		asked.Store(&in)
		<-open
		return summary, nil
	})
	var label, again rest.Label
	c.send("POST", gatedLabel+"/moves", rest.MoveLabel{Release: second.Hash}).want(t, 202, &label)
	c.send("POST", gatedLabel+"/moves", rest.MoveLabel{Release: second.Hash}).want(t, 202, &again)
	if label.Release != first.Hash || len(label.Waiting) != 1 || len(again.Waiting) != 1 || label.Waiting[0].ID != again.Waiting[0].ID || label.Waiting[0].Suite != "smoke" {
		t.Fatalf("waits: %+v, then %+v", label, again)
	}
	close(open)
	var moved rest.Label
	c.settled(rest.MoveLabel{Release: second.Hash, Why: "better"}).want(t, 200, &moved)
	if moved.Release != second.Hash || moved.Gate == nil || len(moved.Gate.Evals) != 1 || moved.Gate.Evals[0].ID != label.Waiting[0].ID || moved.Gate.Evals[0].Ruling != schemas.RulingPassed {
		t.Errorf("moved %+v", moved)
	}
	if s.Temporal.Started(schemas.Evaluate.Name()) != 1 {
		t.Errorf("%d runs of the suite", s.Temporal.Started(schemas.Evaluate.Name()))
	}
	in := asked.Load()
	if in.Trigger != schemas.EvalGate || in.Releases["two"] != second.Hash || in.Baseline != first.Hash || in.Package.SHA256 != hash || in.Package.Bytes == 0 || in.By.Name != "bootstrap" || in.Payer == "" || in.Payer != in.By.Key {
		t.Errorf("started with %+v", in)
	}

	// The way back is open, and the same again is another move: its baseline is another.
	moved = rest.Label{}
	c.send("POST", gatedLabel+"/moves", rest.MoveLabel{Undo: true}).want(t, 200, &moved)
	if moved.Release != first.Hash || moved.Gate != nil || len(moved.Requires) != 1 {
		t.Errorf("back to %+v", moved)
	}
	var history rest.Page[rest.LabelEntry]
	c.send("GET", gatedLabel+"/history", nil).want(t, 200, &history)
	if e := history.Items[1]; e.Gate == nil || e.Gate.Evals[0].ID != label.Waiting[0].ID || e.Why != "better" {
		t.Errorf("history %+v", e)
	}
	if e := history.Items[2]; e.Kind != schemas.LabelRequire || len(e.Requires) != 1 || e.Requires[0].Baseline != schemas.BaselineCurrent || e.Why != "safe" {
		t.Errorf("history %+v", e)
	}
}

func TestASuiteRefusesAMove(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		judge gatewaytest.Judge
		words string
		anew  bool // another run follows when the move is asked for once more
	}{
		{"failed", func(_ context.Context, _ schemas.EvalRequest, s schemas.EvalSummary) (schemas.EvalSummary, error) {
			s.Ruling, s.Reasons = schemas.RulingFailed, []string{"case greets fails"}
			return s, nil
		}, "suite smoke is failed (case greets fails), see /console/evals/smoke/", false},
		{"not enough data", func(_ context.Context, _ schemas.EvalRequest, s schemas.EvalSummary) (schemas.EvalSummary, error) {
			s.Ruling = schemas.RulingNotEnoughData
			return s, nil
		}, "suite smoke is not enough data, see", false},
		{"unresolved", func(_ context.Context, _ schemas.EvalRequest, s schemas.EvalSummary) (schemas.EvalSummary, error) {
			s.Ruling = schemas.RulingUnresolved
			return s, nil
		}, "suite smoke is unresolved", true},
		{"ended early", func(_ context.Context, _ schemas.EvalRequest, s schemas.EvalSummary) (schemas.EvalSummary, error) {
			s.Stopped = true
			return s, nil
		}, "it was ended early", true},
		{"another release", func(_ context.Context, _ schemas.EvalRequest, s schemas.EvalSummary) (schemas.EvalSummary, error) {
			s.Releases = nil
			return s, nil
		}, "has to name chain:two among its providers", false},
		{"another package", func(_ context.Context, _ schemas.EvalRequest, s schemas.EvalSummary) (schemas.EvalSummary, error) {
			s.Package = "x"
			return s, nil
		}, "judged another package", false},
		{"broken", func(context.Context, schemas.EvalRequest, schemas.EvalSummary) (schemas.EvalSummary, error) {
			return schemas.EvalSummary{}, temporal.NewNonRetryableApplicationError("the package is damaged", string(schemas.Internal), nil)
		}, "the run broke", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, c, first, second, _ := gated(t, nil)
			s.Work.Judge(test.judge)
			answer := c.settled(rest.MoveLabel{Release: second.Hash})
			answer.wantProblem(t, 422, schemas.Refused, test.words)
			if len(answer.problem.Evals) != 1 || answer.problem.Evals[0].Suite != "smoke" {
				t.Errorf("evals %+v", answer.problem.Evals)
			}
			var label rest.Label
			c.send("GET", gatedLabel, nil).want(t, 200, &label)
			if label.Release != first.Hash {
				t.Errorf("moved to %s", label.Release)
			}
			s.Work.Judge(nil) // what kept it from passing is mended
			answer = c.settled(rest.MoveLabel{Release: second.Hash})
			if runs := s.Temporal.Started(schemas.Evaluate.Name()); test.anew != (answer.status == 200) || test.anew != (runs == 2) {
				t.Errorf("once more: status %d after %d runs: %s", answer.status, runs, answer.body)
			}
		})
	}
}

func TestAnOverriddenGate(t *testing.T) {
	t.Parallel()
	s, c, _, second, _ := gated(t, nil)
	s.Work.Judge(func(_ context.Context, _ schemas.EvalRequest, s schemas.EvalSummary) (schemas.EvalSummary, error) {
		s.Ruling = schemas.RulingFailed
		return s, nil
	})
	for _, bad := range []rest.MoveLabel{{Release: second.Hash, Override: true}, {Release: second.Hash, Reason: "x"}} {
		c.send("POST", gatedLabel+"/moves", bad).wantProblem(t, 400, schemas.Invalid, "takes a reason")
	}
	override := rest.MoveLabel{Release: second.Hash, Override: true, Reason: "the suite is wrong"}
	c.key("app", schemas.RoleService).send("POST", gatedLabel+"/moves", override).wantProblem(t, 403, schemas.Unauthorized, "role")
	var label rest.Label
	c.send("PUT", gatedLabel+"/protection", rest.ProtectLabel{Protected: true}).want(t, 200, nil)
	c.key("ann", schemas.RoleOperator).send("POST", gatedLabel+"/moves", override).want(t, 200, &label)
	if label.Release == second.Hash || label.Proposal == nil || label.Proposal.Gate == nil || !label.Proposal.Gate.Override {
		t.Fatalf("proposed %+v", label)
	}
	c.key("bob", schemas.RoleOperator).send("POST", gatedLabel+"/approve", rest.DecideLabel{Proposal: label.Proposal.Number}).want(t, 200, &label)
	if label.Release != second.Hash || label.Gate == nil || label.Gate.Reason != "the suite is wrong" || s.Temporal.Started(schemas.Evaluate.Name()) != 0 {
		t.Errorf("approved %+v", label)
	}
}

// TestALabelMovesWhileItsSuitesRun has somebody else override the gate meanwhile.
func TestALabelMovesWhileItsSuitesRun(t *testing.T) {
	t.Parallel()
	s, c, first, second, _ := gated(t, nil)
	third := c.release("Sing")
	open := make(chan struct{})
	s.Work.Judge(func(_ context.Context, _ schemas.EvalRequest, summary schemas.EvalSummary) (schemas.EvalSummary, error) {
		<-open
		return summary, nil
	})
	move := rest.MoveLabel{Release: second.Hash, Expect: first.Hash}
	c.send("POST", gatedLabel+"/moves", move).want(t, 202, nil)
	c.send("POST", gatedLabel+"/moves", rest.MoveLabel{Release: third.Hash, Override: true, Reason: "now"}).want(t, 200, nil)
	close(open)
	c.settled(move).wantProblem(t, 409, schemas.Conflict, "points to "+schemas.ShortRelease(third.Hash))
}

// TestAVerdictThatIsTooOld is of a move that nobody came back for.
func TestAVerdictThatIsTooOld(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	s, c, _, second, hash := gated(t, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	c.require(schemas.SuiteRequirement{Suite: "smoke", Package: hash, Baseline: schemas.BaselineNone, MaxAgeS: 3600})
	done := make(chan string, 2)
	s.Work.Judge(func(_ context.Context, in schemas.EvalRequest, summary schemas.EvalSummary) (schemas.EvalSummary, error) {
		summary.EndMS += time.Duration(ahead.Load()).Milliseconds()
		done <- in.Baseline
		return summary, nil
	})
	c.send("POST", gatedLabel+"/moves", rest.MoveLabel{Release: second.Hash}).want(t, 202, nil)
	if baseline := <-done; baseline != "" {
		t.Errorf("compared with %s", baseline)
	}
	ahead.Store(int64(2 * time.Hour))
	c.settled(rest.MoveLabel{Release: second.Hash}).want(t, 200, nil)
	if runs := s.Temporal.Started(schemas.Evaluate.Name()); runs != 2 {
		t.Errorf("%d runs", runs)
	}
}

func TestWhatCannotBeRequired(t *testing.T) {
	t.Parallel()
	s, c, _, _, hash := gated(t, nil)
	put := func(c caller, requires ...schemas.SuiteRequirement) reply {
		return c.send("PUT", gatedLabel+"/requirements", rest.RequireSuites{Requires: requires})
	}
	put(c, schemas.SuiteRequirement{Suite: "other", Package: hash}).wantProblem(t, 404, schemas.NotFound, "suite other has no package")
	put(c, schemas.SuiteRequirement{Suite: "smoke", Package: "x"}).wantProblem(t, 400, schemas.Invalid, "64 hex digits")
	put(c.key("app", schemas.RoleService), schemas.SuiteRequirement{Suite: "smoke", Package: hash}).wantProblem(t, 403, schemas.Unauthorized, "role")
	second := c.release("Tell")
	if err := s.Store.Delete(t.Context(), schemas.SuitePackageKey("default", "smoke", hash)); err != nil {
		t.Fatal(err)
	}
	c.send("POST", gatedLabel+"/moves", rest.MoveLabel{Release: second.Hash}).wantProblem(t, 404, schemas.NotFound, "has no package")
	c.require()
	var label rest.Label
	c.send("POST", gatedLabel+"/moves", rest.MoveLabel{Release: second.Hash}).want(t, 200, &label)
	if len(label.Requires) != 0 {
		t.Errorf("still requires %+v", label.Requires)
	}
}
