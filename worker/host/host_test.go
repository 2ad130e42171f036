package host_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/host"
)

type names []string

func (n *names) RegisterActivityWithOptions(_ any, o activity.RegisterOptions) {
	*n = append(*n, o.Name)
}

func TestEveryContractIsBoundOnce(t *testing.T) {
	t.Parallel()
	var got names
	host.Bind(&got, host.Deps{})
	want := []string{
		schemas.PlanIngest.Name(), schemas.ListShard.Name(), schemas.PrepareBucket.Name(), schemas.EmbedBucket.Name(),
		schemas.PublishBucket.Name(), schemas.FinishIngest.Name(), schemas.RunStep.Name(), schemas.RunLine.Name(), schemas.RunOutput.Name(),
		schemas.RecordRun.Name(), schemas.DropCollection.Name(), schemas.ResolveRelease.Name(), schemas.CompileRelease.Name(),
		schemas.OpenLedger.Name(), schemas.KeepBudgets.Name(), schemas.SumSpend.Name(),
		schemas.BeginRecall.Name(), schemas.SweepRecall.Name(), schemas.ReportRecall.Name(),
		schemas.ReconcilePage.Name(),
		schemas.PinRun.Name(), schemas.FetchText.Name(),
		schemas.PlanBulk.Name(), schemas.SubmitBulk.Name(), schemas.CheckBulk.Name(), schemas.CollectBulk.Name(), schemas.CancelBulk.Name(), schemas.ListBulk.Name(),
		schemas.PrepareCallback.Name(), schemas.DeliverCallback.Name(), schemas.KeepDelivery.Name(),
		schemas.PlanEval.Name(), schemas.OpenColumn.Name(), schemas.AwaitTurn.Name(), schemas.RunCells.Name(), schemas.Compare.Name(), schemas.JudgeEval.Name(),
		schemas.AlertEval.Name(), schemas.AwaitRoom.Name(),
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("bound %v, contracts %v", got, want)
	}
}

// TestARealWorkerAcceptsTheRegistrations builds the workers over a client that never connects: a real worker refuses what the
// test environment lets pass.
func TestARealWorkerAcceptsTheRegistrations(t *testing.T) {
	t.Parallel()
	lazy, err := client.NewLazyClient(client.Options{HostPort: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer lazy.Close()
	host.New(host.Deps{Temporal: lazy})
}

func TestProcessExplainsWrongUse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"unknown flag":   {[]string{"--nope"}, 2, "nope"},
		"an argument":    {[]string{"serve"}, 2, "serve"},
		"no environment": {nil, 1, "WEAVIATE_URL is not set"},
		"help":           {[]string{"--help"}, 0, "gateway"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stderr bytes.Buffer
			process := host.Process{Getenv: func(string) string { return "" }, Stderr: &stderr}
			if code := process.Run(t.Context(), test.args); code != test.code || !strings.Contains(stderr.String(), test.says) {
				t.Errorf("exit %d, %q", code, stderr.String())
			}
		})
	}
}
