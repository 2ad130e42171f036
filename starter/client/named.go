package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"iter"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Chain is a chain that runs by a label or on a release, with its input and output as Go types, by their JSON. The zero value names no chain.
type Chain[In, Out any] struct {
	client *Client
	name   string
}

// ChainOf names a chain by its label, as in docs-qa@production, or by a release, as in docs-qa@HASH with the whole hash. It makes no call.
func ChainOf[In, Out any](c *Client, name string) Chain[In, Out] { return Chain[In, Out]{c, name} }

// RunOption is a choice for one run.
type RunOption func(*asked)

// WithKey gives the run an idempotency key, which becomes its id: the same request under the same key joins the run or has its stored result, on
// the release that it began on, whatever process asks. Another request under the same key is a conflict. Without one the run has an id of its
// own, and what is repeated on a broken line is still carried out once.
func WithKey(key string) RunOption { return func(a *asked) { a.key = key } }

// WithMetadata notes things with the run: at most 16 pairs and 1,024 bytes.
func WithMetadata(metadata map[string]string) RunOption {
	return func(a *asked) { a.metadata = metadata }
}

// Result is what came of a run.
type Result[Out any] struct {
	RunID  string
	Output Out
	Usage  schemas.Usage
	Cost   schemas.Cost

	Release string // hash of the release that the run was pinned to; empty where the client cannot know
	Label   string // by which it was asked for; likewise
}

// Run starts a run and waits for its result. When ctx ends first the run goes on, and the error is deadline. Errors: invalid for a name or an
// input that does not fit, not_found and refused for a release that is not there or was recalled, conflict where the key belongs to another
// request, malformed_output for an output that is no Out, what the run failed with, and those of [Coded].
func (c Chain[In, Out]) Run(ctx context.Context, in In, options ...RunOption) (Result[Out], error) {
	a, err := c.asked(in, options)
	if err != nil {
		return Result[Out]{}, err
	}
	result, err := c.client.run(ctx, a)
	if err != nil {
		return Result[Out]{RunID: a.key}, err
	}
	return typed[Out](result)
}

// Start starts a run, as a workflow of its own, and returns as soon as it is accepted. Errors: those of Run, save what the run itself fails with.
func (c Chain[In, Out]) Start(ctx context.Context, in In, options ...RunOption) (Handle[Out], error) {
	a, err := c.asked(in, options)
	if err != nil {
		return Handle[Out]{}, err
	}
	begun, err := c.client.start(ctx, a)
	return Handle[Out]{client: c.client, begun: begun}, err
}

// Stream starts a run and yields its answer while it comes in; see [Handle.Events]. It needs a gateway.
func (c Chain[In, Out]) Stream(ctx context.Context, in In, options ...RunOption) iter.Seq2[Event[Out], error] {
	return func(yield func(Event[Out], error) bool) {
		a, err := c.asked(in, options)
		if err != nil {
			yield(Event[Out]{}, err)
			return
		}
		g, err := c.client.gatewayFor("streaming")
		if err != nil {
			yield(Event[Out]{}, err)
			return
		}
		relay(ctx, g.stream(a), yield)
	}
}

// asked is a run that somebody asks for.
type asked struct {
	chain, label, release string
	input                 json.RawMessage
	key                   string // and id of the run
	metadata              map[string]string
}

// asked checks what can be checked here.
func (c Chain[In, Out]) asked(in In, options []RunOption) (asked, error) {
	if c.client == nil {
		return asked{}, schemas.Errorf(schemas.Invalid, "the chain has no client; make it with ChainOf")
	}
	var a asked
	for _, option := range options {
		option(&a)
	}
	if a.key == "" {
		a.key = newRunID()
	}
	if len(a.metadata) == 0 {
		a.metadata = nil
	}
	if err := a.name(c.name); err != nil {
		return a, err
	}
	if err := schemas.CheckRunID(a.key); err != nil {
		return a, err
	}
	if err := schemas.CheckMetadata(a.metadata); err != nil {
		return a, err
	}
	var err error
	if a.input, err = json.Marshal(in); err != nil {
		return a, schemas.Wrap(schemas.Invalid, err, "the input of chain %s cannot be written as JSON", a.chain)
	}
	return a, nil
}

// name splits CHAIN@LABEL or CHAIN@HASH. No label looks like a hash.
func (a *asked) name(name string) error {
	chain, of, _ := strings.Cut(name, "@")
	if schemas.CheckRelease(of) == nil {
		a.chain, a.release = chain, of
		return schemas.CheckChain(chain)
	}
	var err error
	if a.chain, a.label, err = schemas.CutLabel(name); err != nil {
		return err
	}
	if a.label == "" {
		return schemas.Errorf(schemas.Invalid, "name what to run of chain %s: a label, as in %s@production, or the whole hash of a release", chain, chain)
	}
	return nil
}

// NamedFingerprint is the same for runs by a label or release that ask for the same. A run by label is asked for by the label, wherever that
// points. The callback is the URL that hears of the end; empty for none.
func NamedFingerprint(chain, label, release string, input json.RawMessage, metadata map[string]string, callback string) string {
	var compact bytes.Buffer
	if json.Compact(&compact, input) != nil {
		compact.Reset()
		compact.Write(input)
	}
	if len(metadata) == 0 {
		metadata = nil
	}
	of := []any{"released", chain, label, release, compact.String(), metadata}
	if callback != "" {
		of = append(of, callback)
	}
	data, err := json.Marshal(of)
	if err != nil { // strings always marshal
		panic(err)
	}
	return schemas.Hash(data)[:32]
}

// newRunID makes an id that tells when the run started, by which its record is found.
func newRunID() string {
	var random [10]byte
	_, _ = rand.Read(random[:]) // it never fails; crypto/rand
	return schemas.RunIDAt(time.Now().UnixMilli(), random)
}

// outcome is a result whose output is JSON.
type outcome struct {
	RunID   string          `json:"run_id"`
	Status  string          `json:"status"`
	Output  json.RawMessage `json:"output"`
	Usage   schemas.Usage   `json:"usage"`
	Cost    schemas.Cost    `json:"cost"`
	Release string          `json:"release"`
	Label   string          `json:"label"`
}

// typed is a result as Go has it. Error: malformed_output.
func typed[Out any](o outcome) (Result[Out], error) {
	result := Result[Out]{RunID: o.RunID, Usage: o.Usage, Cost: o.Cost, Release: o.Release, Label: o.Label}
	if len(o.Output) == 0 {
		return result, nil
	}
	if err := json.Unmarshal(o.Output, &result.Output); err != nil {
		return result, schemas.Wrap(schemas.MalformedOutput, err, "the output of run %s is no %T; \"tenuto runs show\" shows it", o.RunID, result.Output)
	}
	return result, nil
}
