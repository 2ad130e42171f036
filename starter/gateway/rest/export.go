package rest

import (
	"encoding/json"

	"github.com/tenuto-dev/tenuto/schemas"
)

// ExportedRun is a line of an export: a run, or the last line, which has next or done only.
type ExportedRun struct {
	Name     string             `json:"name,omitempty" doc:"Of the record; lines come in its order."`
	Record   json.RawMessage    `json:"record,omitempty" doc:"The record as it is stored."`
	Output   json.RawMessage    `json:"output,omitempty" doc:"Of the run, where the record only points to it."`
	Feedback []schemas.Feedback `json:"feedback,omitempty" doc:"All that was given, the oldest first."`
	Damaged  bool               `json:"damaged,omitempty" doc:"There is something under the name that is no record."`
	Lost     bool               `json:"lost,omitempty" doc:"The output that the record points to is not in the store."`
	Next     string             `json:"next,omitempty" doc:"On the last line: ask for what comes after it."`
	Done     bool               `json:"done,omitempty" doc:"On the last line: the day has no more."`
}
