package model_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/object"
	"github.com/tenuto-dev/tenuto/schemas"
)

// forwarder passes requests on by answering them with an error of its own.
type forwarder struct{ *driver }

func (forwarder) Forwards(op model.Operation, _ string) bool { return op == model.ChatCompletions }

func (f forwarder) Forward(context.Context, model.ForwardRequest, func(model.Piece) error) (model.Response, error) {
	return model.Response{Usage: schemas.Usage{InputTokens: 3}}, f.err
}

func TestWhoGivesLeaveIsToldWhatCameOfIt(t *testing.T) {
	t.Parallel()
	failure := schemas.Errorf(schemas.RateLimited, "slow down")
	body, err := object.Parse([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"an answer": nil, "a failure": failure} {
		p := &model.Provider{Name: "p", Driver: forwarder{&driver{err: want}}}
		var told []error
		leave := func(context.Context) (func(model.Response, error), error) {
			return func(resp model.Response, err error) {
				if resp.Usage.InputTokens != 3 {
					t.Errorf("%s: told %+v", name, resp)
				}
				told = append(told, err)
			}, nil
		}
		call := sample()
		call.Leave = leave
		_, _, generated := p.Generate(t.Context(), call)
		resp, forwarded := p.Forward(t.Context(), model.ForwardRequest{Operation: model.ChatCompletions, Body: body}, leave, nil)
		for _, err := range append(told, generated, forwarded) {
			if !errors.Is(err, want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(told) != 2 || resp.Usage.Calls == 1 != (want == nil) {
			t.Errorf("%s: told %d times; %+v", name, len(told), resp)
		}
	}
}

func TestWithoutLeaveNothingIsSent(t *testing.T) {
	t.Parallel()
	no := schemas.Errorf(schemas.OverBudget, "no")
	d := &driver{}
	p := &model.Provider{Name: "p", Driver: forwarder{d}}
	leave := func(context.Context) (func(model.Response, error), error) { return nil, no }
	call := sample()
	call.Leave = leave
	if _, _, err := p.Generate(t.Context(), call); !errors.Is(err, no) || d.calls.Load() != 0 {
		t.Errorf("%v", err)
	}
	if _, err := p.Forward(t.Context(), model.ForwardRequest{Operation: model.ChatCompletions}, leave, nil); !errors.Is(err, no) {
		t.Errorf("%v", err)
	}
}
