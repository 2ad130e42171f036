package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	sdk "go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
	"github.com/tenuto-dev/tenuto/worker/dial"
	"github.com/tenuto-dev/tenuto/worker/telemetry"
)

const (
	// smallWords is the length of a small document.
	smallWords = 60
	// maxEvents is what a history may have, whatever the size of the input.
	maxEvents = 4000
	// settleTime is what the worker gets to give memory back before it is measured at rest.
	settleTime = 5 * time.Second
)

// memory measures the worker and gateway before and after an ingestion a hundred times as large.
func (b *bench) memory(ctx context.Context) error {
	p, err := b.open(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	dir, err := os.MkdirTemp("", "tenuto-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	documents := generate(b.large, smallWords)
	small, err := b.weigh(ctx, p, dir, "small", documents[:b.small])
	if err != nil {
		return err
	}
	large, err := b.weigh(ctx, p, dir, "large", documents)
	if err != nil {
		return err
	}
	events, err := eventsOf(ctx, large.report.WorkflowID)
	if err != nil {
		return err
	}
	again, err := b.weigh(ctx, p, dir, "large", documents)
	if err != nil {
		return err
	}
	return b.judgeMemory(small, large, again, events)
}

// weight is an ingestion and the memory of the process afterwards, in MB.
type weight struct {
	report    rest.Report
	peak, now float64
}

func (b *bench) weigh(ctx context.Context, p *platform, dir, collection string, documents []document) (weight, error) {
	file := filepath.Join(dir, collection+".jsonl")
	if err := write(file, documents, " of "+collection); err != nil {
		return weight{}, err
	}
	var w weight
	if err := p.run(ctx, &w.report, "ingest", file, "--collection", collection); err != nil {
		return w, err
	}
	select {
	case <-time.After(settleTime):
	case <-ctx.Done():
		return w, ctx.Err()
	}
	var err error
	w.peak, w.now, err = resident(p.process.Process.Pid)
	b.say("memory: %d documents in %.1f s, peak %.0f MB, at rest %.0f MB", len(documents), w.report.Seconds, w.peak, w.now)
	return w, err
}

func (b *bench) judgeMemory(small, large, again weight, events []int) error {
	growth := round(large.peak - small.peak)
	m := measurement{
		Name: "memory", N: 1, Bound: b.growthBound, Holds: growth < b.growthBound,
		Figures: map[string]any{
			"documents_small": small.report.Documents.Total, "documents_large": large.report.Documents.Total,
			"peak_mb_small": small.peak, "peak_mb_large": large.peak, "peak_mb_growth": growth,
			"rest_mb_small": small.now, "rest_mb_large": large.now, "seconds_large": large.report.Seconds,
		},
	}
	if err := b.print(m); err != nil {
		return err
	}
	most := 0
	for _, n := range events {
		most = max(most, n)
	}
	if err := b.print(measurement{
		Name: "history", N: len(events), Bound: maxEvents, Holds: most < maxEvents,
		Figures: map[string]any{"executions": len(events), "events_root": events[0], "events_most": most},
	}); err != nil {
		return err
	}
	return b.print(measurement{
		Name: "second_ingestion", N: 1, Holds: again.report.Embedding == (schemas.Embedding{}) && again.report.Documents.Unchanged == large.report.Documents.Total,
		Figures: map[string]any{
			"embedding_calls": again.report.Embedding.Calls, "documents_unchanged": again.report.Documents.Unchanged, "seconds": again.report.Seconds,
		},
	})
}

// eventsOf counts the events of the last execution of a workflow, then of each child that it started.
func eventsOf(ctx context.Context, workflow string) ([]int, error) {
	temporal, err := dial.Open(ctx, dial.Options{Getenv: os.Getenv, Logger: telemetry.Temporal(zap.NewNop())})
	if err != nil {
		return nil, err
	}
	defer temporal.Close()
	events := []int{0}
	history := temporal.GetWorkflowHistory(ctx, workflow, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		if err != nil {
			return nil, err
		}
		events[0]++
		if child := event.GetChildWorkflowExecutionStartedEventAttributes(); child != nil {
			n, err := lengthOf(ctx, temporal, child.GetWorkflowExecution().GetWorkflowId(), child.GetWorkflowExecution().GetRunId())
			if err != nil {
				return nil, err
			}
			events = append(events, n)
		}
	}
	return events, nil
}

func lengthOf(ctx context.Context, temporal sdk.Client, workflow, run string) (int, error) {
	found, err := temporal.DescribeWorkflowExecution(ctx, workflow, run)
	if err != nil {
		return 0, fmt.Errorf("looking at %s: %w", workflow, err)
	}
	return int(found.GetWorkflowExecutionInfo().GetHistoryLength()), nil
}
