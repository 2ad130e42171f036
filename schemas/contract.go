// Package schemas is the vocabulary that every room shares: contracts of durable calls, the messages they carry, identifiers,
// error codes, queue names and telemetry names. It imports the standard library only.
package schemas

// Activity names and types one durable call to the world. The name is what history records, so changing it is a migration;
// renaming the Go function behind it is not.
type Activity[In, Out any] struct{ name string }

// Name returns the recorded name, such as "ingest.prepare".
func (a Activity[In, Out]) Name() string { return a.name }

// Workflow names and types one workflow.
type Workflow[In, Out any] struct{ name string }

// Name returns the recorded workflow type.
func (w Workflow[In, Out]) Name() string { return w.name }

// Query names and types one read-only question to a running workflow.
type Query[Out any] struct{ name string }

// Name returns the recorded query type.
func (q Query[Out]) Name() string { return q.name }

// Update names and types one request to a running workflow that is answered with a result.
type Update[In, Out any] struct{ name string }

// Name returns the recorded name.
func (u Update[In, Out]) Name() string { return u.name }

// LaneRun has a lane carry out a run. The update's id is the run's id. Processes use LaneRuns; histories have this.
var LaneRun = Update[RunRequest, RunOutcome]{"lane.run"}

// LaneRuns has a lane carry out several runs side by side. The update's id is that of the first.
var LaneRuns = Update[LaneBatch, LaneOutcomes]{"lane.runs"}

// ChainDecide tells a run what a person decided.
var ChainDecide = Update[Decision, Decision]{"chain.decide"}

// ChainProgress answers how far a run is, and what it waits for.
var ChainProgress = Query[RunProgress]{"chain.progress"}

// The requests to a ledger.
var (
	SyncLedger = Update[LedgerSync, LedgerReply]{"ledger.sync"}
	SetBudget  = Update[BudgetChange, BudgetList]{"ledger.set"}
)

// LedgerShow answers what a ledger knows.
var LedgerShow = Query[LedgerFigures]{"ledger.show"}

// The durable calls of a ledger. Each is safe to repeat: what they count and store are totals.
var (
	OpenLedger  = Activity[OpenRequest, OpenReport]{"spend.open"}
	KeepBudgets = Activity[KeepRequest, BudgetList]{"spend.keep"}
	SumSpend    = Activity[SumRequest, SumReport]{"spend.sum"}
)

// The durable calls of ingestion. Each is safe to repeat: identifiers and object keys are derived from content.
var (
	PlanIngest    = Activity[IngestRequest, IngestPlan]{"ingest.plan"}
	ListShard     = Activity[ShardRequest, BucketList]{"ingest.shard"}
	PrepareBucket = Activity[BucketRequest, PreparedBucket]{"ingest.prepare"}
	EmbedBucket   = Activity[EmbedRequest, EmbedOutcome]{"ingest.embed"}
	PublishBucket = Activity[PublishRequest, PublishOutcome]{"ingest.publish"}
	FinishIngest  = Activity[FinishRequest, FinishOutcome]{"ingest.finish"}
)

// The durable calls of a chain.
var (
	RunStep   = Activity[StepRequest, StepOutcome]{"chain.step"}
	RunLine   = Activity[LineRequest, LineOutcome]{"chain.line"}
	RunOutput = Activity[OutputRequest, OutputOutcome]{"chain.output"}
	RecordRun = Activity[RecordRequest, RunOutcome]{"chain.record"}
)

// The durable calls that make a release of a folder in a repository. Both are safe to repeat: the first only reads, and what the second makes
// is named by its content.
var (
	ResolveRelease = Activity[ReleaseRequest, ReleaseRequest]{"release.resolve"}
	CompileRelease = Activity[ReleaseRequest, ReleaseOutcome]{"release.compile"}
)

// PinRun pins a run to a release and claims its id. It is safe to repeat: whoever asks for the same again is told of the run that was claimed.
var PinRun = Activity[PinRequest, PinOutcome]{"release.pin"}

// FetchText reads what a result points to.
var FetchText = Activity[FetchRequest, Fetched]{"chain.fetch"}

// The durable calls of a recall. Each may be repeated: a sweep finds what one before has done.
var (
	BeginRecall  = Activity[RecallRequest, RecallReport]{"recall.begin"}
	SweepRecall  = Activity[RecallRequest, RecallSweep]{"recall.sweep"}
	ReportRecall = Activity[RecallRequest, RecallReport]{"recall.report"}
)

// RecallProgress answers how far a recall is.
var RecallProgress = Query[RecallSweep]{"recall.progress"}

// The durable calls of a callback. Each may be repeated: what is told is read from the record of the run, a receiver knows a message by its id,
// and how a delivery stands is one object.
var (
	PrepareCallback = Activity[CallbackOf, CallbackBody]{"callback.prepare"}
	DeliverCallback = Activity[DeliverRequest, Delivery]{"callback.deliver"}
	KeepDelivery    = Activity[KeepDeliveryRequest, Delivery]{"callback.keep"}
)

// DropCollection removes a tenant's collection from the index and the store.
var DropCollection = Activity[DropRequest, DropReport]{"collection.drop"}

// ReconcilePage compares a page of closed runs with their records, and fills in records that are missing.
var ReconcilePage = Activity[ReconcilePageRequest, ReconcilePageOutcome]{"reconcile.page"}

// The durable calls of an evaluation. Each is safe to repeat: what is paid for is recorded under the identity of its cell, and who carries out a
// column's cells has its turn.
var (
	PlanEval   = Activity[EvalRequest, EvalPlan]{"eval.plan"}
	OpenColumn = Activity[ColumnRequest, ColumnWork]{"eval.open"}
	AwaitTurn  = Activity[TurnRequest, EvalState]{"eval.await"}
	ListBulk   = Activity[ColumnRequest, EvalBulk]{"eval.bulk"}
	RunCells   = Activity[CellsRequest, CellsOutcome]{"eval.cells"}
	Compare    = Activity[CompareRequest, CellsOutcome]{"eval.compare"}
	JudgeEval  = Activity[JudgeRequest, EvalJudgement]{"eval.judge"}
	AlertEval  = Activity[EvalAlert, EvalAlerted]{"eval.alert"}
	AwaitRoom  = Activity[RoomRequest, EvalRoom]{"eval.room"}
)

// The durable calls of calls that are ordered in batches. Each is safe to repeat: a mark says that a batch is about to be ordered, and one whose name
// was lost is looked for before another is.
var (
	PlanBulk    = Activity[BulkRound, BulkPlan]{"bulk.plan"}
	SubmitBulk  = Activity[BulkPart, BulkOrdered]{"bulk.submit"}
	CheckBulk   = Activity[BulkCheck, BulkStatus]{"bulk.check"}
	CollectBulk = Activity[BulkCheck, BulkCollected]{"bulk.collect"}
	CancelBulk  = Activity[BulkPart, BulkOrdered]{"bulk.cancel"}
)

// BulkShow answers how far calls in batches are.
var BulkShow = Query[BulkReport]{"bulk.progress"}

// EvalDecide answers a run that is paused.
var EvalDecide = Update[EvalDecision, EvalProgress]{"eval.decide"}

// EvalShow answers how far a run is.
var EvalShow = Query[EvalProgress]{"eval.progress"}

// The workflows.
var (
	Ingest      = Workflow[IngestRequest, IngestReport]{"Ingest"}
	IngestShard = Workflow[ShardRequest, ShardOutcome]{"IngestShard"}
	Chain       = Workflow[RunRequest, RunOutcome]{"Chain"}
	ChainPart   = Workflow[PartRequest, PartOutcome]{"ChainPart"}
	Lane        = Workflow[LaneRequest, LaneOutcome]{"Lane"}
	Drop        = Workflow[DropRequest, DropReport]{"Drop"}
	MakeRelease = Workflow[ReleaseRequest, ReleaseOutcome]{"Release"}
	Ledger      = Workflow[LedgerRequest, LedgerOutcome]{"Ledger"}
	RecallRuns  = Workflow[RecallRequest, RecallReport]{"Recall"}
	Reconcile   = Workflow[ReconcileRequest, ReconcileReport]{"Reconcile"}
	Pin         = Workflow[PinRequest, PinOutcome]{"Pin"}
	Fetch       = Workflow[FetchRequest, Fetched]{"Fetch"}
	Callback    = Workflow[CallbackRequest, Delivery]{"Callback"}
	Evaluate    = Workflow[EvalRequest, EvalSummary]{"Evaluate"}
	EvalTurn    = Workflow[TurnRequest, EvalState]{"EvalTurn"}
	TellEval    = Workflow[EvalAlert, EvalAlerted]{"TellEval"}
	Bulk        = Workflow[BulkRequest, BulkReport]{"Bulk"}
)

// IngestProgress answers how far an ingestion is.
var IngestProgress = Query[Progress]{"ingest.progress"}
