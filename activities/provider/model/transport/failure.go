package transport

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Failure codes a failure that an event of a stream reports, as if it had come with its HTTP status.
func (c *Client) Failure(call Call, body []byte) error {
	problem, _ := c.dialect.Problem(body)
	return c.classify(call, problem.Status, nil, problem)
}

// Fail codes a failure that the driver has read itself from a body or a stream.
func (c *Client) Fail(call Call, problem Problem) error {
	return c.classify(call, problem.Status, nil, problem)
}

// classify gives a failed response its code.
//
//	401, 403        unauthorized; refused when the body says that moderation flagged the input
//	402             over_budget
//	404             not_found; also another 4xx whose code is model_not_found
//	408, 504, 524   deadline
//	429             rate_limited, with what Retry-After asks for; over_budget when quota or credit is used up; invalid when the
//	                request alone is more than a minute's tokens
//	409, 425, 5xx   unavailable, with what Retry-After asks for (503 and 529 are overload)
//	400, 413, 422, 501 and other 4xx
//	                invalid; refused by a content filter; ErrContextTooLong; ErrSchemaUnsupported when structured output is what
//	                it objects to
//	3xx             invalid: the base URL is wrong
func (c *Client) classify(call Call, status int, header http.Header, problem Problem) *schemas.Error {
	problem.Status = cmp.Or(status, http.StatusBadGateway)
	status = c.dialect.Status(problem.Status, problem)
	err := c.code(call, status, problem)
	err.Cause = c.cause(call, status, problem, err.Cause)
	if err.Code == schemas.RateLimited || err.Code == schemas.Unavailable {
		err.RetryAfter = cmp.Or(RetryAfter(header, time.Now()), wait(problem.RetryAfter.Seconds()))
	}
	return err
}

func (c *Client) code(call Call, status int, problem Problem) *schemas.Error {
	switch {
	case status == http.StatusTooManyRequests && problem.Has("request too large for"):
		return c.tooLong(call, problem)
	case status == http.StatusTooManyRequests && c.dialect.Quota(problem), status == http.StatusPaymentRequired:
		return schemas.Errorf(schemas.OverBudget, "the account at %s has no quota or credit left", c.base)
	case status == http.StatusTooManyRequests:
		return schemas.Errorf(schemas.RateLimited, "the model server at %s asks for a slower pace", c.base)
	case status < 500 && c.dialect.Filtered(problem):
		return schemas.Errorf(schemas.Refused, "the content filter of the model server at %s declined the request", c.base)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return schemas.Errorf(schemas.Unauthorized, "the model server at %s does not accept the API key for %s; check the key that is configured", c.base, call.Model)
	case status == http.StatusNotFound, status < 500 && problem.Code == "model_not_found":
		return schemas.Errorf(schemas.NotFound, "the model server at %s has no model %q, or its base URL is wrong", c.base, call.Model)
	case status == http.StatusRequestTimeout, status == http.StatusGatewayTimeout, status == 524: // the last is Cloudflare's
		return schemas.Errorf(schemas.Deadline, "the model server at %s did not answer in time", c.base)
	case status == http.StatusConflict, status == http.StatusTooEarly, status >= 500 && status != http.StatusNotImplemented:
		return schemas.Errorf(schemas.Unavailable, "the model server at %s is overloaded or failing (status %d)", c.base, status)
	case status < 400:
		return schemas.Errorf(schemas.Invalid, "the model server at %s redirects (status %d); configure the address it redirects to", c.base, status)
	case status == http.StatusRequestEntityTooLarge, c.dialect.TooLong(problem):
		return c.tooLong(call, problem)
	}
	return c.invalid(call, status, problem)
}

func (c *Client) tooLong(call Call, problem Problem) *schemas.Error {
	return schemas.Wrap(schemas.Invalid, model.ErrContextTooLong, "the request is too long for %s: %s",
		call.Model, cmp.Or(c.words(problem), "the server says no more"))
}

// invalid explains a request that the server will never accept. Only the server knows why, so its words are passed on.
func (c *Client) invalid(call Call, status int, problem Problem) *schemas.Error {
	words := c.words(problem)
	switch {
	case call.Schema && c.dialect.AboutSchema(problem):
		return schemas.Wrap(schemas.Invalid, model.ErrSchemaUnsupported, "the model server at %s does not accept structured output for %s: %s", c.base, call.Model, words)
	case words == "":
		return schemas.Errorf(schemas.Invalid, "the model server at %s does not accept the request (status %d)", c.base, status)
	}
	return schemas.Errorf(schemas.Invalid, "the model server at %s does not accept the request: %s", c.base, words)
}

func (c *Client) words(problem Problem) string { return clip(c.Redact(problem.Message), 400) }

// cause says for logs what the server said, after what the error wraps already.
func (c *Client) cause(call Call, status int, problem Problem, inner error) error {
	said := clip(c.Redact(fmt.Sprintf("model %s: status %d, type %q, code %q, param %q: %s",
		call.Model, status, problem.Type, problem.Code, problem.Param, problem.Message)), 1200)
	if inner != nil {
		return fmt.Errorf("%w: %s", inner, said)
	}
	return errors.New(said)
}

var secret = regexp.MustCompile(`\b(?:sk|pk|key)-[A-Za-z0-9_*-]{6,}|\bAIza[A-Za-z0-9_*-]{6,}|(?i:bearer)\s+\S+`)

// Redact takes out the key, and what looks like one: some servers repeat it in parts.
func (c *Client) Redact(text string) string {
	if c.key != "" {
		text = strings.NewReplacer(c.key, "[key]", url.QueryEscape(c.key), "[key]").Replace(text)
	}
	return secret.ReplaceAllString(text, "[key]")
}

func clip(text string, limit int) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "\ufffd")), " ")
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return text
}
