package model_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// driver answers when its gate lets it.
type driver struct {
	calls   atomic.Int32
	entered chan struct{} // gets one for each call
	gate    chan struct{} // each receive lets one call pass; nil lets all pass
	ended   chan error    // gets the context's error of each call that its gate did not let pass
	err     error
	vectors [][]float32
}

func (d *driver) Generate(ctx context.Context, request model.Request, _ model.Emit) (model.Response, error) {
	d.calls.Add(1)
	if d.entered != nil {
		d.entered <- struct{}{}
	}
	if d.gate != nil {
		select {
		case <-d.gate:
		case <-ctx.Done():
			d.ended <- ctx.Err()
			return model.Response{}, ctx.Err()
		}
	}
	return model.Response{Text: "answer to " + request.Messages[0].Text, Finish: model.FinishStop, Usage: schemas.Usage{InputTokens: 3}}, d.err
}

func (d *driver) Embed(context.Context, model.EmbedRequest) (model.EmbedResponse, error) {
	return model.EmbedResponse{Vectors: d.vectors}, d.err
}

func (d *driver) Limits(name string) (model.Limits, error) {
	if name != "m" {
		return model.Limits{}, schemas.Errorf(schemas.NotFound, "no such model")
	}
	return model.Limits{MaxInputs: 2, Dimensions: 2}, nil
}

func gated() *driver {
	return &driver{entered: make(chan struct{}, 16), gate: make(chan struct{}), ended: make(chan error, 16)}
}

func sample() model.Call {
	return model.Call{Tenant: "acme", Attempt: "run/step/1", Request: model.Request{
		Model: "m", Messages: []model.Message{{Role: model.RoleUser, Text: "q"}},
	}}
}

func TestRecordedOnce(t *testing.T) {
	t.Parallel()
	d, records := &driver{}, &modeltest.Memory{}
	p := &model.Provider{Name: "p", Driver: d, Records: records}
	first, recorded, err := p.Generate(t.Context(), sample())
	if err != nil || recorded || first.Text != "answer to q" || first.Usage.Calls != 1 {
		t.Fatalf("%+v, recorded %v, %v", first, recorded, err)
	}
	after := &model.Provider{Name: "p", Driver: d, Records: records} // another process
	again, recorded, err := after.Generate(t.Context(), sample())
	if err != nil || !recorded || !cmp.Equal(first, again) || d.calls.Load() != 1 {
		t.Errorf("%+v, recorded %v, %v after %d calls", again, recorded, err, d.calls.Load())
	}
	next := sample()
	next.Attempt = "run/step/2"
	if _, recorded, err := p.Generate(t.Context(), next); recorded || err != nil || d.calls.Load() != 2 {
		t.Errorf("a new attempt: recorded %v, %v after %d calls", recorded, err, d.calls.Load())
	}
}

func TestTheRecordTellsWhatWasAsked(t *testing.T) {
	t.Parallel()
	records := &modeltest.Memory{}
	p := &model.Provider{Name: "p", Driver: &driver{}, Records: records}
	resp, _, err := p.Generate(t.Context(), sample())
	if err != nil {
		t.Fatal(err)
	}
	identity, err := model.Identity("p", sample())
	if err != nil {
		t.Fatal(err)
	}
	data, ok, err := records.Load(t.Context(), schemas.CallKey("acme", identity))
	if !ok || err != nil {
		t.Fatal("no record under its key", err)
	}
	var record model.Record
	if err := json.Unmarshal(data, &record); err != nil {
		t.Fatal(err)
	}
	want := model.Record{Provider: "p", Attempt: sample().Attempt, Request: sample().Request, Response: resp}
	if diff := cmp.Diff(want, record); diff != "" {
		t.Error(diff)
	}
}

func TestConcurrentCallersShareOneCall(t *testing.T) {
	t.Parallel()
	d := gated()
	p := &model.Provider{Name: "p", Driver: d, Records: &modeltest.Memory{}}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if resp, _, err := p.Generate(t.Context(), sample()); err != nil || resp.Text != "answer to q" {
				t.Errorf("%+v, %v", resp, err)
			}
		})
	}
	<-d.entered
	close(d.gate)
	group.Wait()
	if n := d.calls.Load(); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

func TestACallerThatLeavesTakesNobodyAlong(t *testing.T) {
	t.Parallel()
	d := gated()
	p := &model.Provider{Name: "p", Driver: d}
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, _, err := p.Generate(ctx, sample())
		left <- err
	}()
	<-d.entered
	stayed := make(chan error)
	go func() {
		_, _, err := p.Generate(joining(t.Context(), cancel), sample())
		stayed <- err
	}()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	d.gate <- struct{}{}
	if err := <-stayed; err != nil || d.calls.Load() != 1 {
		t.Errorf("who stayed got %v after %d calls", err, d.calls.Load())
	}
}

// joining returns a context that calls joined when its end is first watched, which a caller does after it has joined a call.
func joining(ctx context.Context, joined func()) context.Context {
	return &watched{Context: ctx, joined: sync.OnceFunc(joined)}
}

type watched struct {
	context.Context //nolint:containedctx // it is one
	joined          func()
}

func (w *watched) Done() <-chan struct{} {
	w.joined()
	return w.Context.Done()
}

func TestTheLastToLeaveCancelsTheCall(t *testing.T) {
	t.Parallel()
	d := gated()
	p := &model.Provider{Name: "p", Driver: d}
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, _, err := p.Generate(ctx, sample())
		left <- err
	}()
	<-d.entered
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	if err := <-d.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v", err)
	}
	close(d.gate)
	if _, _, err := p.Generate(t.Context(), sample()); err != nil || d.calls.Load() != 2 {
		t.Errorf("the next caller got %v after %d calls", err, d.calls.Load())
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	p := &model.Provider{Name: "p", Driver: gated()}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, _, err := p.Generate(ctx, sample()); schemas.CodeOf(err) != schemas.Deadline {
		t.Errorf("%v, want code deadline", err)
	}
}

func TestAResponseThatCouldNotBeStoredIsNotPaidTwice(t *testing.T) {
	t.Parallel()
	d, records := &driver{}, &modeltest.Memory{}
	records.Fail(errors.New("disk"), errors.New("disk"))
	p := &model.Provider{Name: "p", Driver: d, Records: records}
	for range 2 {
		if resp, _, err := p.Generate(t.Context(), sample()); schemas.CodeOf(err) != schemas.Unavailable || resp.Text != "" {
			t.Fatalf("%+v, %v: want code unavailable", resp, err)
		}
	}
	resp, recorded, err := p.Generate(t.Context(), sample())
	if err != nil || !recorded || resp.Text != "answer to q" || d.calls.Load() != 1 || records.Keys() != 1 {
		t.Errorf("%+v, recorded %v, %v after %d calls, %d records", resp, recorded, err, d.calls.Load(), records.Keys())
	}
}

// slowRecords holds a save until it may go on.
type slowRecords struct {
	modeltest.Memory
	entered, gate chan struct{}
}

func (r *slowRecords) Save(ctx context.Context, key string, data []byte) error {
	r.entered <- struct{}{}
	<-r.gate
	return r.Memory.Save(ctx, key, data)
}

func TestAResponseIsStoredForACallerThatLeft(t *testing.T) {
	t.Parallel()
	d, records := &driver{}, &slowRecords{entered: make(chan struct{}), gate: make(chan struct{})}
	p := &model.Provider{Name: "p", Driver: d, Records: records}
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, _, err := p.Generate(ctx, sample())
		left <- err
	}()
	<-records.entered
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Fatalf("who left got %v", err)
	}
	close(records.gate)
	for end := time.Now().Add(10 * time.Second); records.Keys() == 0; {
		if time.Now().After(end) {
			t.Fatal("never stored")
		}
		time.Sleep(time.Millisecond)
	}
	if _, recorded, err := p.Generate(t.Context(), sample()); !recorded || err != nil || d.calls.Load() != 1 {
		t.Errorf("recorded %v, %v after %d calls", recorded, err, d.calls.Load())
	}
}

// badRecords fails or returns rubbish.
type badRecords struct {
	modeltest.Memory
	err error
}

func (r *badRecords) Load(context.Context, string) ([]byte, bool, error) {
	return []byte("{"), true, r.err
}

func TestRecordsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	d := &driver{}
	p := &model.Provider{Name: "p", Driver: d, Records: &badRecords{err: errors.New("down")}}
	if _, _, err := p.Generate(t.Context(), sample()); schemas.CodeOf(err) != schemas.Unavailable || d.calls.Load() != 0 {
		t.Errorf("store down: %v after %d calls", err, d.calls.Load())
	}
	p.Records = &badRecords{}
	if resp, recorded, err := p.Generate(t.Context(), sample()); err != nil || recorded || resp.Text == "" {
		t.Errorf("broken record: %+v, recorded %v, %v", resp, recorded, err)
	}
}

func TestErrorsGetACode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		code schemas.Code
	}{
		{schemas.Errorf(schemas.RateLimited, "slow"), schemas.RateLimited},
		{context.DeadlineExceeded, schemas.Deadline},
		{errors.New("boom"), schemas.Internal},
	} {
		p := &model.Provider{Name: "p", Driver: &driver{err: test.err}}
		_, _, err := p.Generate(t.Context(), sample())
		var coded *schemas.Error
		if !errors.As(err, &coded) || coded.Code != test.code {
			t.Errorf("%v became %v", test.err, err)
		}
		if _, err := p.Embed(t.Context(), "acme", model.EmbedRequest{Model: "m", Inputs: []string{"a"}}); schemas.CodeOf(err) != test.code {
			t.Errorf("embed: %v became %v", test.err, err)
		}
	}
}

type panicking struct{ *driver }

func (panicking) Generate(context.Context, model.Request, model.Emit) (model.Response, error) {
	panic("nil map")
}

func TestAPanicIsAnError(t *testing.T) {
	t.Parallel()
	p := &model.Provider{Name: "p", Driver: panicking{}}
	if _, _, err := p.Generate(t.Context(), sample()); schemas.CodeOf(err) != schemas.Internal || strings.Contains(schemas.SafeMessage(err), "nil map") {
		t.Errorf("%v", err)
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	identity := func(provider string, change func(*model.Call)) string {
		call := sample()
		call.Request.Schema = json.RawMessage(`{"a": 1, "b": [1.0]}`)
		change(&call)
		id, err := model.Identity(provider, call)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	same := identity("p", func(*model.Call) {})
	if got := identity("p", func(c *model.Call) { c.Request.Schema = json.RawMessage("{\"b\":[1.0],\n\"a\":1}") }); got != same {
		t.Error("the order of a schema's keys changes the identity")
	}
	tool := func(parameters string) string {
		return identity("p", func(c *model.Call) {
			c.Request.Tools = []model.Tool{{Name: "f", Parameters: json.RawMessage(parameters)}}
		})
	}
	if tool(`{"a":1,"b":2}`) != tool(`{"b": 2, "a": 1}`) {
		t.Error("the order of a tool's parameters changes the identity")
	}
	if identity("p", func(c *model.Call) { c.Emit = func(model.Delta) {} }) != same {
		t.Error("to listen changes the identity")
	}
	zero := 0.0
	seen := map[string]string{same: "unchanged", identity("q", func(*model.Call) {}): "provider"}
	for name, change := range map[string]func(*model.Call){
		"tenant":      func(c *model.Call) { c.Tenant = "other" },
		"attempt":     func(c *model.Call) { c.Attempt = "run/step/2" },
		"model":       func(c *model.Call) { c.Request.Model = "n" },
		"text":        func(c *model.Call) { c.Request.Messages[0].Text = "r" },
		"role":        func(c *model.Call) { c.Request.Messages[0].Role = "system" },
		"temperature": func(c *model.Call) { c.Request.Temperature = &zero },
		"max tokens":  func(c *model.Call) { c.Request.MaxTokens = 1 },
		"stop":        func(c *model.Call) { c.Request.Stop = []string{"x"} },
		"schema":      func(c *model.Call) { c.Request.Schema = json.RawMessage(`{"a": 1, "b": [1]}`) },
		"tool":        func(c *model.Call) { c.Request.Tools = []model.Tool{{Name: "f"}} },
		"parameters": func(c *model.Call) {
			c.Request.Tools = []model.Tool{{Name: "f", Parameters: json.RawMessage(`{"a":1,"b":2}`)}}
		},
		"tool choice": func(c *model.Call) { c.Request.ToolChoice = "f" },
		"effort":      func(c *model.Call) { c.Request.Effort = "low" },
		"media":       func(c *model.Call) { c.Request.Messages[0].Media = []model.Media{{Type: "image/png", URL: "u"}} },
		"state":       func(c *model.Call) { c.Request.Messages[0].State = json.RawMessage(`{}`) },
	} {
		id := identity("p", change)
		if other, ok := seen[id]; ok {
			t.Errorf("%s has the identity of %s", name, other)
		}
		seen[id] = name
	}
}

func FuzzIdentity(f *testing.F) {
	f.Add("q", `{"a":1}`)
	f.Add("", "")
	f.Fuzz(func(t *testing.T, text, schema string) {
		call := sample()
		call.Request.Messages[0].Text, call.Request.Schema = text, json.RawMessage(schema)
		first, err := model.Identity("p", call)
		if err != nil {
			if json.Valid([]byte(schema)) || schemas.CodeOf(err) != schemas.Invalid {
				t.Fatalf("%q: %v", schema, err)
			}
			return
		}
		if schema == "" {
			return
		}
		call.Request.Schema = json.RawMessage(" " + schema)
		if again, err := model.Identity("p", call); err != nil || again != first {
			t.Fatalf("%q: %s and %s, %v", schema, first, again, err)
		}
	})
}
