// Package report makes of the result of an evaluation what people and machines read: a page, a summary in Markdown, JUnit XML, JSON.
package report

import (
	"encoding/json"
	"io"

	"github.com/tenuto-dev/tenuto/schemas"
)

// JSON writes the result as it is, nothing left out.
func JSON(w io.Writer, r schemas.EvalResult) error {
	return json.NewEncoder(w).Encode(r)
}
