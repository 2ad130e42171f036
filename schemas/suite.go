package schemas

import "encoding/json"

// Assertion is one check of a suite. Its JSON names are the YAML keys of promptfoo
// (https://www.promptfoo.dev/docs/configuration/expected-outputs). Templates in Value are rendered with the case's variables; those in
// RubricPrompt are not, because they need the output.
type Assertion struct {
	Type             string          `json:"type"`                       // with "not-" before it, the opposite
	Value            any             `json:"value,omitempty"`            // what JSON can say; its shape is the type's
	Threshold        *float64        `json:"threshold,omitempty"`        // its meaning and default are the type's
	Weight           *float64        `json:"weight,omitempty"`           // nil is 1
	Metric           string          `json:"metric,omitempty"`           // the name under which the suite gathers its score
	Transform        string          `json:"transform,omitempty"`        // a script that makes of the output what is judged
	ContextTransform string          `json:"contextTransform,omitempty"` // a script that finds the context in the output
	Provider         string          `json:"provider,omitempty"`         // the grader, spelt as a provider of a suite; empty is the suite's
	Embedder         string          `json:"embedder,omitempty"`         // what makes vectors of texts, likewise; empty is the suite's
	RubricPrompt     string          `json:"rubricPrompt,omitempty"`     // a template, or a JSON list of messages with templates
	Config           json.RawMessage `json:"config,omitempty"`
	Assert           []Assertion     `json:"assert,omitempty"` // of an assert-set
}

// CellID names one cell by content. Equal ids mean that the same was asked and the same was looked for, whenever and in whichever run,
// so the result is shared. Both are SHA-256 in lower-case hex.
type CellID struct {
	Call  string `json:"call"`  // what decides the output: provider, prompt, what it was rendered with, sample
	Score string `json:"score"` // Call, and what decides the result: assertions, graders, threshold. Rescoring changes only this
}

// SuiteSummary is what a run, a list and a report say of a suite.
type SuiteSummary struct {
	File        string            `json:"file"`
	Description string            `json:"description,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Prompts     int               `json:"prompts"`
	Providers   []string          `json:"providers"` // as the suite calls them
	Tests       int               `json:"tests"`     // before lists of variables are expanded
	Repeat      int               `json:"repeat"`    // samples of each case
	Cells       int64             `json:"cells"`     // what a run has to do
}

// EvalCase is one test with one combination of its variables. ID is the same in every run that has the case, whatever the prompts and
// providers are.
type EvalCase struct {
	ID          string   `json:"id"`
	Description string   `json:"description,omitempty"`
	Tags        []string `json:"tags,omitempty"`
}

// EvalProvider is what answers a cell.
type EvalProvider struct {
	ID      string          `json:"id"`                // as the suite spells it
	Label   string          `json:"label,omitempty"`   // as people call it; empty is ID
	Kind    string          `json:"kind"`              // echo, chain, release, prompt, model or vendor
	Name    string          `json:"name,omitempty"`    // chain, hash, prompt, model, vendor
	API     string          `json:"api,omitempty"`     // of a vendor: chat, responses, messages …
	Version string          `json:"version,omitempty"` // label or release of a chain, model of a vendor
	Config  json.RawMessage `json:"config,omitempty"`  // settings of the provider, the prompt and the test, the latter over the former
}

// EvalCell is one thing to do: a case, under a prompt, by a provider, for the sample-th time.
type EvalCell struct {
	ID         CellID          `json:"id"`
	Case       EvalCase        `json:"case"`
	Provider   EvalProvider    `json:"provider"`
	Prompt     string          `json:"prompt,omitempty"`   // label
	Sample     int             `json:"sample"`             // from 0
	Input      string          `json:"input"`              // the rendered prompt; a JSON list of messages is a chat
	Vars       json.RawMessage `json:"vars,omitempty"`     // an object
	Output     json.RawMessage `json:"output,omitempty"`   // given by the suite instead of a call
	LogProbs   bool            `json:"logprobs,omitempty"` // the provider is asked for log probabilities
	Assertions []Assertion     `json:"assertions,omitempty"`
	Threshold  *float64        `json:"threshold,omitempty"` // of the case's score; nil asks that all assertions hold
	Transform  []string        `json:"transform,omitempty"` // scripts, in their order, before anything is judged
}
