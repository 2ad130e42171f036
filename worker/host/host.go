// Package host runs the workers of one process: it binds activities to contracts, polls the task queues, and drains.
package host

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"github.com/tenuto-dev/tenuto/activities/alert"
	"github.com/tenuto-dev/tenuto/activities/bulk"
	"github.com/tenuto-dev/tenuto/activities/callback"
	"github.com/tenuto-dev/tenuto/activities/chain"
	"github.com/tenuto-dev/tenuto/activities/collection"
	"github.com/tenuto-dev/tenuto/activities/evaluate"
	"github.com/tenuto-dev/tenuto/activities/ingest"
	"github.com/tenuto-dev/tenuto/activities/ingest/ledger"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/activities/provider/budget"
	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/activities/provider/hub"
	"github.com/tenuto-dev/tenuto/activities/provider/meter"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/activities/provider/notify"
	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/activities/provider/web"
	"github.com/tenuto-dev/tenuto/activities/recall"
	"github.com/tenuto-dev/tenuto/activities/reconcile"
	"github.com/tenuto-dev/tenuto/activities/release"
	"github.com/tenuto-dev/tenuto/activities/retrieve"
	"github.com/tenuto-dev/tenuto/activities/spend"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/bind"
	"github.com/tenuto-dev/tenuto/workflows"
)

// drain is how long work in flight may take to end after a stop; what has not ended then is done again by another worker.
const drain = 10 * time.Second

// Deps are what activities work with. All but Meter are required.
type Deps struct {
	Temporal client.Client
	Store    *blob.Store
	Index    *vector.Index
	Models   *model.Set
	Journal  *journal.Journal
	Fleet    *fleet.Fleet
	Forge    *forge.Forge
	Notify   *notify.Sender
	Meter    *meter.Meter // may be nil
	Hub      *hub.Hub     // tells the front door in the same process how runs get on
	Site     string       // address of the gateway for people; empty where nobody said
	Instance string       // unique name of the process; lanes have a queue of that name

	flush func() // the meter
}

// Host is the workers of one process, one for each task queue.
type Host struct {
	workers []worker.Worker
	journal *journal.Journal
	keeper  *budget.Keeper
	stopped context.CancelFunc // ends the journal's work in the background
	settled chan struct{}
}

// New makes the workers and registers everything on them. It polls nothing yet.
func New(deps Deps) *Host {
	h := &Host{journal: deps.Journal}
	activities := activitiesOver(deps)
	h.keeper = activities.keeper
	if deps.Hub != nil {
		deps.Hub.Ahead = activities.chain.Ahead
	}
	for queue, options := range queues(deps.Instance) {
		options.Interceptors = []interceptor.WorkerInterceptor{&metering{meter: deps.Meter}}
		w := worker.New(deps.Temporal, queue, options)
		if !options.DisableWorkflowWorker {
			workflows.Register(w)
		}
		activities.bind(w)
		h.workers = append(h.workers, w)
	}
	return h
}

// queues says how much of each kind of work one process takes on. What a person waits for is bounded by nothing but the machine;
// bulk work leaves room for it.
func queues(instance string) map[string]worker.Options {
	cpus := runtime.GOMAXPROCS(0)
	base := worker.Options{WorkerStopTimeout: drain, MaxConcurrentWorkflowTaskPollers: 8}
	interactive, bulk, embed := base, base, base
	interactive.MaxConcurrentWorkflowTaskPollers = 16
	interactive.MaxConcurrentLocalActivityExecutionSize = 256
	bulk.MaxConcurrentActivityExecutionSize = 2 * cpus
	bulk.MaxConcurrentActivityTaskPollers = max(4, cpus)
	bulk.DisableEagerActivities = true
	embed.MaxConcurrentActivityExecutionSize = 8
	embed.MaxConcurrentActivityTaskPollers = 4
	embed.DisableWorkflowWorker = true
	evals := base
	evals.MaxConcurrentActivityExecutionSize = 64 // batches mostly wait for the limits of providers
	evals.MaxConcurrentActivityTaskPollers = 8
	lanes := interactive
	lanes.MaxConcurrentActivityExecutionSize = 1 // lanes have local activities only
	lanes.MaxConcurrentActivityTaskPollers = 1
	return map[string]worker.Options{
		schemas.QueueInteractive: interactive, schemas.QueueIngest: bulk, schemas.QueueEmbed: embed, schemas.QueueEval: evals,
		schemas.LaneQueue(instance): lanes,
	}
}

// bound are the activities of a process, the same on all its queues.
type bound struct {
	ingest  *ingest.Activities
	chain   *chain.Activities
	drop    *collection.Activities
	release *release.Activities
	spend   *spend.Activities
	recall  *recall.Activities
	prove   *reconcile.Activities
	tell    *callback.Activities
	eval    *evaluate.Activities
	alert   *alert.Activities
	bulk    *bulk.Activities
	meter   *meter.Meter
	keeper  *budget.Keeper // of what is leased for evaluations
}

func activitiesOver(deps Deps) bound {
	steps := &chain.Activities{
		Store: deps.Store, Journal: deps.Journal, Fleet: deps.Fleet, Web: &web.Client{}, Hub: deps.Hub, Meter: deps.Meter,
		Find: &retrieve.Activities{Store: deps.Store, Index: deps.Index, Models: deps.Models},
	}
	poster := evalPoster{web: &web.Client{}}
	if deps.Notify != nil {
		poster.allow = deps.Notify.Allow
	}
	releases := registry.New(deps.Store, time.Now)
	releases.Meter = deps.Meter
	keeper := keeperOver(deps)
	return bound{
		meter:  deps.Meter,
		keeper: keeper,
		ingest: &ingest.Activities{Store: deps.Store, Index: deps.Index, Models: deps.Models, Ledger: &ledger.Ledger{Store: deps.Store}},
		chain:  steps,
		drop:   &collection.Activities{Store: deps.Store, Index: deps.Index},
		spend:  &spend.Activities{Store: deps.Store, Journal: deps.Journal, Runs: runs{deps.Temporal}},
		release: &release.Activities{
			Store: deps.Store, Registry: releases, Source: deps.Forge, Journal: deps.Journal, CheckInput: chain.CheckInput, Now: time.Now,
		},
		recall: &recall.Activities{
			Store: deps.Store, Registry: releases, Journal: deps.Journal, CheckInput: chain.CheckInput, Now: time.Now,
			Runs: recall.Temporal{Client: deps.Temporal},
		},
		prove: &reconcile.Activities{Temporal: deps.Temporal, Store: deps.Store, Journal: deps.Journal, Filler: steps, Now: time.Now},
		tell:  &callback.Activities{Store: deps.Store, Records: deps.Journal, Sender: deps.Notify, Now: time.Now},
		alert: &alert.Activities{Store: deps.Store, Forge: deps.Forge, Sender: deps.Notify, Site: deps.Site, Now: time.Now},
		eval: &evaluate.Activities{
			Store: deps.Store, Registry: releases, Chains: steps, Workflows: evalRuns{deps.Temporal}, Records: deps.Journal, Models: evalModels{deps.Fleet},
			Attempt: attemptOf, Poster: poster, Budgets: keeper, Prices: &estimates{store: deps.Store, fleet: deps.Fleet},
		},
		bulk: &bulk.Activities{Store: deps.Store, Records: deps.Journal, Fleet: deps.Fleet, Now: time.Now, Meter: deps.Meter},
	}
}

// Bind binds every activity to its contract.
func Bind(r bind.Registry, deps Deps) { activitiesOver(deps).bind(r) }

// bind is the one list.
func (b bound) bind(r bind.Registry) {
	bind.Activity(r, schemas.PlanIngest, b.ingest.Plan)
	bind.Activity(r, schemas.ListShard, b.ingest.Shard)
	bind.Activity(r, schemas.PrepareBucket, told(b.ingest.Prepare, b.meter.Prepared))
	bind.Activity(r, schemas.EmbedBucket, told(b.ingest.Embed, b.meter.Embedded))
	bind.Activity(r, schemas.PublishBucket, told(b.ingest.Publish, b.meter.Published))
	bind.Activity(r, schemas.FinishIngest, b.ingest.Finish)

	bind.Activity(r, schemas.RunStep, b.chain.Step)
	bind.Activity(r, schemas.RunLine, b.chain.Line)
	bind.Activity(r, schemas.RunOutput, b.chain.Output)
	bind.Activity(r, schemas.RecordRun, b.chain.Record)

	bind.Activity(r, schemas.DropCollection, b.drop.Drop)
	bind.Activity(r, schemas.ResolveRelease, b.release.Resolve)
	bind.Activity(r, schemas.CompileRelease, b.release.Compile)
	bind.Activity(r, schemas.PinRun, b.release.Pin)
	bind.Activity(r, schemas.FetchText, b.chain.Fetch)

	bind.Activity(r, schemas.OpenLedger, b.spend.Open)
	bind.Activity(r, schemas.KeepBudgets, b.spend.Keep)
	bind.Activity(r, schemas.SumSpend, b.spend.Sum)
	bind.Activity(r, schemas.BeginRecall, b.recall.Begin)
	bind.Activity(r, schemas.SweepRecall, b.recall.Sweep)
	bind.Activity(r, schemas.ReportRecall, b.recall.Report)
	bind.Activity(r, schemas.ReconcilePage, told(b.prove.Page, b.meter.Reconciled))
	bind.Activity(r, schemas.PrepareCallback, b.tell.Prepare)
	bind.Activity(r, schemas.DeliverCallback, b.tell.Deliver)
	bind.Activity(r, schemas.KeepDelivery, b.tell.Keep)

	bind.Activity(r, schemas.PlanEval, b.eval.Plan)
	bind.Activity(r, schemas.OpenColumn, b.eval.Open)
	bind.Activity(r, schemas.AwaitTurn, b.eval.AwaitTurn)
	bind.Activity(r, schemas.ListBulk, b.eval.Bulk)
	bind.Activity(r, schemas.RunCells, b.eval.Cells)
	bind.Activity(r, schemas.Compare, b.eval.Compare)
	bind.Activity(r, schemas.JudgeEval, b.eval.Result)
	bind.Activity(r, schemas.AwaitRoom, b.eval.Room)
	bind.Activity(r, schemas.AlertEval, b.alert.Alert)

	bind.Activity(r, schemas.PlanBulk, b.bulk.Plan)
	bind.Activity(r, schemas.SubmitBulk, b.bulk.Submit)
	bind.Activity(r, schemas.CheckBulk, b.bulk.Check)
	bind.Activity(r, schemas.CollectBulk, b.bulk.Collect)
	bind.Activity(r, schemas.CancelBulk, b.bulk.Cancel)
}

// Run polls until ctx ends, then lets work in flight finish for a moment. Error: unavailable when Temporal refuses the workers.
func (h *Host) Run(ctx context.Context) error {
	if err := h.Start(); err != nil { //nolint:contextcheck // the journal's work ends with Stop, not with whoever started it
		return err
	}
	<-ctx.Done()
	h.Stop() //nolint:contextcheck // what gives back leases begins when ctx has ended
	return nil
}

// Start begins to poll. On an error nothing polls.
func (h *Host) Start() error {
	for i, w := range h.workers {
		if err := w.Start(); err != nil {
			for _, started := range h.workers[:i] {
				started.Stop()
			}
			return schemas.Wrap(schemas.Unavailable, fmt.Errorf("starting a worker: %w", err), "Temporal refuses the workers: check that its namespace exists")
		}
	}
	h.settle()
	return nil
}

// settle has the journal move records to their places while the host runs.
func (h *Host) settle() {
	if h.journal == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.stopped, h.settled = cancel, make(chan struct{})
	go func() {
		defer close(h.settled)
		_ = h.journal.Run(ctx) // it reports what goes wrong by itself
	}()
}

// Stop stops polling and waits for work in flight, ten seconds at most.
func (h *Host) Stop() {
	done := make(chan struct{})
	for _, w := range h.workers {
		go func() { w.Stop(); done <- struct{}{} }()
	}
	for range h.workers {
		<-done
	}
	closeKeeper(h.keeper)
	if h.stopped != nil {
		h.stopped()
		<-h.settled
	}
}
