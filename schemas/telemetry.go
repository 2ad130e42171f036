package schemas

// Search attributes, all of Temporal's type Keyword. The embedded stack registers them; elsewhere an operator does, once.
const (
	AttrTenant     = "TenutoTenant"
	AttrCollection = "TenutoCollection"
	AttrChain      = "TenutoChain"
	AttrRelease    = "TenutoRelease"
	AttrSuite      = "TenutoSuite"
	AttrVerdict    = "TenutoVerdict"
	AttrQueue      = "TenutoQueue"
	AttrAssignee   = "TenutoAssignee"
)

// AttrDue is the one search attribute of Temporal's type Datetime.
const AttrDue = "TenutoDue"

// KeywordAttributes lists the search attributes of type Keyword.
func KeywordAttributes() []string {
	return []string{AttrTenant, AttrCollection, AttrChain, AttrRelease, AttrSuite, AttrVerdict, AttrQueue, AttrAssignee}
}

// SemanticConventions is the version of OpenTelemetry's conventions that spans and the gen_ai metrics follow. Those for generative AI are in
// development: another version may have other names.
const SemanticConventions = "1.41.0"

// Trace is where a run stands in its caller's trace, as W3C Trace Context has it (https://www.w3.org/TR/trace-context/). The zero value is none.
type Trace struct {
	Parent string `json:"parent,omitempty"` // the header traceparent
	State  string `json:"state,omitempty"`  // the header tracestate
}

// Attributes of spans that OpenTelemetry has no name for.
const (
	SpanTenant    = "tenuto.tenant"
	SpanRun       = "tenuto.run.id"
	SpanChain     = "tenuto.chain"
	SpanRelease   = "tenuto.release"
	SpanLabel     = "tenuto.label"
	SpanExecution = "tenuto.execution" // lane or workflow
	SpanStatus    = "tenuto.status"
	SpanRetries   = "tenuto.retries"
	SpanCost      = "tenuto.cost_usd" // the part that is known
	SpanUnknown   = "tenuto.unknown_cost_calls"
	SpanStep      = "tenuto.step.id"
	SpanPath      = "tenuto.step.path"
	SpanKind      = "tenuto.step.kind"
	SpanTurn      = "tenuto.step.turn"
	SpanSkipped   = "tenuto.step.skipped"
	SpanRecorded  = "tenuto.recorded" // a response was read back: nothing was paid for now
	SpanCached    = "tenuto.cached"   // a response of an equal call was used
	SpanHits      = "tenuto.hits"
	SpanInputs    = "tenuto.inputs" // of an embedding call
	SpanActivity  = "tenuto.activity"
	SpanAttempt   = "tenuto.attempt"
	SpanRequest   = "tenuto.request.id"
)

// Metrics for Prometheus. Labels are bounded: no id of a run, no tenant, no text of a caller.
const (
	MetricHTTPRequests    = "tenuto_http_requests_total"
	MetricHTTPSeconds     = "tenuto_http_request_duration_seconds"
	MetricHTTPUploaded    = "tenuto_http_uploaded_bytes_total"
	MetricHTTPConnections = "tenuto_http_connections"
	MetricHTTPDisplaced   = "tenuto_http_connections_displaced_total"
	MetricHTTPTurnedAway  = "tenuto_http_connections_turned_away_total"
	MetricRelayCalls      = "tenuto_model_calls_total"
	MetricRelayTokens     = "tenuto_model_tokens_total"
	MetricRelayCost       = "tenuto_model_cost_usd_total"
	MetricRelayFirst      = "tenuto_model_first_piece_seconds"
	MetricRelaySeconds    = "tenuto_model_call_seconds"
	MetricRelayRecord     = "tenuto_model_record_seconds"
	MetricRuns            = "tenuto_runs_total"
	MetricRunSeconds      = "tenuto_run_duration_seconds"
	MetricFirstToken      = "tenuto_run_first_token_seconds"
	MetricSteps           = "tenuto_steps_total"
	MetricStepSeconds     = "tenuto_step_duration_seconds"
	MetricRetries         = "tenuto_retries_total"
	MetricActivities      = "tenuto_activities_total"
	MetricActivitySeconds = "tenuto_activity_duration_seconds"
	MetricCallSeconds     = "gen_ai_client_operation_duration_seconds"            // gen_ai.client.operation.duration
	MetricCallTokens      = "gen_ai_client_token_usage"                           //nolint:gosec // gen_ai.client.token.usage
	MetricCallFirst       = "gen_ai_client_operation_time_to_first_chunk_seconds" // gen_ai.client.operation.time_to_first_chunk
	MetricCost            = "tenuto_cost_usd_total"
	MetricUnknownCost     = "tenuto_unknown_cost_calls_total"
	MetricReadBack        = "tenuto_responses_read_back_total"
	MetricLimiterSeconds  = "tenuto_limiter_wait_seconds"
	MetricStoreSeconds    = "tenuto_store_duration_seconds"
	MetricStoreBytes      = "tenuto_store_written_bytes_total"
	MetricIndexSeconds    = "tenuto_index_duration_seconds"
	MetricDocuments       = "tenuto_ingest_documents_total"
	MetricChunks          = "tenuto_ingest_chunks_total"
	MetricLanes           = "tenuto_lanes"
	MetricLaneRuns        = "tenuto_lane_runs"
	MetricLeases          = "tenuto_ledger_leases"
	MetricLabelMoves      = "tenuto_label_moves_total"
	MetricReconciled      = "tenuto_reconciled_runs_total"
)
