package evaluate_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
)

// TestAColumnThatFailed is errored with its reason where it has no result, also where its cells or its results cannot be read any more. Nothing
// passes over that, and the next run asks for what is missing.
func TestAColumnThatFailed(t *testing.T) {
	t.Parallel()
	text := strings.Replace(twoCases, "[model:a]", "[model:a, {id: model:a, label: second, config: {temperature: 0.5}}]", 1)
	for name, gone := range map[string]bool{"before it was opened": false, "as its cells are gone": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			in := r.request(r.pack(t, text))
			plan, run := r.plan(t, in)
			r.columns(t, schemas.EvalPlan{Columns: plan.Columns[:1]}, run, 1)
			if key := schemas.EvalBatchKey(schemas.EvalPlanPrefix("default", "s", run.Plan), 1, 0, 0); gone {
				if err := r.Store.Delete(t.Context(), key); err != nil {
					t.Fatal(err)
				}
			}
			r.forget()
			judge := schemas.JudgeRequest{
				Run: run, Request: in, EndMS: in.StartMS + 1000, Failed: []schemas.EvalFailure{{Columns: []int{1}, Code: schemas.NotFound, Reason: "its server is gone"}},
			}
			out, err := r.Result(t.Context(), judge)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(schemas.CellCounts{Passed: 2, Errored: 2}, out.Summary.Counts); diff != "" || out.Summary.Ruling == schemas.RulingPassed {
				t.Errorf("%s%+v", diff, out.Summary)
			}
			if !slices.ContainsFunc(out.Summary.Warnings, func(w string) bool { return strings.Contains(w, "second: its server is gone") }) {
				t.Errorf("warnings %q", out.Summary.Warnings)
			}
			for _, file := range []schemas.EvalFile{schemas.EvalFileMarkdown, schemas.EvalFileHTML, schemas.EvalFileJUnit} {
				data, err := r.Store.Get(t.Context(), schemas.EvalFileKey("default", "s", run.ID, file))
				if err != nil || !strings.Contains(string(data), "its server is gone") {
					t.Errorf("%s does not name the reason: %v", file, err)
				}
			}
		})
	}
}
