package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

// Drop removes a tenant's collection from the index and from the store. Vectors stay: they belong to the tenant, and ingesting
// the same contents again then pays nothing.
func Drop(ctx workflow.Context, in schemas.DropRequest) (schemas.DropReport, error) {
	return step.Do(ctx, step.Bulk, schemas.DropCollection, in, "remove "+in.Collection)
}
