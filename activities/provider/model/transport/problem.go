package transport

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Problem is what a server says about a failure.
type Problem struct {
	Message string
	Type    string
	Code    string
	Param   string
	// Status is the HTTP status that the failure stands for where none came with it: inside a stream, or in the body of an answer with
	// status 200. Zero counts as 502. The functions of a Dialect see the status that did come.
	Status int
	// RetryAfter is the wait that the body asks for; Retry-After in the header goes before it.
	RetryAfter time.Duration
}

// Dialect is how a vendor reports failures. Nil fields mean the ways of OpenAI and of the servers that follow it.
type Dialect struct {
	// Problem reads a failure from a body or from an event of a stream. Not ok when the body is no report of a failure; the
	// Problem may still hold its text. Default ReadProblem, which also understands Anthropic's.
	Problem func(body []byte) (Problem, bool)
	// Status corrects the status that a failure came with, or stands for, where the vendor means another. Default: as it is.
	Status func(status int, p Problem) int
	// Quota: what is used up does not come back by waiting. Asked for status 429.
	Quota func(Problem) bool
	// Filtered: a content filter or a policy declined the request. Asked for status 4xx.
	Filtered func(Problem) bool
	// TooLong: the request does not fit the model's context. Asked for status 4xx that is not about keys, models or pace.
	TooLong func(Problem) bool
	// AboutSchema: the objection is to structured output. Asked as TooLong, for calls that wanted it.
	AboutSchema func(Problem) bool
}

func (d Dialect) complete() Dialect {
	if d.Problem == nil {
		d.Problem = ReadProblem
	}
	if d.Status == nil {
		d.Status = func(status int, _ Problem) int { return status }
	}
	if d.Quota == nil {
		d.Quota = Problem.IsQuota
	}
	if d.Filtered == nil {
		d.Filtered = Problem.IsFiltered
	}
	if d.TooLong == nil {
		d.TooLong = Problem.IsTooLong
	}
	if d.AboutSchema == nil {
		d.AboutSchema = Problem.IsAboutSchema
	}
	return d
}

// ReadProblem reads the failure that a body reports, in the shapes of OpenAI and Anthropic ({"error": {…}}), Ollama ({"error": "…"}), vLLM
// ({"object": "error", "message": …}) and FastAPI ({"detail": …}); of any other body the text. Not ok when the body, whatever its status, is
// no report of a failure.
func ReadProblem(body []byte) (Problem, bool) {
	var envelope struct {
		Error  *wireProblem    `json:"error"`
		Object any             `json:"object"`
		Detail json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(body, &envelope) != nil {
		return Problem{Message: string(body)}, false
	}
	if envelope.Error != nil {
		return envelope.Error.problem(), true
	}
	var flat wireProblem
	if json.Unmarshal(body, &flat) != nil {
		return Problem{}, false
	}
	return flat.problem(), envelope.Object == "error" || envelope.Detail != nil
}

// wireProblem is OpenAI's object, whose code is a string here and a number there, or a bare string.
type wireProblem struct {
	Message  any `json:"message"`
	Detail   any `json:"detail"`
	Type     any `json:"type"`
	Code     any `json:"code"`
	Param    any `json:"param"`
	Metadata any `json:"metadata"`
}

// UnmarshalJSON reads either form.
func (w *wireProblem) UnmarshalJSON(data []byte) error {
	type object wireProblem
	if json.Unmarshal(data, (*object)(w)) == nil {
		return nil
	}
	*w = wireProblem{}
	return json.Unmarshal(data, &w.Message)
}

func (w wireProblem) problem() Problem {
	said := []string{word(w.Message), word(w.Detail)}
	if behind, ok := w.Metadata.(map[string]any); ok {
		said = append(said, word(behind["raw"])) // OpenRouter: what the provider behind it said
	}
	p := Problem{
		Message: strings.Join(slices.DeleteFunc(said, func(s string) bool { return s == "" }), ": "),
		Type:    word(w.Type), Code: word(w.Code), Param: word(w.Param),
	}
	p.Status = statusOf(p.Code, p.Type)
	return p
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

// statuses is what the codes and types of OpenAI (platform.openai.com/docs/guides/error-codes) and Anthropic
// (docs.anthropic.com/en/api/errors) stand for.
var statuses = map[string]int{
	"invalid_request_error": http.StatusBadRequest, "context_length_exceeded": http.StatusBadRequest, "invalid_prompt": http.StatusBadRequest,
	"content_filter": http.StatusBadRequest, "content_policy_violation": http.StatusBadRequest,
	"authentication_error": http.StatusUnauthorized, "invalid_api_key": http.StatusUnauthorized,
	"billing_error": http.StatusPaymentRequired, "permission_error": http.StatusForbidden,
	"not_found_error": http.StatusNotFound, "model_not_found": http.StatusNotFound,
	"request_too_large":  http.StatusRequestEntityTooLarge,
	"insufficient_quota": http.StatusTooManyRequests, "rate_limit_exceeded": http.StatusTooManyRequests,
	"rate_limit_error": http.StatusTooManyRequests, "too_many_requests": http.StatusTooManyRequests,
	"api_error": http.StatusInternalServerError, "server_error": http.StatusInternalServerError,
	"timeout_error": http.StatusGatewayTimeout, "overloaded_error": 529,
}

// statusOf is the HTTP status that the code or else the type of a failure stands for; 0 when they name none.
func statusOf(code, kind string) int {
	if n, err := strconv.Atoi(code); err == nil && n >= 400 && n < 600 {
		return n
	}
	if status, ok := statuses[code]; ok {
		return status
	}
	return statuses[kind]
}

// Has reports whether the code, type or message holds one of the words, which are lower-case.
func (p Problem) Has(words ...string) bool {
	text := strings.ToLower(p.Code + " " + p.Type + " " + p.Message)
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}

// IsQuota knows the words of OpenAI, DeepSeek and OpenRouter.
func (p Problem) IsQuota() bool {
	return p.Has("insufficient_quota", "exceeded your current quota", "billing_hard_limit", "billing_not_active", "insufficient credit", "insufficient balance")
}

// IsFiltered knows the words of OpenAI, Azure and OpenRouter.
func (p Problem) IsFiltered() bool {
	return p.Has("content_filter", "content_policy", "content management policy", "content policy", "usage policy", "usage policies", "moderation")
}

// IsTooLong knows the words of OpenAI, Anthropic, vLLM, llama.cpp and others.
func (p Problem) IsTooLong() bool {
	return p.Has("context_length", "context length", "context window", "maximum context", "context size", "too many tokens", "prompt is too long", "input is too long", "too large to process")
}

var schemaWords = regexp.MustCompile(`(?i)response_?format|text\.format|json_?schema|structured[ _]output|guided|grammar`)

// IsAboutSchema knows the words of OpenAI, vLLM and llama.cpp.
func (p Problem) IsAboutSchema() bool {
	return schemaWords.MatchString(p.Param) || schemaWords.MatchString(p.Message) || schemaWords.MatchString(p.Code)
}
