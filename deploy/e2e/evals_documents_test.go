package e2e

import (
	"path/filepath"
	"testing"

	"github.com/tenuto-dev/tenuto/schemas"
)

const aboutLogs = `prompts: ['{{question}}']
providers: [chain:docs-qa]
tests:
  - {vars: {question: How long are logs kept?}, assert: [{type: contains, value: ninety days}]}
`

// testEvaluatedDocuments evaluates a chain over documents: what is known counts for as long as they are the same, and no longer.
func (h *house) testEvaluatedDocuments(t *testing.T) {
	t.Parallel()
	u := h.tenant(t, "evaluated")
	project, root := filepath.Join(t.TempDir(), "answers"), t.TempDir()
	u.run(t, "init", project)
	write(t, filepath.Join(project, "suites", "logs.yaml"), aboutLogs)
	write(t, filepath.Join(root, "logs.md"), "# Logs\n\nLogs are kept for ninety days, then they are deleted.\n")
	evaluate := func(status, reused int, more ...string) (s schemas.EvalSummary) {
		t.Helper()
		out := u.try(t, append([]string{"eval", "run", filepath.Join(project, "suites", "logs.yaml"), "--json"}, more...)...)
		if out.status != status {
			t.Fatalf("status %d, want %d\n%s%s", out.status, status, out.stdout, out.stderr)
		}
		if s = decode[schemas.EvalSummary](t, out.stdout); s.Reused != reused {
			t.Errorf("%d cells are known from before, want %d", s.Reused, reused)
		}
		return s
	}
	u.ingest(t, "docs", root)
	evaluate(0, 0)
	u.ingest(t, "docs", root)
	first := evaluate(0, 1)
	if first.OldestMS == 0 || first.OldestMS >= first.StartMS {
		t.Errorf("the oldest answer is of %d, and the run of %d", first.OldestMS, first.StartMS)
	}
	if fresh := evaluate(0, 0, "--fresh"); fresh.OldestMS != fresh.StartMS {
		t.Errorf("the oldest answer is of %d, and the run of %d", fresh.OldestMS, fresh.StartMS)
	}
	evaluate(0, 1, "--max-age", "1h")
	write(t, filepath.Join(root, "logs.md"), "# Logs\n\nLogs are kept for thirty days, then they are deleted.\n")
	u.ingest(t, "docs", root)
	evaluate(3, 0)
}
