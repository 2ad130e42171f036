// Package evaluate carries out evaluations: it plans the cells of a suite, has their providers answer, judges the answers, and puts the result
// together. What is paid for is recorded under the identity of its cell, so that runs, nights and pull requests share it.
package evaluate

import (
	"context"
	"sync"

	"golang.org/x/sync/singleflight"

	"github.com/tenuto-dev/tenuto/activities/internal/grader"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Chains carries out runs of chains, which is how everything is asked.
type Chains interface {
	// Line carries out a run whose steps follow one another, as far as it is one.
	Line(ctx context.Context, in schemas.LineRequest) (schemas.LineOutcome, error)
	// Row is the next call of a run of one generate step, for a batch, or its output where all its responses are recorded.
	Row(ctx context.Context, in schemas.RunRequest) (schemas.BulkCall, error)
	// Record keeps the record of a run that failed.
	Record(ctx context.Context, in schemas.RecordRequest) (schemas.RunOutcome, error)
}

// Workflows carries out runs as workflows of their own, those that are no line.
type Workflows interface {
	// Run starts the run unless it was started before, and waits for its end.
	Run(ctx context.Context, in schemas.RunRequest) (schemas.RunOutcome, error)
	// AwaitTurn waits until the workflow that stands for a turn has ended.
	AwaitTurn(ctx context.Context, id string) error
}

// Records finds records of runs, durable or not.
type Records interface {
	Get(ctx context.Context, tenant, key string) ([]byte, bool, error)
	Own(ctx context.Context, tenant, key string) ([]byte, bool, error)
}

// Models knows the models of the installation.
type Models interface {
	// Defined is what the installation says of PROVIDER/MODEL; false for a provider that it does not have.
	Defined(name string) (provider schemas.ProviderDef, model schemas.ModelDef, ok bool)
	// LogProbs reports whether the model of that name, of the models or of the installation, can be asked for log probabilities, and the server's
	// name. Codes: invalid, not_found.
	LogProbs(models schemas.Models, name string) (can bool, server string, err error)
	// Embed returns the vectors of texts by the model of that name, of the models or of the installation, within the limits of its provider. What
	// was paid for is recorded, and what is read back is neither used nor paid.
	Embed(ctx context.Context, tenant string, models schemas.Models, name string, texts []string) (Vectors, error)
}

// Vectors are embeddings, one a text, and what they cost now.
type Vectors struct {
	Values [][]float32
	Usage  schemas.Usage
	Cost   schemas.Cost
}

// Activities are the durable calls of evaluations. All fields are required. It is safe for concurrent use.
type Activities struct {
	Store     *blob.Store
	Registry  *registry.Registry
	Chains    Chains
	Workflows Workflows
	Records   Records
	Models    Models
	Poster    grader.Poster // of assertions that ask a webhook
	Budgets   Budgets
	Prices    Prices

	Attempt func(ctx context.Context) int // which attempt of the call this is, from 1

	packages kept[*loaded]
	packs    kept[[]schemas.CellRecord]
	batches  kept[[]planned]
	results  kept[schemas.EvalResult]
	graders  sync.Map // targets, by tenant and what they are
	flights  flights
	steps    kept[shared]
	sharing  singleflight.Group // of answers that serve many cells
}
