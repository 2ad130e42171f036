package schemas

// Task queues. Work that a person waits for never stands behind bulk work, and calls to a model provider have a queue of their
// own, so that the provider's pace holds up nothing else.
const (
	QueueInteractive = "tenuto.interactive" // chains, and what answers a waiting caller
	QueueIngest      = "tenuto.ingest"      // ingestion workflows, parsing, publishing
	QueueEmbed       = "tenuto.embed"       // embedding calls of ingestion
	QueueEval        = "tenuto.eval"        // evaluations: workflows, plans, verdicts, and their calls, which wait for the provider's limits
)
