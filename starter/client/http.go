package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	reconnectsMost = 10
	firstPause     = 100 * time.Millisecond // before a call is made again; it doubles
	longestPause   = 3 * time.Second
	problemMost    = 1 << 20 // bytes of an error that are read
)

// gateway speaks the HTTP API that /openapi.json describes.
type gateway struct {
	url, key   string
	http       *http.Client
	reconnects int
}

// ask is one request of the gateway. Each may be repeated: it reads, or carries an idempotency key.
type ask struct {
	method, path string
	key          string // idempotency key
	last         string // id of the last event
	body         []byte
}

// newRun is the body that asks for a run.
type newRun struct {
	Release  string            `json:"release,omitempty"`
	Input    json.RawMessage   `json:"input"`
	Mode     string            `json:"mode"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// askFor is the request of a run.
func askFor(a asked, mode string) (ask, error) {
	target := a.chain
	if a.label != "" {
		target += "@" + a.label
	}
	body, err := json.Marshal(newRun{Release: a.release, Input: a.input, Mode: mode, Metadata: a.metadata})
	return ask{method: http.MethodPost, path: "/api/v1/chains/" + target + "/runs", key: a.key, body: body}, err
}

func runPath(id, more string) string { return "/api/v1/runs/" + url.PathEscape(id) + more }

// post asks for a run.
func (g *gateway) post(ctx context.Context, a asked, mode string) (outcome, error) {
	r, err := askFor(a, mode)
	if err != nil {
		return outcome{}, err
	}
	return call[outcome](ctx, g, r)
}

// run asks for a run and waits for it, longer than one request may.
func (g *gateway) run(ctx context.Context, a asked) (outcome, error) {
	r, err := askFor(a, "wait")
	if err != nil {
		return outcome{}, err
	}
	for tries := 0; ; tries++ {
		o, err := once[outcome](ctx, g, r)
		late := err != nil && schemas.CodeOf(err) == schemas.Deadline && ctx.Err() == nil
		switch {
		case err == nil && o.Status == schemas.RunDone:
			return o, nil
		case err != nil && !late && (!passing(err) || tries >= g.reconnects):
			return o, err
		}
		if ended, failure := g.ended(ctx, a.key); ended { // what it failed with may look like something that passes
			return outcome{}, failure
		}
		if err == nil || late {
			return g.await(ctx, a.key)
		}
		if err := pause(ctx, err, tries); err != nil {
			return o, err
		}
	}
}

// await waits for a run that was started.
func (g *gateway) await(ctx context.Context, id string) (outcome, error) {
	var out outcome
	f := g.events(id)
	f.emit = func(e event) bool {
		out = e.result
		return true
	}
	return out, f.follow(ctx)
}

// shown is what is read of a run.
type shown struct {
	Status  string             `json:"status"`
	Output  json.RawMessage    `json:"output"`
	Failure *schemas.StepError `json:"failure"`
}

// output is the output of a run that ended.
func (g *gateway) output(ctx context.Context, id string) (json.RawMessage, error) {
	run, err := call[shown](ctx, g, ask{method: http.MethodGet, path: runPath(id, "")})
	return run.Output, err
}

// ended reports whether a run has failed for good, and with what.
func (g *gateway) ended(ctx context.Context, id string) (bool, error) {
	run, err := once[shown](ctx, g, ask{method: http.MethodGet, path: runPath(id, "")})
	if err != nil || run.Status != schemas.RunFailed && run.Status != schemas.RunCancelled {
		return false, nil //nolint:nilerr // whoever asks goes on then, and meets the error itself
	}
	return true, FailureOf(schemas.RunOutcome{Failure: run.Failure})
}

func (g *gateway) cancel(ctx context.Context, id string) error {
	_, err := call[json.RawMessage](ctx, g, ask{method: http.MethodPost, path: runPath(id, "/cancel")})
	return err
}

// call makes a request, again where it fails in a way that may pass.
func call[Out any](ctx context.Context, g *gateway, r ask) (Out, error) {
	for tries := 0; ; tries++ {
		out, err := once[Out](ctx, g, r)
		if err == nil || !passing(err) || tries >= g.reconnects {
			return out, err
		}
		if err := pause(ctx, err, tries); err != nil {
			return out, err
		}
	}
}

// passing reports whether the same request may succeed in a moment.
func passing(err error) bool {
	code := schemas.CodeOf(err)
	return code == schemas.Unavailable || code == schemas.RateLimited
}

// pause waits before the next try: longer each time, as long as was asked for, and never as long as others who were cut off with us.
func pause(ctx context.Context, err error, tries int) error {
	wait := min(firstPause<<min(tries, 10), longestPause)
	wait += time.Duration(rand.Int64N(int64(wait)/4 + 1)) //nolint:gosec // it only spreads
	if coded, ok := errors.AsType[*schemas.Error](err); ok && coded.RetryAfter > wait {
		wait = min(coded.RetryAfter, time.Minute)
	}
	return sleep(ctx, wait)
}

func once[Out any](ctx context.Context, g *gateway, r ask) (out Out, err error) {
	response, err := g.open(ctx, r)
	if err != nil {
		return out, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNoContent {
		return out, nil
	}
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil {
		if ctx.Err() != nil {
			return out, Coded(ctx.Err())
		}
		return out, schemas.Wrap(schemas.Unavailable, err, "the answer of %s broke off or is none of a Tenuto gateway", g.url)
	}
	return out, nil
}

// open makes a request whose answer is a good one; the caller closes its body. Errors: those of the gateway's problem, unavailable where it cannot
// be reached, deadline when ctx ends.
func (g *gateway) open(ctx context.Context, r ask) (*http.Response, error) {
	made, err := http.NewRequestWithContext(ctx, r.method, g.url+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "%q is no address of a gateway", g.url)
	}
	made.Header.Set("Authorization", "Bearer "+g.key)
	if r.body != nil {
		made.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		made.Header.Set("Idempotency-Key", r.key)
	}
	if r.last != "" {
		made.Header.Set("Last-Event-ID", r.last)
	}
	response, err := g.http.Do(made)
	if err != nil {
		if ctx.Err() != nil {
			return nil, Coded(ctx.Err())
		}
		return nil, schemas.Wrap(schemas.Unavailable, err, "no gateway answers at %s; check that it runs and that TENUTO_URL is right", g.url)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		defer response.Body.Close()
		return nil, g.problemOf(response)
	}
	return response, nil
}

// problem is an error of the gateway (RFC 9457).
type problem struct {
	Detail string       `json:"detail"`
	Code   schemas.Code `json:"code"`
}

// problemOf reads an error of the gateway. An error of a proxy before it has no code: 5xx passes, all else is somebody's mistake.
func (g *gateway) problemOf(response *http.Response) error {
	var p problem
	err := json.NewDecoder(io.LimitReader(response.Body, problemMost)).Decode(&p)
	if err != nil || p.Code == "" {
		code := schemas.Invalid
		if response.StatusCode >= http.StatusInternalServerError || response.StatusCode == http.StatusTooManyRequests {
			code = schemas.Unavailable
		}
		return schemas.Wrap(code, err, "%s answers with status %d and is no Tenuto gateway; check TENUTO_URL", g.url, response.StatusCode)
	}
	coded := schemas.Errorf(p.Code, "%s", p.Detail)
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		coded.RetryAfter = time.Duration(seconds) * time.Second
	}
	return coded
}
