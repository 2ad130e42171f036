package model

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/schemas"
)

var errNotJSON = errors.New("not a JSON document")

func checkCall(call Call) error {
	if err := schemas.CheckTenant(call.Tenant); err != nil {
		return err
	}
	request := call.Request
	switch {
	case call.Attempt == "":
		return schemas.Errorf(schemas.Invalid, "a model call needs an attempt that names it")
	case request.Model == "":
		return schemas.Errorf(schemas.Invalid, "the request names no model")
	case len(request.Messages) == 0:
		return schemas.Errorf(schemas.Invalid, "the request has no message")
	}
	if err := checkSettings(request); err != nil {
		return err
	}
	if err := checkTools(request); err != nil {
		return err
	}
	return checkMessages(request.Messages)
}

func checkSettings(request Request) error {
	switch {
	case request.MaxTokens < 0:
		return schemas.Errorf(schemas.Invalid, "max_tokens %d: choose 1 or more, or 0 for the provider's default", request.MaxTokens)
	case request.Temperature != nil && !(*request.Temperature >= 0 && *request.Temperature <= 2):
		return schemas.Errorf(schemas.Invalid, "temperature %v: choose 0 to 2", *request.Temperature)
	case request.TopP != nil && !(*request.TopP >= 0 && *request.TopP <= 1):
		return schemas.Errorf(schemas.Invalid, "top_p %v: choose 0 to 1", *request.TopP)
	case request.TopK < 0:
		return schemas.Errorf(schemas.Invalid, "top_k %d: choose 1 or more, or 0 for the provider's default", request.TopK)
	case !slices.Contains([]string{"", "minimal", "low", "medium", "high"}, request.Effort):
		return schemas.Errorf(schemas.Invalid, "effort %q: choose minimal, low, medium or high", request.Effort)
	}
	return nil
}

// toolName is what all providers take.
var toolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

func checkTools(request Request) error {
	names := map[string]bool{}
	for _, tool := range request.Tools {
		switch {
		case !toolName.MatchString(tool.Name):
			return schemas.Errorf(schemas.Invalid, "tool name %q: use 1 to 64 letters, digits, hyphens and underscores", tool.Name)
		case names[tool.Name]:
			return schemas.Errorf(schemas.Invalid, "two tools are called %q", tool.Name)
		case len(tool.Parameters) > 0 && !isObject(tool.Parameters):
			return schemas.Errorf(schemas.Invalid, "the parameters of the tool %q are no JSON object", tool.Name)
		}
		names[tool.Name] = true
	}
	switch choice := request.ToolChoice; {
	case choice == "", choice == ToolAuto, choice == ToolNone, choice == ToolRequired && len(names) > 0, names[choice]:
		return nil
	default:
		return schemas.Errorf(schemas.Invalid, "tool_choice %q: choose auto, none, required or the name of a tool that the request has", choice)
	}
}

func isObject(data json.RawMessage) bool {
	return strings.HasPrefix(strings.TrimSpace(string(data)), "{") && json.Valid(data)
}

func checkMessages(messages []Message) error {
	called := map[string]bool{}
	for i, message := range messages {
		var err error
		switch message.Role {
		case RoleSystem, RoleUser:
		case RoleAssistant:
			err = checkCalls(message, called)
		case RoleTool:
			if !called[message.CallID] {
				err = schemas.Errorf(schemas.Invalid, "it is the result of the call %q, which no message before it makes", message.CallID)
			}
		default:
			err = schemas.Errorf(schemas.Invalid, "its role is %q: use system, user, assistant or tool", message.Role)
		}
		if err = cmp.Or(err, checkParts(message)); err != nil {
			return schemas.Errorf(schemas.Invalid, "message %d: %s", i+1, schemas.SafeMessage(err))
		}
	}
	return nil
}

func checkCalls(message Message, called map[string]bool) error {
	for _, call := range message.Calls {
		if call.ID == "" || !toolName.MatchString(call.Name) || !isObject(call.Arguments) {
			return schemas.Errorf(schemas.Invalid, "its call of the tool %q lacks an id, a usable name or an object of arguments", call.Name)
		}
		called[call.ID] = true
	}
	return nil
}

// checkParts checks what stands in a message beside its role.
func checkParts(message Message) error {
	switch {
	case !utf8.ValidString(message.Text):
		return schemas.Errorf(schemas.Invalid, "it is not valid UTF-8")
	case message.Role != RoleAssistant && (len(message.Calls) > 0 || len(message.State) > 0):
		return schemas.Errorf(schemas.Invalid, "only the assistant calls tools and has state")
	case len(message.Media) > 0 && message.Role != RoleUser && message.Role != RoleTool:
		return schemas.Errorf(schemas.Invalid, "only the user and tools send media")
	case len(message.State) > 0 && !json.Valid(message.State):
		return schemas.Errorf(schemas.Invalid, "its state is no JSON")
	}
	for _, media := range message.Media {
		kind, form, _ := strings.Cut(media.Type, "/")
		remote := strings.HasPrefix(media.URL, "https://") || strings.HasPrefix(media.URL, "http://")
		if kind == "" || form == "" || remote == (len(media.Data) > 0) || media.URL != "" && !remote {
			return schemas.Errorf(schemas.Invalid, "its media need a type such as image/png, and either data or an http or https address")
		}
	}
	return nil
}

func checkEmbed(request EmbedRequest, limits Limits) error {
	switch {
	case request.Model == "":
		return schemas.Errorf(schemas.Invalid, "the request names no model")
	case len(request.Inputs) == 0:
		return schemas.Errorf(schemas.Invalid, "there is nothing to embed")
	case limits.MaxInputs > 0 && len(request.Inputs) > limits.MaxInputs:
		return schemas.Errorf(schemas.Invalid, "%d inputs in one embedding call; %s takes at most %d",
			len(request.Inputs), request.Model, limits.MaxInputs)
	case request.Dimensions < 0:
		return schemas.Errorf(schemas.Invalid, "vector dimensions %d: choose 1 or more, or 0 for the model's own", request.Dimensions)
	}
	for i, input := range request.Inputs {
		if input == "" {
			return schemas.Errorf(schemas.Invalid, "input %d is empty", i+1)
		}
		if !utf8.ValidString(input) {
			return schemas.Errorf(schemas.Invalid, "input %d is not valid UTF-8", i+1)
		}
	}
	return nil
}

// checkVectors reports vectors that do not fit the request: too few or many, of another or of different lengths, or with
// components that are no numbers.
func checkVectors(request EmbedRequest, limits Limits, resp EmbedResponse) error {
	if len(resp.Vectors) != len(request.Inputs) {
		return schemas.Errorf(schemas.MalformedOutput, "the embedder %s returned %d vectors for %d inputs",
			request.Model, len(resp.Vectors), len(request.Inputs))
	}
	want := request.Dimensions
	if want == 0 {
		want = limits.Dimensions
	}
	if want == 0 {
		want = len(resp.Vectors[0])
	}
	for i, vector := range resp.Vectors {
		if len(vector) != want || want == 0 {
			return schemas.Errorf(schemas.MalformedOutput, "the embedder %s returned a vector of %d dimensions for input %d; expected %d",
				request.Model, len(vector), i+1, want)
		}
		if !finite(vector) {
			return schemas.Errorf(schemas.MalformedOutput, "the embedder %s returned a vector for input %d that holds no numbers", request.Model, i+1)
		}
	}
	return nil
}

func finite(vector []float32) bool {
	for _, x := range vector {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return false
		}
	}
	return true
}
