package schemas

import "crypto/sha256"

// Recall is the mark of a release that was recalled, and what was last asked to become of the runs on it.
type Recall struct {
	Chain   string       `json:"chain"`
	Release string       `json:"release"`
	Action  RecallAction `json:"action"`
	On      string       `json:"on,omitempty"` // release that runs start anew on
	AtMS    int64        `json:"at_ms"`
	By      Actor        `json:"by"`
	Why     string       `json:"why,omitempty"`
}

// RecallAction is what becomes of runs in flight on a recalled release.
type RecallAction string

// The actions. All of them keep new runs from starting.
const (
	RecallStop   RecallAction = "stop"     // they are cancelled
	RecallFinish RecallAction = "finish"   // they come to their end
	RecallRerun  RecallAction = "rerun-on" // they are cancelled and start anew on another release
)

// RecallRequest asks to deal with the runs on a recalled release.
type RecallRequest struct {
	Tenant string `json:"tenant"`
	Recall Recall `json:"recall"`
	Sweeps int    `json:"sweeps,omitempty"` // made by the executions before
	Quiet  int    `json:"quiet,omitempty"`  // of them, how many in a row found nothing left to do
}

// RecallSweep is what one look at the runs on a recalled release found and did.
type RecallSweep struct {
	InFlight int          `json:"in_flight"`        // runs that have not ended, or whose end is not recorded yet
	Rerun    []RunRequest `json:"rerun,omitempty"`  // runs to start anew; a few at a time
	More     bool         `json:"more,omitempty"`   // there are runs that it did not get to
	Oldest   string       `json:"oldest,omitempty"` // id of a run that is waited for
}

// RecallReport is what became of the runs on a recalled release.
type RecallReport struct {
	Affected  int `json:"affected"` // runs that were in flight
	Callers   int `json:"callers"`  // API keys that had asked for them
	Cancelled int `json:"cancelled,omitempty"`
	Done      int `json:"done,omitempty"`      // that ended well by themselves
	Failed    int `json:"failed,omitempty"`    // that failed by themselves
	Rerun     int `json:"rerun,omitempty"`     // that were cancelled and started anew
	Unknown   int `json:"unknown,omitempty"`   // that left no record: cut off with their process
	InFlight  int `json:"in_flight,omitempty"` // that have not ended
}

// RecalledRun is a run that was in flight on a recalled release, and what became of it.
type RecalledRun struct {
	RunID     string            `json:"run_id"`
	Chain     string            `json:"chain"`
	Release   string            `json:"release"`
	Label     string            `json:"label,omitempty"`
	Key       string            `json:"key,omitempty"`
	Metadata  map[string]string `json:"metadata,omitempty"`
	StartMS   int64             `json:"start_ms"`
	Lane      bool              `json:"lane,omitempty"`
	Batch     bool              `json:"batch,omitempty"`
	Callback  string            `json:"callback,omitempty"` // URL that is told of the end, and of that of the run in its place
	Action    RecallAction      `json:"action"`
	Outcome   string            `json:"outcome,omitempty"`    // a status of a run, or rerun or unknown; empty while it is not known
	RerunAs   string            `json:"rerun_as,omitempty"`   // id of the run that is started anew in its place
	Note      string            `json:"note,omitempty"`       // why it was not started anew
	MissingMS int64             `json:"missing_ms,omitempty"` // since when it neither is in flight nor has left a record
	EndMS     int64             `json:"end_ms,omitempty"`     // when its outcome was found
}

// The outcomes of recalled runs besides the states of runs.
const (
	RecalledRerun   = "rerun"
	RecalledUnknown = "unknown"
)

// RecallPrefix is where the marks of a chain's recalled releases live; of all chains if chain is empty.
func RecallPrefix(tenant, chain string) string {
	return folder(TenantPrefix(tenant)+"recalls/", chain)
}

// RecallKey is the mark of a release that was recalled: where it is, no run starts.
func RecallKey(tenant, chain, hash string) string {
	return RecallPrefix(tenant, chain) + hash + ".json"
}

// RecalledRunsPrefix is where the runs live that were in flight when a release was recalled: those whose outcome is known behind those that
// are open.
func RecalledRunsPrefix(tenant, hash string) string {
	return TenantPrefix(tenant) + "recalled/" + hash + "/"
}

// OpenRecalledPrefix is where those live whose outcome is not known.
func OpenRecalledPrefix(tenant, hash string) string {
	return RecalledRunsPrefix(tenant, hash) + "0-open/"
}

// OpenRecalledKey is a run whose outcome is not known.
func OpenRecalledKey(tenant, hash, run string) string {
	return OpenRecalledPrefix(tenant, hash) + run + ".json"
}

// ClosedRecalledPrefix is where those live whose outcome is known.
func ClosedRecalledPrefix(tenant, hash string) string {
	return RecalledRunsPrefix(tenant, hash) + "1-closed/"
}

// ClosedRecalledKey is a run whose outcome is known.
func ClosedRecalledKey(tenant, hash, run string) string {
	return ClosedRecalledPrefix(tenant, hash) + run + ".json"
}

// RerunID is the id, a UUID of version 7 (RFC 9562), of the run that is started anew on another release in place of one. It follows from
// both, so that a repeated recall starts no second one, and from when the recall began.
func RerunID(run, on string, atMS int64) string {
	sum := sha256.Sum256([]byte(run + "\x00" + on))
	return RunIDAt(atMS, [10]byte(sum[:10]))
}
