package host

import (
	"context"
	"fmt"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/tenuto-dev/tenuto/schemas"
)

// runs asks Temporal's list of workflows, which shows a change within moments.
type runs struct{ temporal client.Client }

// runsPage is how many workflows one call lists.
const runsPage = 1000

// Running counts the runs that are workflows of their own and have not ended, by the lease that their memo names.
func (r runs) Running(ctx context.Context, tenant string) (map[string]int, error) {
	if err := schemas.CheckTenant(tenant); err != nil { // it stands in the query
		return nil, err
	}
	count := map[string]int{}
	request := &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: runsPage,
		Query:    fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running' AND %s = '%s'", schemas.Chain.Name(), schemas.AttrTenant, tenant),
	}
	for {
		page, err := r.temporal.ListWorkflow(ctx, request)
		if err != nil {
			return nil, schemas.Wrap(schemas.Unavailable, err, "Temporal cannot say which runs go on")
		}
		for _, found := range page.GetExecutions() {
			count[leaseOf(found.GetMemo())]++
		}
		request.NextPageToken = page.GetNextPageToken()
		if len(request.NextPageToken) == 0 {
			return count, nil
		}
	}
}

func leaseOf(memo *commonpb.Memo) (lease string) {
	payload, ok := memo.GetFields()[schemas.MemoLease]
	if !ok || converter.GetDefaultDataConverter().FromPayload(payload, &lease) != nil {
		return ""
	}
	return lease
}
