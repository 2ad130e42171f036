package rest

import (
	"encoding/json"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// NewRelease asks to make a release of a chain that is sent along.
type NewRelease struct {
	Bundle  schemas.Bundle `json:"bundle" doc:"The chain and all it uses, as tenuto release sends it."`
	Source  string         `json:"source,omitempty" maxLength:"500" doc:"Where it was made from, for people."`
	Message string         `json:"message,omitempty" maxLength:"2000" doc:"What is new."`
}

// ImportRelease asks to make releases of a project in a repository.
type ImportRelease struct {
	Source  string `json:"source" maxLength:"1000" doc:"github://OWNER/REPO@REF:PATH, where REF is a branch, a tag or a commit, and PATH the folder of the project. Both may be left out."`
	Chain   string `json:"chain,omitempty" doc:"Release this chain only; all of the project if absent."`
	Message string `json:"message,omitempty" maxLength:"2000" doc:"What is new."`
}

// ImportedReleases are the releases that were made, or the problems that kept them from being made.
type ImportedReleases struct {
	Source   string           `json:"source" doc:"With the commit that was read."`
	Releases []Release        `json:"releases"`
	Problems []ProjectProblem `json:"problems,omitempty" doc:"What is wrong with the project; then nothing was made."`
}

// ProjectProblem is a fault in a project's file.
type ProjectProblem schemas.Problem

// Release is a release as lists show it.
type Release struct {
	Hash      string        `json:"hash" doc:"Names the release: the SHA-256 of its bundle in canonical form."`
	Chain     string        `json:"chain"`
	CreatedAt time.Time     `json:"created_at"`
	By        schemas.Actor `json:"by"`
	Source    string        `json:"source,omitempty"`
	Message   string        `json:"message,omitempty"`
	Labels    []string      `json:"labels,omitempty" doc:"That point to it now."`
	Recalled  *Recalled     `json:"recalled,omitempty" doc:"Present when it was recalled: no run starts on it."`
	Existed   bool          `json:"existed,omitempty" doc:"The same content was released before; this is that release."`
}

// Recalled says that a release was recalled.
type Recalled struct {
	Action schemas.RecallAction `json:"action" enum:"stop,finish,rerun-on"`
	On     string               `json:"on,omitempty" doc:"Release that runs start anew on."`
	At     time.Time            `json:"at"`
	By     schemas.Actor        `json:"by"`
	Why    string               `json:"why,omitempty"`
}

// ReleaseContent is a release with all that it holds.
type ReleaseContent struct {
	Release
	Bundle schemas.Bundle `json:"bundle"`
}

// Difference is what differs between two releases.
type Difference struct {
	From     Release         `json:"from"`
	To       Release         `json:"to"`
	Settings []SettingChange `json:"settings" doc:"By path."`
	Prompts  []PromptChange  `json:"prompts" doc:"By name."`
}

// SettingChange is a setting that differs: of chains, models, routes, providers, recipes, and the front matter of prompts.
type SettingChange struct {
	Path string          `json:"path" doc:"Such as chains.docs-qa.steps.answer.generate.max_cost, or prompts.answer.config.temperature."`
	Old  json.RawMessage `json:"old,omitempty" doc:"Absent where there was none."`
	New  json.RawMessage `json:"new,omitempty" doc:"Absent where there is none."`
}

// PromptChange is a prompt or partial whose text differs.
type PromptChange struct {
	Name string `json:"name"`
	Kind string `json:"kind" enum:"added,removed,changed"`
	Diff string `json:"diff,omitempty" doc:"Of a changed one: the lines that differ, in the unified format."`
}

// MoveLabel asks to move a label.
type MoveLabel struct {
	Release string `json:"release,omitempty" doc:"Hash of the release, or the beginning of it; or undo."`
	Undo    bool   `json:"undo,omitempty" doc:"Go back to the release that the label pointed to before. Each undo goes one further back."`
	Expect  string `json:"expect,omitempty" doc:"Hash of the release that the label must point to now, or the beginning of it, or none; anything if absent."`
	Why     string `json:"why,omitempty" maxLength:"2000"`

	Waited   []string `json:"waited,omitempty" maxItems:"20" doc:"Of a label that requires suites: ids of the runs that an earlier answer named, whose verdicts this request wants. A run that ended without a verdict and is not named here is followed by another."`
	Override bool     `json:"override,omitempty" doc:"Move a label that requires suites whatever they say. It takes a reason, and both are recorded."`
	Reason   string   `json:"reason,omitempty" maxLength:"2000" doc:"Of an override."`
}

// DecideLabel approves or rejects the move of a protected label.
type DecideLabel struct {
	Proposal int    `json:"proposal" minimum:"1" doc:"Number of the proposal."`
	Why      string `json:"why,omitempty" maxLength:"2000"`
}

// ProtectLabel says whether moves of a label need a second person.
type ProtectLabel struct {
	Protected bool   `json:"protected"`
	Why       string `json:"why,omitempty" maxLength:"2000"`
}

// Label is how a label stands.
type Label struct {
	Chain     string         `json:"chain"`
	Label     string         `json:"label"`
	Release   string         `json:"release,omitempty" doc:"Absent where it points to none yet."`
	Number    int            `json:"number" doc:"Of the last entry of its history."`
	ChangedAt time.Time      `json:"changed_at"`
	By        schemas.Actor  `json:"by"`
	Why       string         `json:"why,omitempty"`
	Protected bool           `json:"protected,omitempty" doc:"Moves need a second person."`
	Recalled  bool           `json:"recalled,omitempty" doc:"The release was recalled: no run starts by the label."`
	Proposal  *LabelProposal `json:"proposal,omitempty" doc:"A move that waits for a second person."`

	Requires []schemas.SuiteRequirement `json:"requires,omitempty" doc:"Suites that have to pass before a move; going back needs none."`
	Gate     *schemas.LabelGate         `json:"gate,omitempty" doc:"Of the last entry: the verdicts that let the move through, or who overrode them."`
	Waiting  []GateRun                  `json:"waiting,omitempty" doc:"Of a move that is not decided yet: the runs of the suites. Ask again, with their ids as waited."`
}

// LabelProposal is a move that waits for a second person, or that was decided.
type LabelProposal struct {
	Number  int           `json:"number"`
	Release string        `json:"release"`
	Undo    bool          `json:"undo,omitempty"`
	By      schemas.Actor `json:"by"`
	At      time.Time     `json:"at"`
	Why     string        `json:"why,omitempty"`

	Gate *schemas.LabelGate `json:"gate,omitempty" doc:"Of a label that requires suites: their verdicts, or who overrode them."`
}

// LabelEntry is one entry of a label's history.
type LabelEntry struct {
	Number    int                    `json:"number"`
	Kind      schemas.LabelEventKind `json:"kind" enum:"set,undo,propose,approve,reject,protect,unprotect,recall,require"`
	At        time.Time              `json:"at"`
	By        schemas.Actor          `json:"by"`
	Why       string                 `json:"why,omitempty"`
	Release   string                 `json:"release,omitempty" doc:"That the label points to from then on."`
	Before    string                 `json:"before,omitempty" doc:"That it pointed to before."`
	Protected bool                   `json:"protected,omitempty"`
	Recall    string                 `json:"recall,omitempty" doc:"Of recall: the release of the chain that was recalled."`
	Proposal  *LabelProposal         `json:"proposal,omitempty" doc:"Of propose: what was proposed."`
	Decided   *LabelProposal         `json:"decided,omitempty" doc:"Of approve and reject: the proposal."`

	Requires []schemas.SuiteRequirement `json:"requires,omitempty" doc:"Of require: the suites that have to pass from then on."`
	Gate     *schemas.LabelGate         `json:"gate,omitempty" doc:"Of a move of a label that requires suites: their verdicts, or who overrode them."`
}

// NewChainRun asks for a run of a chain under a release.
type NewChainRun struct {
	Input    json.RawMessage   `json:"input,omitempty" doc:"The input of the chain, an object."`
	Label    string            `json:"label,omitempty" doc:"Label of the chain, such as production: the run is pinned to the release that it points to now. It may stand in the path, as in docs-qa@production, instead."`
	Release  string            `json:"release,omitempty" doc:"Hash of a release, instead of a label."`
	Mode     string            `json:"mode,omitempty" enum:"wait,detach,stream" doc:"wait for the result, which is the default; detach: answer as soon as the run is accepted; stream: server-sent events with the answer while it comes in, and the result."`
	Metadata map[string]string `json:"metadata,omitempty" doc:"Short texts that are kept with the run: at most 16, with 1024 bytes together."`
	Callback *Callback         `json:"callback,omitempty" doc:"Whom to tell when the run has ended, in any mode. The run is then a workflow of its own."`
}

// Callback says whom to tell of the end of a run.
type Callback struct {
	URL string `json:"url" doc:"http or https, at a public address. The outcome is posted there, signed by the Standard Webhooks specification, until the receiver answers with a status from 200 to 299, for three days at most."`
}

// CallbackSecret is what a receiver checks signatures with.
type CallbackSecret struct {
	Secrets []string `json:"secrets" doc:"In the form of the Standard Webhooks specification, whsec_ and base64. Callbacks are signed with all of them; the first one stays."`
}

// Delta is a piece of an answer that comes in.
type Delta struct {
	Text string `json:"text"`
}

// NewRecall asks to recall a release.
type NewRecall struct {
	Release string               `json:"release" doc:"Hash of the release, the beginning of it, or a chain with a label."`
	Action  schemas.RecallAction `json:"action" enum:"stop,finish,rerun-on" doc:"What becomes of runs in flight: they are cancelled, come to their end, or are cancelled and start anew on another release. New ones do not start."`
	On      string               `json:"on,omitempty" doc:"Of rerun-on: the release that runs start anew on."`
	Why     string               `json:"why,omitempty" maxLength:"2000"`
}

// Recall is how far a recall is.
type Recall struct {
	Release  string                `json:"release"`
	Chain    string                `json:"chain"`
	Recalled Recalled              `json:"recalled"`
	Status   Status                `json:"status" enum:"running,completed,failed,canceled,terminated,timed_out" doc:"Of the work on runs in flight. New runs are refused in any case."`
	InFlight *int                  `json:"in_flight,omitempty" doc:"Runs that are waited for. Absent when it has ended, and while no worker can be asked."`
	Waiting  []Waiting             `json:"waiting,omitempty" doc:"What holds it up, while it runs."`
	Report   *schemas.RecallReport `json:"report,omitempty" doc:"Present when completed."`
	Failure  *Failure              `json:"failure,omitempty" doc:"Present when it ended otherwise."`
	Runs     []RecalledRun         `json:"runs" doc:"That were in flight."`
	Next     string                `json:"next,omitempty" doc:"Cursor of the following page of runs."`
}

// RecalledRun is a run that was in flight on a recalled release.
type RecalledRun struct {
	RunID    string            `json:"run_id"`
	Label    string            `json:"label,omitempty" doc:"By which it was asked for."`
	Key      string            `json:"key,omitempty" doc:"Id of the API key that asked for it."`
	Metadata map[string]string `json:"metadata,omitempty"`
	StartMS  int64             `json:"start_ms" doc:"Unix milliseconds."`
	Lane     bool              `json:"lane,omitempty" doc:"It was in a lane, which it left by itself."`
	Outcome  string            `json:"outcome,omitempty" doc:"cancelled, done, failed, rerun, or unknown for one that left no record; absent while it is not known."`
	RerunAs  string            `json:"rerun_as,omitempty" doc:"Id of the run in its place."`
	Note     string            `json:"note,omitempty" doc:"Why it did not start anew."`
}
