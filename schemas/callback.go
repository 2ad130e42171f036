package schemas

import "encoding/json"

// CallbackRequest has a run carried out, and its end told to the URL in it.
type CallbackRequest struct {
	Run RunRequest `json:"run"`
}

// CallbackOf names a run whose end is told.
type CallbackOf struct {
	Tenant  string `json:"tenant"`
	RunID   string `json:"run_id"`
	StartMS int64  `json:"start_ms"`
}

// CallbackBody is what is told: the bytes of a CallbackEvent, the same at every attempt.
type CallbackBody struct {
	Body   Ref    `json:"body"`
	Status string `json:"status"` // that the run ended with
}

// DeliverRequest asks to tell it.
type DeliverRequest struct {
	CallbackOf

	URL  string `json:"url"`
	Body Ref    `json:"body"`
}

// KeepDeliveryRequest asks to keep how a delivery ended. Attempts and what they met with are those that are kept already where it names none.
type KeepDeliveryRequest struct {
	CallbackOf

	Delivery Delivery `json:"delivery"`
}

// Delivery is how the delivery of a callback stands.
type Delivery struct {
	State     string `json:"state"`
	To        string `json:"to,omitempty"`         // scheme and host of the URL, with a port that is not the scheme's own
	MessageID string `json:"message_id,omitempty"` // that receivers see as webhook-id
	Attempts  int    `json:"attempts"`             // that came to an end
	Status    int    `json:"status,omitempty"`     // HTTP status of the last one; 0 where there was no answer
	Detail    string `json:"detail,omitempty"`     // why the last one failed
	LastMS    int64  `json:"last_ms,omitempty"`    // when the last one ended, Unix milliseconds; of one that is delivered, when that was
}

// The states of a delivery. All but the first are final.
const (
	DeliveryPending = "pending"
	Delivered       = "delivered" // the receiver answered with a status from 200 to 299
	DeliveryRefused = "refused"   // the receiver wants no more (410), or the URL leads to an address that may not be called
	DeliveryGivenUp = "given_up"  // it failed for as long as it is tried
)

// CallbackEvent is the body of a callback, with the properties that the Standard Webhooks specification recommends,
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
type CallbackEvent struct {
	Type      string      `json:"type"`      // run.done, run.failed or run.cancelled
	Timestamp string      `json:"timestamp"` // of the run's end, RFC 3339
	Data      CallbackRun `json:"data"`
}

// CallbackOutputMost is the longest output, in bytes of JSON, that stands in a callback itself.
const CallbackOutputMost = 16 << 10

// CallbackRun is what the record of a run says of its outcome.
type CallbackRun struct {
	RunID       string            `json:"run_id"`
	Chain       string            `json:"chain"`
	Release     string            `json:"release,omitempty"`
	Label       string            `json:"label,omitempty"`
	Status      string            `json:"status"` // done, failed or cancelled
	Output      json.RawMessage   `json:"output,omitempty"`
	OutputBytes int64             `json:"output_bytes,omitempty"` // of an output that is too long to stand here
	Failure     *StepError        `json:"failure,omitempty"`
	Usage       Usage             `json:"usage"`
	Cost        Cost              `json:"cost"`
	StartMS     int64             `json:"start_ms"` // Unix milliseconds
	EndMS       int64             `json:"end_ms"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	RerunOf     string            `json:"rerun_of,omitempty"` // run on a recalled release in whose place this one was
	RerunAs     string            `json:"rerun_as,omitempty"` // run in whose place that one is
	Href        string            `json:"href"`               // path at the gateway that has the whole record
}
