package schemas

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Release is the record of a release. What is released is the bundle: its JSON in canonical form, whose SHA-256 names the release.
type Release struct {
	Hash      string `json:"hash"`
	Chain     string `json:"chain"`
	Bundle    Ref    `json:"bundle"`
	CreatedMS int64  `json:"created_ms"`
	By        Actor  `json:"by"`
	Source    string `json:"source,omitempty"` // where it was made from: a folder's name, or github://owner/repo@commit:path
	Message   string `json:"message,omitempty"`
}

// ReleaseRequest asks to make releases of the chains of a project in a repository.
type ReleaseRequest struct {
	Tenant  string `json:"tenant"`
	Source  string `json:"source"`          // github://OWNER/REPO@REF:PATH; once it is resolved, REF is a commit
	Chain   string `json:"chain,omitempty"` // empty is all chains of the project
	Message string `json:"message,omitempty"`
	By      Actor  `json:"by"`
}

// ReleaseOutcome is what came of it.
type ReleaseOutcome struct {
	Source string  `json:"source"` // with the commit that was read
	Made   Content `json:"made"`   // of a ReleasesMade
}

// ReleasesMade are the releases that were made, by chain, or the problems that kept them from being made.
type ReleasesMade struct {
	Releases []ReleaseMade `json:"releases,omitempty"`
	Problems []Problem     `json:"problems,omitempty"`
}

// ReleaseMade is one release that was made.
type ReleaseMade struct {
	Chain   string `json:"chain"`
	Hash    string `json:"hash"`
	Existed bool   `json:"existed,omitempty"` // the same content was released before
}

// Actor is who did something: the holder of an API key.
type Actor struct {
	Key  string `json:"key"`            // id of the key
	Name string `json:"name,omitempty"` // of its holder
}

// Same reports whether both may be one person: they use one key, or keys with one name.
func (a Actor) Same(b Actor) bool { return a.Key == b.Key || a.Name != "" && a.Name == b.Name }

// LabelEvent is one entry of a label's history, and how the label stands after it. Entries are numbered from 1 without a gap; the last
// one says how the label stands.
type LabelEvent struct {
	Number    int            `json:"number"`
	Kind      LabelEventKind `json:"kind"`
	AtMS      int64          `json:"at_ms"`
	By        Actor          `json:"by"`
	Why       string         `json:"why,omitempty"`
	Release   string         `json:"release,omitempty"`   // that the label points to; empty for none
	Before    string         `json:"before,omitempty"`    // that it pointed to before
	Back      int            `json:"back,omitempty"`      // number of the entry to whose release an undo goes; 0 where there is no way back
	Protected bool           `json:"protected,omitempty"` // a move needs a second person
	Recalled  bool           `json:"recalled,omitempty"`  // the release was: no run starts by the label
	Recall    string         `json:"recall,omitempty"`    // of a recall: the release that was recalled, which need not be the label's
	Proposal  *LabelProposal `json:"proposal,omitempty"`  // that waits for a second person
	Decided   *LabelProposal `json:"decided,omitempty"`   // that this entry approved or rejected

	Requires []SuiteRequirement `json:"requires,omitempty"` // suites that pass before a move; an undo needs none
	Gate     *LabelGate         `json:"gate,omitempty"`     // of a move of a label that requires suites
}

// LabelEventKind is what happened to a label.
type LabelEventKind string

// The kinds of entries.
const (
	LabelSet       LabelEventKind = "set"
	LabelUndo      LabelEventKind = "undo"
	LabelPropose   LabelEventKind = "propose"
	LabelApprove   LabelEventKind = "approve"
	LabelReject    LabelEventKind = "reject"
	LabelProtect   LabelEventKind = "protect"
	LabelUnprotect LabelEventKind = "unprotect"
	LabelRecall    LabelEventKind = "recall"  // a release of the chain was recalled
	LabelRequire   LabelEventKind = "require" // the suites that it requires are others
)

// LabelProposal is a move of a protected label that waits for a second person.
type LabelProposal struct {
	Number  int    `json:"number"` // of the entry that proposed it
	Release string `json:"release"`
	Undo    bool   `json:"undo,omitempty"`
	By      Actor  `json:"by"`
	AtMS    int64  `json:"at_ms"`
	Why     string `json:"why,omitempty"`

	Gate *LabelGate `json:"gate,omitempty"` // of a label that requires suites
}

// ReleasedRun is a run on a release in the release's list of runs.
type ReleasedRun struct {
	RunID    string            `json:"run_id"`
	Chain    string            `json:"chain"`
	Release  string            `json:"release"`
	Label    string            `json:"label,omitempty"`
	Status   string            `json:"status"`
	StartMS  int64             `json:"start_ms"`
	TookMS   int64             `json:"took_ms"`
	Lane     bool              `json:"lane,omitempty"`
	Steps    int               `json:"steps,omitempty"`
	Usage    Usage             `json:"usage"`
	Cost     Cost              `json:"cost"`
	Failure  *StepError        `json:"failure,omitempty"`
	Key      string            `json:"key,omitempty"` // id of the API key that asked for it
	Metadata map[string]string `json:"metadata,omitempty"`
}

var (
	chainPattern   = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	labelPattern   = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$`)
	releasePattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// CheckChain reports why name cannot be a chain's.
func CheckChain(name string) error {
	if !chainPattern.MatchString(name) {
		return Errorf(Invalid, "chain %q: a chain's name has at most 63 lower-case letters, digits, hyphens and underscores, a letter first", clip(name))
	}
	return nil
}

// CheckLabel reports why name cannot be a label's.
func CheckLabel(name string) error {
	if !labelPattern.MatchString(name) {
		return Errorf(Invalid, "label %q: a label has at most 40 lower-case letters, digits and hyphens, a letter first", clip(name))
	}
	return nil
}

// CheckRelease reports why hash cannot name a release.
func CheckRelease(hash string) error {
	if !releasePattern.MatchString(hash) {
		return Errorf(Invalid, "release %q: a release is named by 64 hex digits in lower case", clip(hash))
	}
	return nil
}

// CutLabel splits a chain with a label, such as docs-qa@staging. The label is empty where none is named. Error: invalid.
func CutLabel(target string) (chain, label string, err error) {
	chain, label, named := strings.Cut(target, "@")
	if err := CheckChain(chain); err != nil {
		return "", "", err
	}
	if named {
		err = CheckLabel(label)
	}
	return chain, label, err
}

// ShortRelease is the part of a release's hash that people read.
func ShortRelease(hash string) string { return hash[:min(12, len(hash))] }

// Bounds of the metadata of a run.
const (
	MaxMetadata      = 16   // pairs
	MaxMetadataBytes = 1024 // of all keys and values
)

var metadataPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,63}$`)

// CheckMetadata reports why the metadata cannot go with a run: it travels in messages and stands in lists, so it is small.
func CheckMetadata(metadata map[string]string) error {
	if len(metadata) > MaxMetadata {
		return Errorf(Invalid, "metadata has %d keys; at most %d are kept", len(metadata), MaxMetadata)
	}
	size := 0
	for key, value := range metadata {
		if !metadataPattern.MatchString(key) {
			return Errorf(Invalid, "metadata key %q: use at most 64 letters, digits, dots, hyphens and underscores, a letter first", clip(key))
		}
		size += len(key) + len(value)
	}
	if size > MaxMetadataBytes {
		return Errorf(Invalid, "metadata has %d bytes; at most %d are kept", size, MaxMetadataBytes)
	}
	return nil
}

// ReleasePrefix is where the records of a chain's releases live; of all chains if chain is empty.
func ReleasePrefix(tenant, chain string) string {
	return folder(TenantPrefix(tenant)+"releases/", chain)
}

// ReleaseKey is the record of a release.
func ReleaseKey(tenant, chain, hash string) string {
	return ReleasePrefix(tenant, chain) + hash + ".json"
}

// LabelPrefix is where the history of a chain's label lives; of all its labels if label is empty, of all chains if chain is.
func LabelPrefix(tenant, chain, label string) string {
	prefix := folder(TenantPrefix(tenant)+"labels/", chain)
	if chain == "" {
		return prefix
	}
	return folder(prefix, label)
}

func folder(prefix, name string) string {
	if name == "" {
		return prefix
	}
	return prefix + name + "/"
}

// labelEvents is one more than the highest number of an entry.
const labelEvents = 10_000_000_000

// LabelEventKey is the entry of a label's history with this number. Later ones sort before earlier ones, so that a list begins with how
// the label stands.
func LabelEventKey(tenant, chain, label string, number int) string {
	return fmt.Sprintf("%s%010d.json", LabelPrefix(tenant, chain, label), labelEvents-number)
}

// LabelOpenKey says that a label is about to be set for the first time. It sorts behind the entries.
func LabelOpenKey(tenant, chain, label string) string {
	return LabelPrefix(tenant, chain, label) + "open.json"
}

// LabelEventNumber is the number of the entry at a key; 0 for another key.
func LabelEventNumber(key string) int {
	var n int
	name := strings.TrimSuffix(key[strings.LastIndexByte(key, '/')+1:], ".json")
	if _, err := fmt.Sscanf(name, "%d", &n); err != nil || n <= 0 || n >= labelEvents {
		return 0
	}
	return labelEvents - n
}

// ReleasedRunOf is what the list of a release's runs has of a run.
func ReleasedRunOf(e Exchange) ReleasedRun {
	return ReleasedRun{
		RunID: e.RunID, Chain: e.Chain, Release: e.Release, Label: e.Label, Status: e.Status, StartMS: e.StartMS, TookMS: e.TookMS, Lane: e.Lane,
		Steps: len(e.Steps), Usage: e.Usage, Cost: e.Cost, Failure: e.Failure, Key: e.Key, Metadata: e.Metadata,
	}
}

// The memo fields of a run that is a workflow of its own.
const (
	MemoLabel = "label" // of one on a release
	MemoKey   = "key"   // likewise
	MemoLease = "lease" // under which it was admitted, where a budget applies
)

// Memo is what is noted with the workflow of a run, for those who must know of it before it has left a record; nil for nothing.
func (r RunRequest) Memo() map[string]string {
	memo := map[string]string{}
	if r.Release != "" {
		memo[MemoLabel], memo[MemoKey] = r.Label, r.Key
	}
	if r.Charge.Lease != "" {
		memo[MemoLease] = r.Charge.Lease
	}
	if len(memo) == 0 {
		return nil
	}
	return memo
}

// Life is the sign of life of a process, and what it has in its lanes.
type Life struct {
	Lanes []LaneRunning `json:"lanes,omitempty"`
}

// LaneRunning is a run on a release in a lane of a process.
type LaneRunning struct {
	Tenant  string `json:"tenant"`
	RunID   string `json:"run_id"`
	Chain   string `json:"chain"`
	Release string `json:"release"`
	Label   string `json:"label,omitempty"`
	StartMS int64  `json:"start_ms"`
	Key     string `json:"key,omitempty"`
}

// ReleasedPrefix is where the list of the runs on a release lives, the latest first.
func ReleasedPrefix(tenant, hash string) string {
	return TenantPrefix(tenant) + "released/" + hash + "/"
}

// ReleasedRunKey is a run in the list of its release. Days and times count backwards, so that a list begins with the run that started last.
func ReleasedRunKey(tenant, hash, run string, start time.Time) string {
	start = start.UTC()
	day := 99_991_231 - (start.Year()*10_000 + int(start.Month())*100 + start.Day())
	return fmt.Sprintf("%s%08d/%013d-%s.json", ReleasedPrefix(tenant, hash), day, lastMS-start.UnixMilli(), run)
}

// lastMS is the last millisecond that has 13 digits, in the year 2286.
const lastMS = 9_999_999_999_999
