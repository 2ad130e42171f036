package openaimodel

import (
	"cmp"
	"context"
	"encoding/json"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// params translates a request. What the SDK's types cannot say follows as options.
func (d *Driver) params(request model.Request) (openai.ChatCompletionNewParams, []option.RequestOption) {
	params := openai.ChatCompletionNewParams{Model: request.Model, Messages: messages(request.Messages)}
	var extra []option.RequestOption
	if request.MaxTokens > 0 {
		extra = append(extra, option.WithJSONSet(d.tokensField, request.MaxTokens))
	}
	if request.Temperature != nil {
		params.Temperature = openai.Float(*request.Temperature)
	}
	if request.Seed != nil {
		params.Seed = openai.Int(*request.Seed)
	}
	if len(request.Stop) > 0 {
		params.Stop.OfStringArray = request.Stop
	}
	if len(request.Schema) > 0 {
		params.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{
			JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
				Name: cmp.Or(request.SchemaName, "output"), Schema: request.Schema, Strict: openai.Bool(true),
			},
		}
	}
	return params, extra
}

func messages(turns []model.Message) []openai.ChatCompletionMessageParamUnion {
	params := make([]openai.ChatCompletionMessageParamUnion, len(turns))
	for i, turn := range turns {
		switch turn.Role {
		case model.RoleSystem:
			params[i] = openai.SystemMessage(turn.Text)
		case model.RoleAssistant:
			params[i] = openai.AssistantMessage(turn.Text)
		default:
			params[i] = openai.UserMessage(turn.Text)
		}
	}
	return params
}

// completion reads the body of a response with status 200.
func (d *Driver) completion(ctx context.Context, body []byte) (model.Response, error) {
	var got openai.ChatCompletion
	if err := d.decode(ctx, body, &got); err != nil {
		return model.Response{}, err
	}
	if len(got.Choices) == 0 {
		return model.Response{}, schemas.Errorf(schemas.Unavailable, "the model server at %s answered without a choice", d.failures.base)
	}
	choice := got.Choices[0]
	resp := model.Response{
		Text: choice.Message.Content, Model: got.Model, ID: got.ID,
		Fingerprint: got.SystemFingerprint, //nolint:staticcheck // deprecated at OpenAI, alive at servers of its protocol
		Finish:      finish(choice.FinishReason),
		Usage: schemas.Usage{
			InputTokens: int(got.Usage.PromptTokens), OutputTokens: int(got.Usage.CompletionTokens),
			CachedTokens: int(got.Usage.PromptTokensDetails.CachedTokens),
		},
		Reasoning: int(got.Usage.CompletionTokensDetails.ReasoningTokens),
	}
	if choice.Message.Refusal != "" {
		resp.Text, resp.Finish = choice.Message.Refusal, model.FinishFilter
	}
	return resp, nil
}

// decode reads a JSON body into v. Some servers report failures with status 200, so an error in the body counts as one.
func (d *Driver) decode(ctx context.Context, body []byte, v any) error {
	if failed, ok := errorIn(body); ok {
		return d.failures.classify(callOf(ctx), failed.status(), nil, body)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return schemas.Wrap(schemas.Unavailable, err, "the model server at %s answered what is no JSON; is the base URL right?", d.failures.base)
	}
	return nil
}

// finish translates a finish reason. One that is not known, or left out as small servers do, is a stop.
func finish(reason string) string {
	switch reason {
	case "length":
		return model.FinishLength
	case "content_filter":
		return model.FinishFilter
	case "tool_calls", "function_call":
		return model.FinishTool
	}
	return model.FinishStop
}
