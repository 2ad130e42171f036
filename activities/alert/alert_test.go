package alert_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/tenuto-dev/tenuto/activities/alert"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/githubforge/githubtest"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/memforge"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/bind"
)

// TestALifeOfAnIssue goes through nights of a suite.
func TestALifeOfAnIssue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for n, ruling := range []schemas.Ruling{schemas.RulingPassed, schemas.RulingUnresolved, schemas.RulingNotEnoughData} {
		r.alert(t, run(n, ruling), "none")
	}
	r.shows(t)
	out := r.alert(t, run(3, schemas.RulingFailed), "opened")
	if want := memforge.URL(repo, 1); out.Issue != want {
		t.Errorf("issue %s, want %s", out.Issue, want)
	}
	r.shows(t, "1 open")
	r.alert(t, run(4, schemas.RulingFailed), "updated")
	r.alert(t, run(5, schemas.RulingUnresolved), "updated")
	r.alert(t, run(6, schemas.RulingNotEnoughData), "updated")
	r.shows(t, "1 open 0004 0005 0006")
	if body := r.host.Kept(repo)[0].Body; !strings.Contains(body, "run=01950004") || !strings.Contains(body, "first=01950003") {
		t.Errorf("the issue does not say what the last judged run said:\n%s", body)
	}
	r.alert(t, run(7, schemas.RulingPassed), "closed")
	r.alert(t, run(7, schemas.RulingPassed), "closed")
	r.alert(t, run(8, schemas.RulingPassed), "none")
	r.alert(t, run(9, schemas.RulingUnresolved), "none")
	r.shows(t, "1 completed 0004 0005 0006 0007")
	r.alert(t, run(10, schemas.RulingFailed), "opened")
	r.shows(t, "1 open 0004 0005 0006 0007 0010")
	r.alert(t, run(10, schemas.RulingFailed), "opened")
	r.alert(t, run(11, schemas.RulingPassed), "closed")
	r.later(15 * 24 * time.Hour)
	r.alert(t, run(12, schemas.RulingFailed), "opened")
	r.shows(t, "2 open", "1 completed 0004 0005 0006 0007 0010 0011")
	if diff := cmp.Diff([]string{"eval", "regression"}, r.host.Kept(repo)[0].Labels); diff != "" {
		t.Error(diff)
	}
}

// TestOlderRunsChangeNothing has alerts arrive in another order than their runs began.
func TestOlderRunsChangeNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.alert(t, run(5, schemas.RulingFailed), "opened")
	r.alert(t, run(4, schemas.RulingPassed), "none")
	r.alert(t, run(3, schemas.RulingFailed), "none")
	r.shows(t, "1 open")
	r.alert(t, run(7, schemas.RulingPassed), "closed")
	r.alert(t, run(6, schemas.RulingFailed), "none")
	r.alert(t, run(5, schemas.RulingFailed), "opened") // as it did, long ago
	r.shows(t, "1 completed 0007")
}

// TestSuitesHaveIssuesOfTheirOwn has other suites, other tenants and other people in one repository.
func TestSuitesHaveIssuesOfTheirOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.alert(t, run(1, schemas.RulingFailed), "opened")
	copied := r.host.Kept(repo)[0]
	copied.Author, copied.Body = "mallory", strings.Replace(copied.Body, "start=1", "start=9", 1)
	copied.State, copied.Closed = forge.IssueDone, r.time()
	r.host.Seed(repo, copied, memforge.Issue{Title: "mine", Body: "x\n" + copied.Body, Author: memforge.Self})
	other, tenant := run(2, schemas.RulingFailed), run(3, schemas.RulingFailed)
	other.Run.Suite, tenant.Run.Tenant = "docs", "acme"
	r.alert(t, other, "opened")
	r.alert(t, tenant, "opened")
	r.alert(t, run(4, schemas.RulingPassed), "closed")
	r.alert(t, run(5, schemas.RulingFailed), "opened")
	r.shows(t, "5 open", "4 open", "3 open", "1 open 0004 0005")
	if title := r.host.Kept(repo)[0].Title; title != "Eval suite docs-qa fails (tenant acme)" {
		t.Errorf("title %q", title)
	}
}

// TestTheMarkerIsOnALatePage has the issue behind those of others, open and closed.
func TestTheMarkerIsOnALatePage(t *testing.T) {
	t.Parallel()
	for name, cursors := range map[string]int{"pages": 0, "cursors": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.api.Cursors = cursors
			r.alert(t, run(1, schemas.RulingFailed), "opened")
			for n := range 250 {
				r.host.Seed(repo, memforge.Issue{Title: "t", Body: "b", Author: "octocat", PullRequest: n%4 == 0})
			}
			r.alert(t, run(2, schemas.RulingFailed), "updated")
			r.alert(t, run(3, schemas.RulingPassed), "closed")
			for range 250 {
				r.host.Seed(repo, memforge.Issue{Title: "t", Body: "b", Author: "octocat", State: forge.IssueDropped, Closed: r.time()})
			}
			r.alert(t, run(4, schemas.RulingFailed), "opened")
			r.shows(t, "1 open 0002 0003 0004")
		})
	}
}

// TestEveryStepMayBeLost has each call of a sequence done and its answer lost, and likewise not done, in turn: what is there after a repeat is
// what is there without.
func TestEveryStepMayBeLost(t *testing.T) {
	t.Parallel()
	failed, passed := schemas.RulingFailed, schemas.RulingPassed
	for name, runs := range map[string][]schemas.Ruling{
		"opening": {failed}, "updating": {failed, failed}, "noting": {failed, schemas.RulingUnresolved}, "closing": {failed, passed},
		"opening again": {failed, passed, failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := func() (*rig, schemas.EvalAlert) {
				r := newRig(t)
				for n, ruling := range runs[:len(runs)-1] {
					if _, err := r.Alert(t.Context(), run(n, ruling)); err != nil {
						t.Fatal(err)
					}
				}
				return r, run(len(runs)-1, runs[len(runs)-1])
			}
			plain, in := before()
			start := len(plain.api.Calls())
			want, err := plain.Alert(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			steps := plain.api.Calls()[start:]
			for i, step := range steps {
				for _, lost := range []bool{true, false} {
					r, in := before()
					r.api.Fail(make([]githubtest.Failure, i)...)
					r.api.Fail(githubtest.Failure{Status: http.StatusBadGateway, Lost: lost})
					if _, err := r.Alert(t.Context(), in); err == nil || schemas.CodeOf(err) != schemas.Unavailable {
						t.Fatalf("step %d, %s: %v, want unavailable", i, step, err)
					}
					got, err := r.Alert(t.Context(), in)
					if diff := cmp.Diff(want, got); diff != "" || err != nil {
						t.Errorf("step %d, %s, lost %v: %v\n%s", i, step, lost, err, diff)
					}
					if diff := cmp.Diff(plain.state(), r.state()); diff != "" {
						t.Errorf("step %d, %s, lost %v:\n%s", i, step, lost, diff)
					}
				}
			}
			if len(steps) < 5 {
				t.Errorf("only %d steps: %v", len(steps), steps)
			}
		})
	}
}

// TestManyAtOnce has workers tell of several runs, each twice, at the same moment: over one store, where one of them opens the issue, and over
// stores of their own, where each does, as where claims are lost.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]func(*rig) *blob.Store{
		"one store": func(r *rig) *blob.Store { return r.Store }, "no claims": func(*rig) *blob.Store { return blob.New(&memblob.Driver{}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			var group sync.WaitGroup
			for n := range 6 {
				worker := &alert.Activities{Store: store(r), Forge: r.forge(t, "secret-token"), Sender: r.Sender, Now: r.time}
				group.Go(func() { insist(t, worker, run(n/2, schemas.RulingFailed)) })
			}
			group.Wait()
			r.alert(t, run(9, schemas.RulingFailed), "updated")
			checkOne(t, r)
			if kept := r.host.Kept(repo); name == "one store" && len(kept) > 2 { // the same run twice holds the same claim
				t.Errorf("%d issues were opened: %v", len(kept), r.state())
			}
		})
	}
}

// insist repeats an alert as Temporal does.
func insist(t *testing.T, a *alert.Activities, in schemas.EvalAlert) {
	t.Helper()
	for t.Context().Err() == nil {
		_, err := a.Alert(t.Context(), in)
		if err == nil {
			return
		}
		if coded, ok := errors.AsType[*schemas.Error](err); !ok || coded.Code != schemas.Unavailable || coded.RetryAfter == 0 {
			t.Error(err)
			return
		}
	}
}

// checkOne requires one open issue and one comment for each run.
func checkOne(t *testing.T, r *rig) {
	t.Helper()
	open := 0
	for _, issue := range r.host.Kept(repo) {
		if issue.State == forge.IssueOpen {
			open++
		}
		said := map[string]int{}
		for _, c := range issue.Comments {
			line, _, _ := strings.Cut(c.Body, "\n")
			if said[line]++; said[line] > 1 {
				t.Errorf("issue %d has %s twice", issue.Number, line)
			}
		}
	}
	if open != 1 {
		t.Errorf("%d issues are open: %v", open, r.state())
	}
}

// TestADeadClaim has a worker die between its claim and its issue.
func TestADeadClaim(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	claim := schemas.EvalIssueClaim{Run: "gone", AtMS: r.time().UnixMilli()}
	if _, err := blob.PutJSON(t.Context(), r.Store, schemas.EvalIssueClaimKey("default", "docs-qa"), claim); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Alert(t.Context(), run(1, schemas.RulingFailed)); err == nil || schemas.CodeOf(err) != schemas.Unavailable {
		t.Errorf("%v, want unavailable", err)
	}
	r.shows(t)
	r.later(6 * time.Minute)
	r.alert(t, run(1, schemas.RulingFailed), "opened")
	r.alert(t, run(2, schemas.RulingPassed), "closed")
	r.later(20 * 24 * time.Hour)
	r.alert(t, run(3, schemas.RulingFailed), "opened") // at once: the claim was given back
}

// TestALimitPasses goes through what Temporal is told: how long GitHub asks to wait, and then it goes on.
func TestALimitPasses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	bind.Activity(env, schemas.AlertEval, r.Alert)
	in := run(1, schemas.RulingFailed)
	r.api.Fail(githubtest.Failure{}, githubtest.Failure{}, githubtest.SecondaryLimit(http.StatusForbidden, 75*time.Second))
	_, err := env.ExecuteActivity(schemas.AlertEval.Name(), in)
	failure, ok := errors.AsType[*temporal.ApplicationError](err)
	if !ok || failure.Type() != string(schemas.RateLimited) || failure.NonRetryable() {
		t.Fatalf("%v, want a failure that is tried again", err)
	}
	if wait := failure.NextRetryDelay(); wait < 70*time.Second || wait > 76*time.Second {
		t.Errorf("it is tried again after %s", wait)
	}
	r.shows(t)
	calls := len(r.api.Calls())
	if _, err := env.ExecuteActivity(schemas.AlertEval.Name(), in); err == nil || len(r.api.Calls()) != calls {
		t.Errorf("sooner than that: %v, and GitHub was asked %d times", err, len(r.api.Calls())-calls)
	}
	r.Forge = r.forge(t, "secret-token") // a process for which the time has passed
	result, err := env.ExecuteActivity(schemas.AlertEval.Name(), in)
	var out schemas.EvalAlerted
	if err != nil || result.Get(&out) != nil || out.Action != "opened" {
		t.Fatalf("%+v, %v", out, err)
	}
	r.shows(t, "1 open")
}

func TestWhatCannotBeKept(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		set  func(*testing.T, *rig, *schemas.EvalAlert)
		code schemas.Code
		says string
	}{
		"no token":       {func(t *testing.T, r *rig, _ *schemas.EvalAlert) { t.Helper(); r.Forge = r.forge(t, "") }, schemas.Invalid, "set GITHUB_TOKEN"},
		"a wrong token":  {func(t *testing.T, r *rig, _ *schemas.EvalAlert) { t.Helper(); r.Forge = r.forge(t, "x") }, schemas.Unauthorized, "GITHUB_TOKEN"},
		"may only read":  {func(_ *testing.T, r *rig, _ *schemas.EvalAlert) { r.api.ReadOnly = true }, schemas.Unauthorized, "may not do this"},
		"issues are off": {func(_ *testing.T, r *rig, _ *schemas.EvalAlert) { r.host.DisableIssues(repo) }, schemas.Conflict, "enable issues"},
		"hidden":         {func(_ *testing.T, _ *rig, in *schemas.EvalAlert) { in.Notify.Repository = "octo/none" }, schemas.NotFound, "may not see it"},
		"no repository": {func(_ *testing.T, _ *rig, in *schemas.EvalAlert) {
			in.Notify.Repository = "https://github.com/octo/prompts"
		}, schemas.Invalid, "write OWNER/NAME"},
		"leads out": {func(_ *testing.T, _ *rig, in *schemas.EvalAlert) { in.Notify.Repository = "octo/.." }, schemas.Invalid, "write OWNER/NAME"},
		"a label":   {func(_ *testing.T, _ *rig, in *schemas.EvalAlert) { in.Notify.Labels = []string{"a,b"} }, schemas.Invalid, "is no label"},
		"a suite":   {func(_ *testing.T, _ *rig, in *schemas.EvalAlert) { in.Run.Suite = "@octocat" }, schemas.Invalid, "names no run"},
		"an id":     {func(_ *testing.T, _ *rig, in *schemas.EvalAlert) { in.Run.ID = "a --> @octocat" }, schemas.Invalid, "names no run"},
		"a ruling":  {func(_ *testing.T, _ *rig, in *schemas.EvalAlert) { in.Summary.Ruling = "fine" }, schemas.Invalid, "no ruling"},
		"broken":    {func(_ *testing.T, r *rig, _ *schemas.EvalAlert) { r.api.Fail(githubtest.Failure{Status: 500}) }, schemas.Unavailable, "try again"},
		"the hour is used": {
			func(_ *testing.T, r *rig, _ *schemas.EvalAlert) {
				r.api.Fail(githubtest.PrimaryLimit(http.StatusForbidden, time.Now().Add(time.Minute)))
			}, schemas.RateLimited, "used up",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			in := run(1, schemas.RulingFailed)
			test.set(t, r, &in)
			if _, err := r.Alert(t.Context(), in); err == nil || schemas.CodeOf(err) != test.code || !strings.Contains(schemas.SafeMessage(err), test.says) {
				t.Errorf("%v, want %s with %q", err, test.code, test.says)
			}
			r.shows(t)
			if written := r.api.Written(); len(written) != 0 {
				t.Errorf("written: %v", written)
			}
		})
	}
}
