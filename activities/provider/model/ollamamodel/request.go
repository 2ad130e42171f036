package ollamamodel

import (
	"encoding/json"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// chatRequest is the body of /api/chat (docs.ollama.com/api).
type chatRequest struct {
	Model    string          `json:"model"`
	Messages []message       `json:"messages"`
	Tools    []tool          `json:"tools,omitempty"`
	Format   json.RawMessage `json:"format,omitempty"`
	Think    string          `json:"think,omitempty"`
	LogProbs bool            `json:"logprobs,omitempty"`
	Options  options         `json:"options,omitzero"`
	Stream   bool            `json:"stream"`
	Truncate bool            `json:"truncate"` // false: a prompt that is too long shall fail
}

type embedRequest struct {
	Model      string   `json:"model"`
	Input      []string `json:"input"`
	Dimensions int      `json:"dimensions,omitempty"`
	Options    options  `json:"options,omitzero"`
	Truncate   bool     `json:"truncate"` // false, as above
}

type options struct {
	NumCtx      int      `json:"num_ctx,omitempty"`
	NumPredict  int      `json:"num_predict,omitempty"`
	Temperature *float64 `json:"temperature,omitempty"`
	TopP        *float64 `json:"top_p,omitempty"`
	TopK        int      `json:"top_k,omitempty"`
	Seed        *int64   `json:"seed,omitempty"`
	Stop        []string `json:"stop,omitempty"`
}

type message struct {
	Role       string     `json:"role"`
	Content    string     `json:"content"`
	Thinking   string     `json:"thinking,omitempty"`
	Images     [][]byte   `json:"images,omitempty"` // base64 in JSON
	ToolCalls  []toolCall `json:"tool_calls,omitempty"`
	ToolName   string     `json:"tool_name,omitempty"` // of a result: what ties it to its call
	ToolCallID string     `json:"tool_call_id,omitempty"`
}

type toolCall struct {
	ID       string `json:"id,omitempty"`
	Function struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"` // an object
	} `json:"function"`
}

type tool struct {
	Type     string   `json:"type"`
	Function function `json:"function"`
}

type function struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
}

// state is Response.State. Its name tells it from the state of other providers.
type state struct {
	Thinking string `json:"ollama_thinking"`
}

func (d *Driver) options() options { return options{NumCtx: d.context} }

func (d *Driver) chatBody(request model.Request) (chatRequest, error) {
	body := chatRequest{
		Model: request.Model, Tools: tools(request), Format: request.Schema, Think: think(request.Effort), LogProbs: request.LogProbs, Options: d.options(),
	}
	body.Options.NumPredict, body.Options.Temperature, body.Options.TopP = request.MaxTokens, request.Temperature, request.TopP
	body.Options.TopK, body.Options.Seed, body.Options.Stop = request.TopK, request.Seed, request.Stop
	names := map[string]string{}
	for _, turn := range request.Messages {
		images, err := images(turn.Media)
		if err != nil {
			return chatRequest{}, err
		}
		m := message{
			Role: turn.Role, Content: turn.Text, Images: images, Thinking: thinking(turn), ToolName: names[turn.CallID], ToolCallID: turn.CallID,
		}
		for _, c := range turn.Calls {
			call := toolCall{ID: c.ID}
			call.Function.Name, call.Function.Arguments = c.Name, c.Arguments
			m.ToolCalls = append(m.ToolCalls, call)
			names[c.ID] = c.Name
		}
		body.Messages = append(body.Messages, m)
	}
	return body, nil
}

// think is an effort in the server's words, which has no minimal.
func think(effort string) string {
	if effort == "minimal" {
		return "low"
	}
	return effort
}

// tools are those that the model may call.
func tools(request model.Request) []tool {
	var all []tool
	for _, t := range request.Tools {
		named := request.ToolChoice == t.Name
		if request.ToolChoice == model.ToolNone || mustCall(request) && request.ToolChoice != model.ToolRequired && !named {
			continue
		}
		parameters := t.Parameters
		if len(parameters) == 0 {
			parameters = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		all = append(all, tool{"function", function{t.Name, t.Description, parameters}})
	}
	return all
}

func thinking(turn model.Message) string {
	var kept state
	if json.Unmarshal(turn.State, &kept) != nil {
		return "" // the state of another provider, or none
	}
	return kept.Thinking
}

func images(media []model.Media) ([][]byte, error) {
	var all [][]byte
	for _, m := range media {
		switch {
		case !strings.HasPrefix(m.Type, "image/"):
			return nil, schemas.Errorf(schemas.Invalid, "Ollama takes images only, no %s", m.Type)
		case m.URL != "":
			return nil, schemas.Errorf(schemas.Invalid, "Ollama fetches nothing; send the image itself")
		}
		all = append(all, m.Data)
	}
	return all, nil
}
