package wire

import (
	"github.com/tenuto-dev/tenuto/activities/evaluate"
	"github.com/tenuto-dev/tenuto/schemas"
)

// CompareTexts marks the words that only one of two outputs has, as the reports of evaluations do.
func CompareTexts(a, b string) (ours, theirs []evaluate.TextPart) { return evaluate.CompareTexts(a, b) }

// ColumnNames are what the reports of evaluations call columns, each differently.
func ColumnNames(columns []schemas.EvalColumn) []string { return evaluate.ColumnNames(columns) }
