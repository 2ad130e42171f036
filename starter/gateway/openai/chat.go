package openai

import (
	"encoding/json"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/object"
	"github.com/tenuto-dev/tenuto/starter/gateway/relay"
)

// chat is the protocol of chat completions.
type chat struct{}

// Operation implements relay.Protocol.
func (chat) Operation() model.Operation { return model.ChatCompletions }

// Failure implements relay.Protocol.
func (chat) Failure(err error) relay.Failure { return failure(err) }

// chatRequest is what of a request can be translated (platform.openai.com/docs/api-reference/chat/create).
type chatRequest struct {
	Messages        []message       `json:"messages"`
	Tools           []tool          `json:"tools"`
	ToolChoice      json.RawMessage `json:"tool_choice"`
	ResponseFormat  *responseFormat `json:"response_format"`
	MaxTokens       *int            `json:"max_tokens"`
	MaxCompletion   *int            `json:"max_completion_tokens"`
	Temperature     *float64        `json:"temperature"`
	TopP            *float64        `json:"top_p"`
	Seed            *int64          `json:"seed"`
	Stop            stops           `json:"stop"`
	ReasoningEffort string          `json:"reasoning_effort"`
	Stream          bool            `json:"stream"`
	StreamOptions   *struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

// stops is a stop sequence or several.
type stops []string

// UnmarshalJSON reads either form.
func (s *stops) UnmarshalJSON(data []byte) error {
	var one string
	if len(data) > 0 && data[0] == '"' {
		err := json.Unmarshal(data, &one)
		*s = stops{one}
		return err
	}
	return json.Unmarshal(data, (*[]string)(s))
}

// chatFields are those of chatRequest, and what else may come with them.
var chatFields = relay.Fields{
	Honoured: []string{
		"model", "messages", "tools", "tool_choice", "response_format", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed",
		"stop", "reasoning_effort", "stream", "stream_options",
	},
	Noted: noted,
	Plain: map[string][]string{
		"n": {"1"}, "logprobs": {"false"}, "top_logprobs": {"0"}, "frequency_penalty": {"0", "0.0"}, "presence_penalty": {"0", "0.0"},
		"logit_bias": {"{}"}, "parallel_tool_calls": {"true"}, "modalities": {`["text"]`}, "store": {"false"}, "service_tier": {`"auto"`, `"default"`},
		"verbosity": {`"medium"`},
	},
}

// noted are fields that are for OpenAI, or for who looks at records.
var noted = []string{"user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"}

// Translate implements relay.Protocol.
func (chat) Translate(body *object.Object, about relay.About) (relay.Translated, error) {
	if err := chatFields.Check(body, about.Name); err != nil {
		return nil, err
	}
	var in chatRequest
	if err := relay.Decode(body, &in); err != nil {
		return nil, err
	}
	request, err := in.portable()
	if err != nil {
		return nil, err
	}
	out := &writer{about: about, usage: in.StreamOptions != nil && in.StreamOptions.IncludeUsage}
	if in.Stream {
		return out.stream(request), nil
	}
	return out.whole(request), nil
}

func (in chatRequest) portable() (model.Request, error) {
	request := model.Request{
		Temperature: in.Temperature, TopP: in.TopP, Seed: in.Seed, Stop: in.Stop, Effort: in.ReasoningEffort,
	}
	for _, most := range []*int{in.MaxTokens, in.MaxCompletion} { // the latter is the newer name
		if most == nil {
			continue
		}
		if *most < 1 {
			return request, relay.Refuse("max_completion_tokens", "integer_below_min_value", "max_completion_tokens is %d; choose 1 or more", *most)
		}
		request.MaxTokens = *most
	}
	if len(in.Messages) == 0 {
		return request, relay.Refuse("messages", "missing_required_parameter", "messages is empty; send at least one message")
	}
	for i, m := range in.Messages {
		turn, err := m.portable(i)
		if err != nil {
			return request, err
		}
		request.Messages = append(request.Messages, turn)
	}
	if err := in.tools(&request); err != nil {
		return request, err
	}
	return request, in.ResponseFormat.apply(&request)
}
