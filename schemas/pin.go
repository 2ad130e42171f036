package schemas

// PinRequest asks to pin a run to the release that it starts on: what a label points to now, or the one that is named. The input travels in it,
// so it is bounded by MaxPinInput.
type PinRequest struct {
	Tenant      string            `json:"tenant"`
	RunID       string            `json:"run_id"` // and idempotency key
	Chain       string            `json:"chain"`
	Label       string            `json:"label,omitempty"`   // or Release
	Release     string            `json:"release,omitempty"` // hash
	Input       string            `json:"input"`             // a JSON object
	Metadata    map[string]string `json:"metadata,omitempty"`
	Fingerprint string            `json:"fingerprint"` // the same for requests that ask for the same
}

// MaxPinInput is how many bytes of a run's input may travel in a message; a longer one goes through the gateway.
const MaxPinInput = 64 << 10

// PinOutcome says how the run goes on. One of its fields is set.
type PinOutcome struct {
	Run     *RunRequest `json:"run,omitempty"`     // to be started as a workflow of its own, or joined
	Outcome *RunOutcome `json:"outcome,omitempty"` // the same request came before, and this became of it
	Held    bool        `json:"held,omitempty"`    // the same request came before, and a process is at it; ask again, or wait for its workflow
	Gateway string      `json:"gateway,omitempty"` // why only a gateway may begin the run
}

// FetchRequest asks for a text that a result only points to.
type FetchRequest struct {
	Tenant string `json:"tenant"`
	Ref    Ref    `json:"ref"`
}

// Fetched is the text, MaxFetch bytes at most.
type Fetched struct {
	Text string `json:"text"`
}

// MaxFetch is how long a text may be that is fetched over Temporal, whose results are bounded (2 MiB).
const MaxFetch = 1 << 20
