package host

import (
	"context"
	"errors"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/schemas"
)

// reconcileEvery is how often records are compared with the histories of workflows.
const reconcileEvery = time.Hour

// Schedule has Temporal do what is due by the clock: the comparison of records with histories, every hour. A schedule that is there is left
// as it is, also one that somebody paused or changed.
func Schedule(ctx context.Context, temporalClient client.Client) error {
	_, err := temporalClient.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID:            schemas.ReconcileScheduleID,
		Spec:          client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: reconcileEvery}}, Jitter: time.Minute},
		Overlap:       enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
		CatchupWindow: reconcileEvery, // it looks back to where the last one ended by itself
		Note:          "proves that the records of runs agree with the histories of their workflows",
		Action: &client.ScheduleWorkflowAction{
			ID: schemas.ReconcileScheduleID, Workflow: schemas.Reconcile.Name(), TaskQueue: schemas.QueueIngest,
			Args: []any{schemas.ReconcileRequest{}}, StaticSummary: "compare the records of runs with their workflows",
		},
	})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return nil
	}
	if err != nil {
		return schemas.Wrap(schemas.Unavailable, err, "the hourly comparison of records cannot be scheduled")
	}
	return nil
}
