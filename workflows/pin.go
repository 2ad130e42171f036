package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

// Pin pins a run to a release for a caller who speaks Temporal and cannot read labels, which then starts it. It receives nothing.
func Pin(ctx workflow.Context, in schemas.PinRequest) (schemas.PinOutcome, error) {
	return step.DoLocal(ctx, step.Interactive, schemas.PinRun, in, "pin run "+in.RunID+" of "+in.Chain)
}

// Fetch reads a text that a result points to, for a caller who cannot read the artifact store. It is a workflow of its own, so that no run's
// history grows with its output. It receives nothing.
func Fetch(ctx workflow.Context, in schemas.FetchRequest) (schemas.Fetched, error) {
	return step.DoLocal(ctx, step.Interactive, schemas.FetchText, in, "read "+in.Ref.Key)
}
