package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

// Release makes releases of the chains of a project in a repository. The commit that a ref names is found first and recorded, so that whatever
// is repeated reads the same folder, wherever the ref has moved. It receives nothing.
func Release(ctx workflow.Context, in schemas.ReleaseRequest) (schemas.ReleaseOutcome, error) {
	workflow.SetCurrentDetails(ctx, "looks for the commit of "+in.Source)
	resolved, err := step.Do(ctx, step.Reading, schemas.ResolveRelease, in, "find the commit")
	if err != nil {
		return schemas.ReleaseOutcome{}, err
	}
	workflow.SetCurrentDetails(ctx, "reads "+resolved.Source)
	out, err := step.Do(ctx, step.Reading, schemas.CompileRelease, resolved, "read and compile "+resolved.Source)
	workflow.SetCurrentDetails(ctx, "")
	return out, err
}
