package schemas

import (
	"encoding/json"
	"fmt"
)

// BulkList is calls of models that nobody waits for, each as a run would make it. It is an object of its own.
type BulkList struct {
	Models Models    `json:"models"` // as a bundle has them, to find who serves a row
	Rows   []BulkRow `json:"rows"`
}

// BulkRow is one call. Its response is kept under its identity, where the run that makes the call finds it.
type BulkRow struct {
	Attempt string          `json:"attempt"` // part of the call's identity
	Model   string          `json:"model"`   // as the bundle names it
	Request json.RawMessage `json:"request"` // as activities/provider/model has it; its model is the name at the provider
}

// BulkCall is how far a run is whose calls are made in batches.
type BulkCall struct {
	Row    *BulkRow        // its next call; nil where there is none
	Models Models          // as its bundle has them
	Output json.RawMessage // of the run, where the responses to all its calls are recorded
}

// BulkRequest has the calls of a list made in batches, as far as their providers have a batch interface.
type BulkRequest struct {
	Tenant string `json:"tenant"`
	ID     string `json:"id"`               // lower-case letters, digits and hyphens
	List   Ref    `json:"list"`             // of a BulkList
	Rounds int    `json:"rounds,omitempty"` // how often a row may be ordered that came back without an end; default 3
}

// BulkRound asks for the batches of a round: of the rows that are not answered and have not failed for good.
type BulkRound struct {
	Bulk    BulkRequest `json:"bulk"`
	Round   int         `json:"round"`             // from 0
	Without []string    `json:"without,omitempty"` // models, as the bundle names them, of which their provider takes no batch
}

// MaxBulkParts is how many batches a round may have.
const MaxBulkParts = 16

// BulkPlan is what a round orders.
type BulkPlan struct {
	Parts  []BulkPart `json:"parts,omitempty"` // at most [MaxBulkParts]
	Known  int        `json:"known"`           // rows whose response is recorded
	Failed int        `json:"failed"`          // rows that failed for good in an earlier round
	Single int        `json:"single"`          // rows whose provider has no batch interface, or that cannot be served: to be asked for one by one
	Later  int        `json:"later,omitempty"` // rows beyond the parts: for the next round
}

// BulkPart is one batch.
type BulkPart struct {
	Tenant string `json:"tenant"`
	ID     string `json:"id"` // of the bulk
	Round  int    `json:"round"`
	Part   int    `json:"part"`
	Model  string `json:"model"` // as the bundle names it
	Target string `json:"target"`
	Rows   int    `json:"rows"`
	Models Ref    `json:"models"` // of what finding the model takes, a Models
	List   Ref    `json:"list"`   // of its rows, a list of BulkRow
}

// LogFields names the batch in logs.
func (p BulkPart) LogFields() []any {
	return []any{"tenant", p.Tenant, "bulk", p.ID, "round", p.Round, "part", p.Part, "target", p.Target}
}

// BulkOrdered says what became of an order.
type BulkOrdered struct {
	Batch   string     `json:"batch,omitempty"`   // the provider's name for it; empty where there is none
	Refused *StepError `json:"refused,omitempty"` // the provider does not take it
}

// BulkCheck asks how a batch is doing, or for its results.
type BulkCheck struct {
	Part  BulkPart `json:"part"`
	Batch string   `json:"batch"`
	Seen  int      `json:"seen,omitempty"` // rows that were done when it was asked last
}

// LogFields names the batch in logs.
func (c BulkCheck) LogFields() []any { return c.Part.LogFields() }

// BulkStatus is how far a batch is.
type BulkStatus struct {
	Ended   bool       `json:"ended,omitempty"`
	Done    int        `json:"done"`
	Refused *StepError `json:"refused,omitempty"` // it ended without any row having been begun
}

// BulkCollected is what a batch brought. It counts the whole batch, however often it is collected.
type BulkCollected struct {
	Done       int    `json:"done"`                 // answered
	Failed     int    `json:"failed,omitempty"`     // for good
	Missing    int    `json:"missing,omitempty"`    // without an end: to be ordered again
	Unreadable int    `json:"unreadable,omitempty"` // lines of results that say nothing; their rows are among the missing
	Usage      Usage  `json:"usage"`                // of what was answered
	Cost       Cost   `json:"cost"`                 // at the price of batches
	Reason     string `json:"reason,omitempty"`     // of a failure
}

// BulkFailure is a row that failed for good.
type BulkFailure struct {
	Identity string `json:"identity"` // of the call
	Code     Code   `json:"code"`
	Message  string `json:"message"`
}

// BulkReport is how far calls in batches are, and in the end what became of them.
type BulkReport struct {
	Rows    int    `json:"rows"`
	Known   int    `json:"known,omitempty"` // recorded before the first batch was ordered
	Done    int    `json:"done"`            // answered by batches
	Failed  int    `json:"failed,omitempty"`
	Single  int    `json:"single,omitempty"` // rows that no batch was ordered for
	Missing int    `json:"missing"`          // neither answered nor failed
	Rounds  int    `json:"rounds"`
	Batches int    `json:"batches"` // that were ordered
	Usage   Usage  `json:"usage"`
	Cost    Cost   `json:"cost"`
	Reason  string `json:"reason,omitempty"`  // of the last failure
	Stopped bool   `json:"stopped,omitempty"` // it was cancelled; what was answered by then is kept
}

// CheckBulkID reports why id cannot name calls in batches.
func CheckBulkID(id string) error {
	if id == "" || len(id) > 128 || !only(id, isLower, "-") {
		return Errorf(Invalid, "calls in batches cannot be named %q: use 1 to 128 lower-case letters, digits and hyphens", clip(id))
	}
	return nil
}

// BulkName is what the provider is told to call a batch. It names one order only.
func (p BulkPart) BulkName() string {
	return Hash([]byte(fmt.Sprintf("%s\n%s\n%d\n%d\n%s", p.Tenant, p.ID, p.Round, p.Part, p.List.SHA256)))
}
