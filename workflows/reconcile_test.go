package workflows_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/bind"
	"github.com/tenuto-dev/tenuto/worker/telemetry"
	"github.com/tenuto-dev/tenuto/workflows"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// comparing is an environment in which so many pages are compared, each of them asked for once.
func comparing(t *testing.T, pages int, page func(n int) (schemas.ReconcilePageOutcome, error)) (*testsuite.TestWorkflowEnvironment, *[]schemas.ReconcilePageRequest) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(telemetry.Temporal(zap.NewNop()))
	env := suite.NewTestWorkflowEnvironment()
	env.SetStartTime(noon)
	workflows.Register(env)
	asked := &[]schemas.ReconcilePageRequest{}
	bind.Activity(env, schemas.ReconcilePage, func(_ context.Context, in schemas.ReconcilePageRequest) (schemas.ReconcilePageOutcome, error) {
		*asked = append(*asked, in)
		out, err := page(len(*asked))
		if len(*asked) < pages {
			out.Token = []byte{byte(len(*asked))}
		}
		return out, err
	})
	return env, asked
}

func agreeing(int) (schemas.ReconcilePageOutcome, error) {
	return schemas.ReconcilePageOutcome{Report: schemas.ReconcileReport{Checked: 100, Agree: 100}}, nil
}

func TestReconcileSumsUp(t *testing.T) {
	t.Parallel()
	env, asked := comparing(t, 3, func(n int) (schemas.ReconcilePageOutcome, error) {
		out, err := agreeing(n)
		if n == 2 {
			out.Report = schemas.ReconcileReport{Checked: 2, Filled: 1, Differ: 1, Findings: []schemas.ReconcileFinding{{RunID: "a"}, {RunID: "b"}}}
		}
		return out, err
	})
	env.ExecuteWorkflow(schemas.Reconcile.Name(), schemas.ReconcileRequest{Tenant: "default", FromMS: 1000, ToMS: 2000})
	var report schemas.ReconcileReport
	if err := env.GetWorkflowResult(&report); err != nil {
		t.Fatal(err)
	}
	want := schemas.ReconcileReport{
		FromMS: 1000, ToMS: 2000, Checked: 202, Agree: 200, Filled: 1, Differ: 1, Findings: []schemas.ReconcileFinding{{RunID: "a"}, {RunID: "b"}},
	}
	if diff := cmp.Diff(want, report); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]schemas.ReconcilePageRequest{
		{Tenant: "default", FromMS: 1000, ToMS: 2000},
		{Tenant: "default", FromMS: 1000, ToMS: 2000, Token: []byte{1}},
		{Tenant: "default", FromMS: 1000, ToMS: 2000, Token: []byte{2}},
	}, *asked); diff != "" {
		t.Error(diff)
	}
}

func TestReconcileOfAScheduleGoesOnWhereTheLastEnded(t *testing.T) {
	t.Parallel()
	to := noon.Add(-time.Minute).UnixMilli()
	for name, test := range map[string]struct {
		last *schemas.ReconcileReport
		from int64
	}{
		"first":          {nil, noon.Add(-time.Minute - 24*time.Hour).UnixMilli()},
		"next":           {&schemas.ReconcileReport{ToMS: noon.Add(-time.Hour).UnixMilli()}, noon.Add(-time.Hour - 10*time.Minute).UnixMilli()},
		"long ago":       {&schemas.ReconcileReport{ToMS: noon.Add(-99 * time.Hour).UnixMilli()}, noon.Add(-99*time.Hour - 10*time.Minute).UnixMilli()},
		"a faulty clock": {&schemas.ReconcileReport{ToMS: noon.Add(time.Hour).UnixMilli()}, noon.Add(-11 * time.Minute).UnixMilli()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, asked := comparing(t, 1, agreeing)
			if test.last != nil {
				env.SetLastCompletionResult(*test.last)
			}
			env.ExecuteWorkflow(schemas.Reconcile.Name(), schemas.ReconcileRequest{})
			var report schemas.ReconcileReport
			if err := env.GetWorkflowResult(&report); err != nil {
				t.Fatal(err)
			}
			if report.FromMS != test.from || report.ToMS != to || (*asked)[0].FromMS != test.from || (*asked)[0].ToMS != to {
				t.Errorf("from %d to %d, want %d to %d", report.FromMS, report.ToMS, test.from, to)
			}
		})
	}
}

func TestReconcileContinuesAsNew(t *testing.T) {
	t.Parallel()
	env, asked := comparing(t, 500, agreeing)
	env.ExecuteWorkflow(schemas.Reconcile.Name(), schemas.ReconcileRequest{FromMS: 1, ToMS: 2})
	if again, ok := errors.AsType[*workflow.ContinueAsNewError](env.GetWorkflowError()); !ok || again.WorkflowType.Name != schemas.Reconcile.Name() {
		t.Fatalf("it ended with %v", env.GetWorkflowError())
	}
	if len(*asked) != 200 {
		t.Errorf("%d pages of one execution", len(*asked))
	}
}

func TestReconcileFails(t *testing.T) {
	t.Parallel()
	env, _ := comparing(t, 1, func(int) (schemas.ReconcilePageOutcome, error) {
		return schemas.ReconcilePageOutcome{}, schemas.Errorf(schemas.Invalid, "no such attribute")
	})
	env.ExecuteWorkflow(schemas.Reconcile.Name(), schemas.ReconcileRequest{FromMS: 1, ToMS: 2})
	if err := env.GetWorkflowError(); err == nil {
		t.Error("it says that all is well")
	}
}
