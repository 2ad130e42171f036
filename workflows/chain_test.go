package workflows_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/testsuite"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/bind"
	"github.com/tenuto-dev/tenuto/worker/telemetry"
	"github.com/tenuto-dev/tenuto/workflows"
)

// chainWorld fakes the steps of chains. Steps named in fail end with that error.
func chainWorld(t *testing.T, fail map[string]error) (*testsuite.TestWorkflowEnvironment, *[]string) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(telemetry.Temporal(zap.NewNop()))
	env := suite.NewTestWorkflowEnvironment()
	workflows.Register(env)
	var order []string
	bind.Activity(env, schemas.Retrieve, func(_ context.Context, in schemas.RetrieveRequest) (schemas.RetrieveOutcome, error) {
		order = append(order, in.Step)
		return schemas.RetrieveOutcome{Hits: schemas.Ref{Key: "hits/" + in.Step}, Count: 1, Usage: schemas.Usage{Calls: 1}}, fail[in.Step]
	})
	bind.Activity(env, schemas.Generate, func(_ context.Context, in schemas.GenerateRequest) (schemas.GenerateOutcome, error) {
		order = append(order, in.Step)
		for _, ref := range in.Context {
			order = append(order, "with "+ref.Key)
		}
		return schemas.GenerateOutcome{Answer: schemas.Ref{Key: "answer/" + in.Step}, Model: in.Settings.Model}, fail[in.Step]
	})
	bind.Activity(env, schemas.RecordRun, func(_ context.Context, in schemas.RecordRequest) (schemas.RunOutcome, error) {
		return schemas.RunOutcome{RunID: in.RunID, Output: in.Steps[len(in.Steps)-1].Output}, nil
	})
	return env, &order
}

func retrieve(id string, needs ...string) schemas.Step {
	return schemas.Step{ID: id, Kind: schemas.StepRetrieve, Needs: needs, Retrieve: &schemas.RetrieveSettings{Collection: "docs"}}
}

func generate(id string, needs ...string) schemas.Step {
	return schemas.Step{ID: id, Kind: schemas.StepGenerate, Needs: needs, Generate: &schemas.GenerateSettings{Model: "local/extractive"}}
}

func run(env *testsuite.TestWorkflowEnvironment, steps ...schemas.Step) (schemas.RunOutcome, error) {
	env.ExecuteWorkflow(schemas.Chain.Name(), schemas.ChainRequest{
		Tenant: "default", RunID: "r1", Chain: schemas.ChainSpec{Name: "test", Steps: steps}, Input: schemas.Content{Text: "why?"},
	})
	var out schemas.RunOutcome
	if err := env.GetWorkflowError(); err != nil {
		return out, err
	}
	return out, env.GetWorkflowResult(&out)
}

func TestChainRunsStepsInTheOrderOfTheirNeeds(t *testing.T) {
	t.Parallel()
	env, order := chainWorld(t, nil)
	out, err := run(env, generate("answer", "b", "a"), retrieve("a"), retrieve("b"))
	if err != nil {
		t.Fatal(err)
	}
	if out.Output.Key != "hits/b" { // the output is that of the chain's last step as written
		t.Errorf("output %q", out.Output.Key)
	}
	last := (*order)[len(*order)-3:]
	if diff := cmp.Diff([]string{"answer", "with hits/b", "with hits/a"}, last); diff != "" {
		t.Error(diff)
	}
	first := slices.Sorted(slices.Values((*order)[:2]))
	if diff := cmp.Diff([]string{"a", "b"}, first); diff != "" {
		t.Error(diff)
	}
}

func TestChainFailsWithTheCodeOfItsStep(t *testing.T) {
	t.Parallel()
	env, order := chainWorld(t, map[string]error{"find": schemas.Errorf(schemas.NotFound, "there is no collection")})
	_, err := run(env, retrieve("find"), generate("answer", "find"))
	if code := failureCode(err); code != schemas.NotFound {
		t.Errorf("code %q of %v", code, err)
	}
	if diff := cmp.Diff([]string{"find"}, *order); diff != "" {
		t.Error(diff)
	}
}

func TestChainRefusesStepsThatCanNeverRun(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string][]schemas.Step{
		"cycle":         {retrieve("a", "b"), retrieve("b", "a")},
		"missing need":  {retrieve("a", "nobody")},
		"unknown kind":  {{ID: "a", Kind: "dance"}},
		"no settings":   {{ID: "a", Kind: schemas.StepRetrieve}},
		"needs itself":  {retrieve("a", "a")},
		"half possible": {retrieve("a"), retrieve("b", "c"), retrieve("c", "b")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, _ := chainWorld(t, nil)
			if _, err := run(env, steps...); failureCode(err) != schemas.Invalid {
				t.Errorf("want invalid, got %v", err)
			}
		})
	}
}
