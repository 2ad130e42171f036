package e2e

import (
	"slices"
	"strings"
	"testing"

	sdk "go.temporal.io/sdk/client"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// lostColumn runs a suite of two models, one of which its server does not have, and then again when the cells of that one are gone from the store.
func (h *house) lostColumn(t *testing.T, name string) (again sdk.WorkflowRun) {
	t.Helper()
	pack := h.keep(t, schemas.SuitePackage{
		Suite: name, File: "suite.yaml", Files: map[string][]byte{"suite.yaml": []byte(askedSuite(3, "model:one", "model:two"))},
		Models: schemas.Models{
			Providers: map[string]schemas.ProviderDef{"p": {Driver: schemas.DriverOpenAI, BaseURL: h.modelURL, KeyEnv: "OPENAI_API_KEY"}},
			Models:    map[string]schemas.ModelDef{"one": {Provider: "p", Model: modeltest.ChatModel}, "two": {Provider: "p", Model: "absent"}},
		},
	})
	s := ended(t, h.evaluation(t, schemas.EvalRequest{Suite: name, Package: pack}))
	if s.Counts != (schemas.CellCounts{Passed: 3, Errored: 3}) {
		t.Fatalf("%+v", s)
	}
	if err := h.store(t).Delete(t.Context(), schemas.EvalBatchKey(schemas.EvalPlanPrefix("default", name, s.Plan), 1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	h.worker.kill() // it remembers what it wrote
	h.startWorker(t)
	return h.evaluation(t, schemas.EvalRequest{Suite: name, Package: pack})
}

// TestEvalOfALostColumn ends with a result in which the column's cells are errored with the reason, and those of the other have theirs.
func TestEvalOfALostColumn(t *testing.T) {
	t.Parallel()
	h := open(t, options{noIndex: true})
	s := ended(t, h.lostColumn(t, "lost"))
	if s.Counts != (schemas.CellCounts{Passed: 3, Errored: 3}) || s.Ruling == schemas.RulingPassed || s.Reused != 3 {
		t.Errorf("%+v", s)
	}
	if !slices.ContainsFunc(s.Warnings, func(w string) bool { return strings.HasPrefix(w, "not carried out to the end: model:two: ") }) {
		t.Errorf("warnings %q", s.Warnings)
	}
}
