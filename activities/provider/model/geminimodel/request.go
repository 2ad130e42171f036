package geminimodel

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
)

// body is that of generateContent (ai.google.dev/api/generate-content).
type body struct {
	System   *content    `json:"systemInstruction,omitempty"`
	Contents []content   `json:"contents"`
	Tools    []tools     `json:"tools,omitempty"`
	Choice   *toolConfig `json:"toolConfig,omitempty"`
	Config   config      `json:"generationConfig,omitzero"`
}

type tools struct {
	Functions []function `json:"functionDeclarations"`
}

type function struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"parametersJsonSchema,omitempty"`
}

type toolConfig struct {
	Calling struct {
		Mode    string   `json:"mode"`
		Allowed []string `json:"allowedFunctionNames,omitempty"`
	} `json:"functionCallingConfig"`
}

type config struct {
	MaxTokens   int             `json:"maxOutputTokens,omitempty"`
	Temperature *float64        `json:"temperature,omitempty"`
	TopP        *float64        `json:"topP,omitempty"`
	TopK        int             `json:"topK,omitempty"`
	Seed        *int64          `json:"seed,omitempty"`
	Stop        []string        `json:"stopSequences,omitempty"`
	MediaType   string          `json:"responseMimeType,omitempty"`
	Schema      json.RawMessage `json:"responseJsonSchema,omitempty"`
	Thinking    *thinking       `json:"thinkingConfig,omitempty"`
	LogProbs    bool            `json:"responseLogprobs,omitempty"`
}

type thinking struct {
	Level  string `json:"thinkingLevel,omitempty"`
	Budget int    `json:"thinkingBudget,omitempty"` // tokens
}

// translate makes the body of a request.
func translate(request model.Request) (body, error) {
	system, turns, err := contents(request.Messages)
	if err != nil {
		return body{}, err
	}
	b := body{System: system, Contents: turns, Config: config{
		MaxTokens: request.MaxTokens, Temperature: request.Temperature, TopP: request.TopP, TopK: request.TopK,
		Seed: request.Seed, Stop: request.Stop, Thinking: think(request.Model, request.Effort),
		LogProbs: request.LogProbs,
	}}
	if len(request.Schema) > 0 {
		b.Config.MediaType, b.Config.Schema = "application/json", request.Schema
	}
	if len(request.Tools) > 0 {
		functions := make([]function, len(request.Tools))
		for i, t := range request.Tools {
			functions[i] = function{t.Name, t.Description, t.Parameters}
		}
		b.Tools, b.Choice = []tools{{functions}}, choice(request.ToolChoice)
	}
	return b, nil
}

func choice(wish string) *toolConfig {
	var c toolConfig
	switch wish {
	case "", model.ToolAuto:
		return nil
	case model.ToolNone:
		c.Calling.Mode = "NONE"
	case model.ToolRequired:
		c.Calling.Mode = "ANY"
	default:
		c.Calling.Mode, c.Calling.Allowed = "ANY", []string{wish}
	}
	return &c
}

// budgets are what models of version 2.5 may think, in tokens. The least is the least that all of them take.
var budgets = map[string]int{"minimal": 512, "low": 2048, "medium": 8192, "high": 24576}

var thoughtless = regexp.MustCompile(`gemini-(?:1\.|2\.0)|gemma`)

// think translates an effort: versions before 2.5 do not think, 2.5 thinks within a budget, later ones at a level, of which the Pro models
// lack the lowest (ai.google.dev/gemini-api/docs/thinking).
func think(name, effort string) *thinking {
	switch {
	case effort == "", thoughtless.MatchString(name):
		return nil
	case strings.Contains(name, "gemini-2.5"):
		budget, ok := budgets[effort]
		if !ok {
			budget = budgets["high"]
		}
		return &thinking{Budget: budget}
	case effort == "minimal" && strings.Contains(name, "-pro"):
		effort = "low"
	}
	return &thinking{Level: effort}
}
