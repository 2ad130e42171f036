package evaluate

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

// settings are those of a suite's provider that decide an answer, in the words of a prompt file.
type settings struct {
	config       map[string]any  // of the front matter
	schema       json.RawMessage // of the output; nil is text
	instructions string          // said before the prompt
	baseURL      string
	unknown      []string // they have no effect
}

// settingNames are the ways in which promptfoo spells what all vendors know.
var settingNames = map[string]string{
	"temperature": "temperature", "top_p": "topP", "topP": "topP", "top_k": "topK", "topK": "topK",
	"max_tokens": "maxOutputTokens", "max_completion_tokens": "maxOutputTokens", "max_output_tokens": "maxOutputTokens",
	"maxOutputTokens": "maxOutputTokens", "max_new_tokens": "maxOutputTokens", "num_predict": "maxOutputTokens",
	"stop": "stopSequences", "stop_sequences": "stopSequences", "stopSequences": "stopSequences",
}

// readSettings reads the settings of a provider as a suite has them. Error: invalid.
func readSettings(config json.RawMessage) (settings, error) {
	s := settings{config: map[string]any{}}
	if len(config) == 0 {
		return s, nil
	}
	var object map[string]any
	if err := json.Unmarshal(config, &object); err != nil {
		return s, schemas.Wrap(schemas.Invalid, err, "the settings of a provider must be an object")
	}
	return s, s.read(object)
}

func (s *settings) read(object map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(object)) {
		value := object[name]
		if inner, ok := value.(map[string]any); ok && suite.SettingsWithin(name) {
			if err := s.read(inner); err != nil {
				return err
			}
			continue
		}
		var err error
		switch name {
		case "instructions", "system", "systemInstruction", "systemPrompt":
			s.instructions, err = textOf(name, value)
		case "apiBaseUrl", "apiHost", "baseURL", "base_url", "apiEndpoint":
			s.baseURL, err = textOf(name, value)
		case "response_format", "responseSchema", "response_schema", "output_config":
			s.schema, err = outputSchema(value)
		case "prefix", "suffix", "provider", "rubricPrompt", "transform", "factuality", "cost", "inputCost", "outputCost": // read by others, or of the bill only
		default:
			s.setting(name, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *settings) setting(name string, value any) {
	ours, known := settingNames[name]
	_, switched := value.(bool)
	switch {
	case switched && suite.LogProbSetting(name): // the expansion has read it
	case !known:
		s.unknown = append(s.unknown, name)
	case ours == "stopSequences":
		if one, ok := value.(string); ok {
			value = []any{one}
		}
		s.config[ours] = value
	default:
		s.config[ours] = value
	}
}

func textOf(name string, value any) (string, error) {
	text, ok := value.(string)
	if !ok {
		return "", schemas.Errorf(schemas.Invalid, "the setting %s of a provider must be text", name)
	}
	return text, nil
}

// outputSchema finds the JSON Schema in what promptfoo takes for response_format: OpenAI's forms of both its interfaces, or a bare schema.
// json_object is any object.
func outputSchema(value any) (json.RawMessage, error) {
	object, ok := value.(map[string]any)
	if !ok {
		return nil, schemas.Errorf(schemas.Invalid, "response_format must be an object: {type: json_schema, json_schema: {schema: …}}")
	}
	schema := object
	switch object["type"] {
	case "text":
		return nil, nil
	case "json_object":
		schema = map[string]any{"type": "object"}
	case "json_schema":
		inner, ok := object["json_schema"].(map[string]any)
		if !ok {
			inner = object
		}
		if schema, ok = inner["schema"].(map[string]any); !ok {
			return nil, schemas.Errorf(schemas.Invalid, "response_format has no schema: write {type: json_schema, json_schema: {schema: …}}")
		}
	}
	data, err := json.Marshal(schema)
	return data, err
}

// promptSource is a prompt file that says nothing but what it is given: messages with a role each, under these settings.
func (s *settings) promptSource(model string) string {
	head := map[string]any{"model": model, "input": map[string]any{"default": map[string]any{"messages": []any{}}}}
	if len(s.config) > 0 {
		head["config"] = s.config
	}
	front, err := json.Marshal(head)
	if err != nil { // it was JSON before
		front = []byte("{}")
	}
	var lines strings.Builder
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(front, &fields) // it was marshalled above
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(&lines, "%s: %s\n", name, fields[name])
	}
	return "---\n" + lines.String() + "---\n{{#each messages}}{{role as}}{{text}}{{#each media}}{{media url=this}}{{/each}}{{/each}}"
}
