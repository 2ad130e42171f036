package grader

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Poster sends a body of JSON to an address that a suite chose, and returns what came back whatever its status. Implemented over
// activities/provider/web, which looks at where the address leads. Errors: unavailable, deadline, refused.
type Poster interface {
	Post(ctx context.Context, url string, body []byte) (status int, answer []byte, err error)
}

// webhook asks a service of the suite's author: it is posted {output, context: {prompt, vars}} and answers {pass, score, reason}, of which only
// pass must be there; score is 1 or 0 by it. Errors, beside those of Poster: invalid (no address; a status below 500), rate_limited, unavailable
// (a status from 500), malformed_output.
func webhook(ctx context.Context, j judgement) (schemas.AssertionResult, error) {
	address, _ := j.a.Value.(string)
	if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return schemas.AssertionResult{}, j.fault("needs a value: an address that begins with https:// or http://")
	}
	if j.Poster == nil {
		return schemas.AssertionResult{}, j.fault("calls an address, and there is nothing here to do it")
	}
	vars := j.output.Vars
	if vars == nil {
		vars = map[string]any{}
	}
	body := jsonText(map[string]any{"output": j.output.Value, "context": map[string]any{"prompt": j.output.Prompt, "vars": vars}})
	status, answer, err := j.Poster.Post(ctx, address, []byte(body))
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	if code := codeOf(status); code != "" {
		return schemas.AssertionResult{}, schemas.Errorf(code, "the webhook of the assertion %s answered with the status %d, so nothing is judged by it: %s",
			jsonText(j.a.Type), status, jsonText(clip(strings.TrimSpace(string(answer)), maxShown)))
	}
	return verdict(string(answer))
}

func codeOf(status int) schemas.Code {
	switch {
	case status >= 200 && status < 300:
		return ""
	case status == http.StatusTooManyRequests:
		return schemas.RateLimited
	case status >= 500:
		return schemas.Unavailable
	}
	return schemas.Invalid
}

// verdict reads what a webhook answered.
func verdict(answer string) (schemas.AssertionResult, error) {
	f, cause := object(answer)
	var result schemas.AssertionResult
	if cause == nil {
		var pass bool
		pass, cause = field[bool](f, "pass")
		result = binary(pass, said(f))
	}
	if raw, there := f["score"]; cause == nil && there && !isNull(raw) {
		result.Score, cause = scored(f, 0, 1)
	}
	if cause != nil {
		return schemas.AssertionResult{}, malformed("the webhook", answer, cause)
	}
	if result.Reason == "" {
		result.Reason = map[bool]string{true: "Assertion passed", false: "Webhook returned false"}[result.Pass]
	}
	return result, nil
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }
