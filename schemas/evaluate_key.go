package schemas

import (
	"crypto/sha256"
	"fmt"
)

// CheckSuite reports why name cannot be that of a suite.
func CheckSuite(name string) error {
	edge := name != "" && name[0] != '-' && name[len(name)-1] != '-'
	if !edge || len(name) > 63 || !only(name, isLower, "-") {
		return Errorf(Invalid, "suite %q: use 1 to 63 lower-case letters, digits and hyphens", clip(name))
	}
	return nil
}

// EvalID is the workflow of one run of a suite.
func EvalID(tenant, suite, id string) string { return "eval/" + tenant + "/" + suite + "/" + id }

// EvalAlertID is the workflow that tells of the verdict of a run.
func EvalAlertID(tenant, suite, id string) string {
	return "eval-alert/" + tenant + "/" + suite + "/" + id
}

// EvalTurnID is the workflow that stands for the turn of a run to ask a column.
func EvalTurnID(tenant, suite, column string) string {
	return "eval-turn/" + tenant + "/" + suite + "/" + column
}

// EvalScheduleID is the schedule of a suite.
func EvalScheduleID(tenant, suite string) string { return "eval/" + tenant + "/" + suite }

// EvalsPrefix is where evaluations of a tenant live, by suite.
func EvalsPrefix(tenant string) string { return TenantPrefix(tenant) + "evals/" }

// SuitePrefix is where what is known of a suite lives.
func SuitePrefix(tenant, suite string) string { return EvalsPrefix(tenant) + suite + "/" }

// SuitePackageKey is a package of a suite.
func SuitePackageKey(tenant, suite, hash string) string {
	return SuitePrefix(tenant, suite) + "packages/" + hash + ".json"
}

// EvalPlanPrefix is where a plan lives, with its cells.
func EvalPlanPrefix(tenant, suite, hash string) string {
	return SuitePrefix(tenant, suite) + "plans/" + hash + "/"
}

// EvalPackPrefix is where results of cells of a column live, each object written once.
func EvalPackPrefix(tenant, suite, column string) string {
	return SuitePrefix(tenant, suite) + "cells/" + column + "/"
}

// EvalRunsPrefix is where the runs of a suite live that ended, by id.
func EvalRunsPrefix(tenant, suite string) string { return SuitePrefix(tenant, suite) + "runs/" }

// EvalRunPrefix is where a run keeps its own: work to do, errors, result and reports.
func EvalRunPrefix(tenant, suite, id string) string { return EvalRunsPrefix(tenant, suite) + id + "/" }

// EvalSummariesPrefix is where the summaries of a suite's runs stand, in the order of their ids.
func EvalSummariesPrefix(tenant, suite string) string {
	return SuitePrefix(tenant, suite) + "summaries/"
}

// EvalSummaryKey is the EvalSummary of a run. Those of a suite stand together, in the order of their ids.
func EvalSummaryKey(tenant, suite, id string) string {
	return EvalSummariesPrefix(tenant, suite) + id + ".json"
}

// EvalClaimKey says which run of a suite an idempotency key stands for.
func EvalClaimKey(tenant, suite, key string) string {
	return SuitePrefix(tenant, suite) + "claims/" + Hash([]byte(key)) + ".json"
}

// EvalFile names one of the files that a run leaves.
type EvalFile string

// The files of a run.
const (
	EvalFileResult   EvalFile = "result.json"
	EvalFileHTML     EvalFile = "report.html"
	EvalFileMarkdown EvalFile = "report.md"
	EvalFileJUnit    EvalFile = "junit.xml"
)

// EvalFileKey is a file of a run.
func EvalFileKey(tenant, suite, id string, file EvalFile) string {
	return EvalRunPrefix(tenant, suite, id) + string(file)
}

// EvalBulkKey is a list of calls of a column that a run has made in batches; an order may have several lists.
func EvalBulkKey(in ColumnRequest, list int) string {
	return fmt.Sprintf("%sbulk/%03d%s.json", EvalRunPrefix(in.Run.Tenant, in.Run.Suite, in.Run.ID), in.Column, bulkPlace(in, list))
}

// EvalBulkID names the calls of such a list.
func EvalBulkID(in ColumnRequest, list int) string {
	return fmt.Sprintf("%s-%03d%s", in.Run.ID, in.Column, bulkPlace(in, list))
}

// bulkPlace tells apart what a column orders after its first list.
func bulkPlace(in ColumnRequest, list int) string {
	if in.Round == 0 && in.Order == 0 && list == 0 {
		return ""
	}
	return fmt.Sprintf("-%02d-%d-%d", in.Round, in.Order, list)
}

// EvalBatchKey is one batch of a column's cells below a prefix.
func EvalBatchKey(prefix string, column, round, batch int) string {
	return fmt.Sprintf("%scells/%03d-%02d-%05d.json", prefix, column, round, batch)
}

// Metadata of runs that an evaluation makes.
const (
	MetadataEval    = "eval"         // SUITE/ID of the evaluation
	MetadataPurpose = "eval-purpose" // answer, or what a grader was asked for
)

// EvalCallID is the run that asks for a cell, named by what is asked.
func EvalCallID(call string) string { return "eval-" + call[:min(40, len(call))] }

// EvalGradeID is the run that asks a grader, named by what is asked of it and about which cell.
func EvalGradeID(digest string) string { return "grade-" + digest[:min(40, len(digest))] }

// EvalGradeKey is an answer of a grader that serves cells of any suite, by the digest of what was asked of whom.
func EvalGradeKey(tenant, digest string) string {
	return TenantPrefix(tenant) + "grades/" + digest + ".json"
}

// EvalIDAt is the id of a run that a schedule started at a time in Unix milliseconds, by the id of its workflow.
func EvalIDAt(atMS int64, workflow string) string {
	sum := sha256.Sum256([]byte(workflow))
	return RunIDAt(atMS, [10]byte(sum[:10]))
}
