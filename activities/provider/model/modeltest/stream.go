package modeltest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// collect generates with an Emit and returns the pieces too.
func collect(ctx context.Context, target Target, request model.Request) (resp model.Response, pieces []string, err error) {
	resp, err = target.Driver.Generate(ctx, request, func(d model.Delta) { pieces = append(pieces, d.Text) })
	return resp, pieces, err
}

func streamsWhatItAnswers(t *testing.T, target Target) {
	whole, err := target.Driver.Generate(t.Context(), askRequest(target), nil)
	if err != nil {
		t.Fatal(err)
	}
	streamed, pieces, err := collect(t.Context(), target, askRequest(target))
	if err != nil {
		t.Fatal(err)
	}
	whole.ID, streamed.ID = "", "" // each call has its own
	if diff := cmp.Diff(whole, streamed); diff != "" {
		t.Errorf("a streamed answer differs: -whole +streamed:\n%s", diff)
	}
	if strings.Join(pieces, "") != streamed.Text {
		t.Errorf("the pieces %q are not the text %q", pieces, streamed.Text)
	}
	if target.Endless != "" && len(pieces) < 2 {
		t.Errorf("%d pieces", len(pieces))
	}
}

func callsTools(t *testing.T, target Target) {
	if target.Caller == "" {
		t.Skip("the driver has no tools")
	}
	for name, emit := range map[string]model.Emit{"whole": nil, "streamed": func(model.Delta) {}} {
		request := model.Request{
			Model: target.Caller, Messages: []model.Message{{Role: model.RoleUser, Text: "What is the weather in Oslo?"}},
			Tools: []model.Tool{
				{Name: "time", Parameters: json.RawMessage(`{"type":"object","properties":{}}`)},
				{
					Name: "weather", Description: "The weather now",
					Parameters: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`),
				},
			},
			ToolChoice: "weather",
		}
		resp, err := target.Driver.Generate(t.Context(), request, emit)
		if err != nil || len(resp.Calls) != 1 || resp.Finish != model.FinishTool {
			t.Fatalf("%s: %+v, %v", name, resp, err)
		}
		call := resp.Calls[0]
		var arguments struct{ City string }
		if err := json.Unmarshal(call.Arguments, &arguments); err != nil || call.ID == "" || call.Name != "weather" || arguments.City != "Oslo" {
			t.Errorf("%s: call %+v, %v", name, call, err)
		}
		request.ToolChoice = model.ToolAuto
		request.Messages = append(request.Messages,
			model.Message{Role: model.RoleAssistant, Text: resp.Text, Calls: resp.Calls, State: resp.State},
			model.Message{Role: model.RoleTool, CallID: call.ID, Text: "7 degrees"})
		resp, err = target.Driver.Generate(t.Context(), request, emit)
		if err != nil || !strings.Contains(resp.Text, "7 degrees") || len(resp.Calls) != 0 || resp.Finish != model.FinishStop {
			t.Errorf("%s, with the result: %+v, %v", name, resp, err)
		}
	}
}

func stopsEndlessStreams(t *testing.T, target Target) {
	if target.Endless == "" {
		t.Skip("the driver does not stream")
	}
	request := askRequest(target)
	request.Model = target.Endless
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pieces := 0
	_, err := target.Driver.Generate(ctx, request, func(model.Delta) {
		if pieces++; pieces == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || pieces < 3 {
		t.Errorf("cancelled after %d pieces: %v", pieces, err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, _, err := collect(ctx, target, request); schemas.CodeOf(err) != schemas.Deadline {
		t.Errorf("%v, want code deadline", err)
	}
}
