// Package workflows holds the programs that Temporal replays: ingestion, chains, releases, and the removal of collections. Their code is
// frozen once a history of it exists: a change to what they decide comes with a version branch and a replay fixture.
package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Registry is what workflows are registered with: a worker, a replayer or a test environment.
type Registry interface {
	RegisterWorkflowWithOptions(fn any, options workflow.RegisterOptions)
}

// Register binds every workflow to its contract. It is the one list.
func Register(r Registry) {
	bind(r, schemas.Ingest, Ingest)
	bind(r, schemas.IngestShard, IngestShard)
	bind(r, schemas.Chain, Chain)
	bind(r, schemas.ChainPart, ChainPart)
	bind(r, schemas.Lane, Lane)
	bind(r, schemas.Drop, Drop)
	bind(r, schemas.MakeRelease, Release)
	bind(r, schemas.Ledger, Ledger)
	bind(r, schemas.RecallRuns, Recall)
	bind(r, schemas.Reconcile, Reconcile)
	bind(r, schemas.Pin, Pin)
	bind(r, schemas.Fetch, Fetch)
	bind(r, schemas.Callback, Callback)
	bind(r, schemas.Evaluate, Evaluate)
	bind(r, schemas.EvalTurn, EvalTurn)
	bind(r, schemas.TellEval, TellEval)
	bind(r, schemas.Bulk, Bulk)
}

func bind[In, Out any](r Registry, contract schemas.Workflow[In, Out], fn func(workflow.Context, In) (Out, error)) {
	r.RegisterWorkflowWithOptions(fn, workflow.RegisterOptions{Name: contract.Name()})
}
