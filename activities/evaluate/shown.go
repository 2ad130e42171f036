package evaluate

import (
	"github.com/tenuto-dev/tenuto/activities/internal/report"
	"github.com/tenuto-dev/tenuto/schemas"
)

// TextPart is a part of an output; Only if the output that it is compared with does not have it.
type TextPart = report.Segment

// CompareTexts marks the words that only one of two outputs has, as reports do. Texts of very many words have no marks.
func CompareTexts(a, b string) (ours, theirs []TextPart) { return report.Difference(a, b) }

// ColumnNames are what reports call columns, each differently.
func ColumnNames(columns []schemas.EvalColumn) []string { return report.ColumnNames(columns) }
