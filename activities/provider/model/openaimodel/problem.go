package openaimodel

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// problem is what a server says about a failure.
type problem struct {
	Message string
	Type    string
	Code    string
	Param   string
}

// UnmarshalJSON reads OpenAI's object, whose code is a string here and a number there, or a bare string.
func (p *problem) UnmarshalJSON(data []byte) error {
	var object struct {
		Message  any `json:"message"`
		Detail   any `json:"detail"`
		Type     any `json:"type"`
		Code     any `json:"code"`
		Param    any `json:"param"`
		Metadata struct {
			Raw any `json:"raw"` // OpenRouter: what the provider behind it said
		} `json:"metadata"`
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return json.Unmarshal(data, &p.Message)
	}
	said := []string{word(object.Message), word(object.Detail), word(object.Metadata.Raw)}
	p.Message = strings.Join(slices.DeleteFunc(said, func(s string) bool { return s == "" }), ": ")
	p.Type, p.Code, p.Param = word(object.Type), word(object.Code), word(object.Param)
	return nil
}

func word(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(data)
}

// errorIn reads the failure that a body reports, in the shapes of OpenAI ({"error": {…}}), Ollama ({"error": "…"}), vLLM
// ({"object": "error", "message": …}) and FastAPI ({"detail": …}); of any other body the text. Not ok when the body, whatever its
// status, is no report of a failure.
func errorIn(body []byte) (problem, bool) {
	var envelope struct {
		Error  *problem        `json:"error"`
		Object string          `json:"object"`
		Detail json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(body, &envelope) != nil {
		return problem{Message: string(body)}, false
	}
	if envelope.Error != nil {
		return *envelope.Error, true
	}
	var flat problem
	if json.Unmarshal(body, &flat) != nil {
		return problem{}, false
	}
	return flat, envelope.Object == "error" || envelope.Detail != nil
}

// status is the HTTP status that a failure inside a response with status 200 stands for; 502 when it names none.
func (p problem) status() int {
	if n, err := strconv.Atoi(p.Code); err == nil && n >= 400 && n < 600 {
		return n
	}
	return http.StatusBadGateway
}

func (p problem) has(words ...string) bool {
	text := strings.ToLower(p.Code + " " + p.Type + " " + p.Message)
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}

func (p problem) isQuota() bool {
	return p.has("insufficient_quota", "exceeded your current quota", "billing_hard_limit", "billing_not_active", "insufficient credit", "insufficient balance")
}

func (p problem) isFiltered() bool {
	return p.has("content_filter", "content_policy", "content management policy", "content policy", "moderation")
}

func (p problem) isTooLong() bool {
	return p.has("context_length", "context length", "context window", "maximum context", "context size", "too many tokens", "prompt is too long", "input is too long", "too large to process")
}

var schemaWords = regexp.MustCompile(`(?i)response_?format|json_?schema|structured[ _]output|guided|grammar`)

func (p problem) isAboutSchema() bool {
	return schemaWords.MatchString(p.Param) || schemaWords.MatchString(p.Message) || schemaWords.MatchString(p.Code)
}
