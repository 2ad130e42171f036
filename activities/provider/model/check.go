package model

import (
	"errors"
	"math"
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
	case request.MaxTokens < 0:
		return schemas.Errorf(schemas.Invalid, "max_tokens %d: choose 1 or more, or 0 for the provider's default", request.MaxTokens)
	case request.Temperature != nil && !(*request.Temperature >= 0 && *request.Temperature <= 2):
		return schemas.Errorf(schemas.Invalid, "temperature %v: choose 0 to 2", *request.Temperature)
	}
	return checkMessages(request.Messages)
}

func checkMessages(messages []Message) error {
	for i, message := range messages {
		switch message.Role {
		case RoleSystem, RoleUser, RoleAssistant:
		default:
			return schemas.Errorf(schemas.Invalid, "message %d has role %q: use system, user or assistant", i+1, message.Role)
		}
		if !utf8.ValidString(message.Text) {
			return schemas.Errorf(schemas.Invalid, "message %d is not valid UTF-8", i+1)
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
