package openaimodel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/openai/openai-go/v3/option"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// maxErrorBody bounds what is read of a failure.
const maxErrorBody = 64 << 10

// failures gives the failures of one server their codes and keeps its key out of them.
type failures struct {
	key  string
	base string
}

// call is what a failure must know of the request.
type call struct {
	model  string
	schema bool // structured output was asked for
}

type callKey struct{}

func withCall(ctx context.Context, c call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

func callOf(ctx context.Context) call {
	c, _ := ctx.Value(callKey{}).(call)
	return c
}

// middleware turns failing statuses into coded errors itself: the SDK understands only bodies of OpenAI's own shape and loses the
// status of others.
func (f failures) middleware(request *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	response, err := next(request)
	if err != nil || response.StatusCode < 300 {
		return response, err
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorBody)) // what cannot be read only makes the message poorer
	return nil, f.classify(callOf(request.Context()), response.StatusCode, response.Header, body)
}

// transport codes a call that brought no whole answer.
func (f failures) transport(ctx context.Context, err error) error {
	var coded *schemas.Error
	var network net.Error
	cause := errors.New(f.redact(err.Error()))
	switch {
	case errors.As(err, &coded):
		return coded
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return schemas.Wrap(schemas.Deadline, cause, "the model server at %s did not answer in time", f.base)
	}
	return schemas.Wrap(schemas.Unavailable, cause, "the model server at %s cannot be reached or broke off its answer", f.base)
}

// classify gives a failed response its code.
//
//	401, 403        unauthorized; refused when the body says that moderation flagged the input
//	402             over_budget
//	404             not_found
//	408, 504, 524   deadline
//	429             rate_limited, with what Retry-After asks for; over_budget when quota or credit is used up
//	409, 425, 5xx   unavailable, with what Retry-After asks for (503 and 529 are overload)
//	400, 413, 422, 501 and other 4xx
//	                invalid; refused by a content filter; ErrSchemaUnsupported when structured output is what it objects to
//	3xx             invalid: the base URL is wrong
func (f failures) classify(c call, status int, header http.Header, body []byte) *schemas.Error {
	failed, _ := errorIn(body)
	err := f.code(c, status, failed)
	err.Cause = f.cause(c, status, failed, err.Cause)
	if err.Code == schemas.RateLimited || err.Code == schemas.Unavailable {
		err.RetryAfter = retryAfter(header, time.Now())
	}
	return err
}

func (f failures) code(c call, status int, failed problem) *schemas.Error {
	switch {
	case status == http.StatusTooManyRequests && failed.isQuota(), status == http.StatusPaymentRequired:
		return schemas.Errorf(schemas.OverBudget, "the account at %s has no quota or credit left", f.base)
	case status == http.StatusTooManyRequests:
		return schemas.Errorf(schemas.RateLimited, "the model server at %s asks for a slower pace", f.base)
	case failed.isFiltered() && status < 500:
		return schemas.Errorf(schemas.Refused, "the content filter of the model server at %s declined the request", f.base)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return schemas.Errorf(schemas.Unauthorized, "the model server at %s does not accept the API key for %s; check the key that is configured", f.base, c.model)
	case status == http.StatusNotFound:
		return schemas.Errorf(schemas.NotFound, "the model server at %s has no model %q, or its base URL is wrong", f.base, c.model)
	case status == http.StatusRequestTimeout, status == http.StatusGatewayTimeout, status == 524: // the last is Cloudflare's
		return schemas.Errorf(schemas.Deadline, "the model server at %s did not answer in time", f.base)
	case status == http.StatusConflict, status == http.StatusTooEarly, status >= 500 && status != http.StatusNotImplemented:
		return schemas.Errorf(schemas.Unavailable, "the model server at %s is overloaded or failing (status %d)", f.base, status)
	case status < 400:
		return schemas.Errorf(schemas.Invalid, "the model server at %s redirects (status %d); configure the address it redirects to", f.base, status)
	}
	return f.invalid(c, status, failed)
}

// invalid explains a request that the server will never accept. Only the server knows why, so its words are passed on.
func (f failures) invalid(c call, status int, failed problem) *schemas.Error {
	words := f.redact(clip(failed.Message, 400))
	switch {
	case failed.isTooLong():
		return schemas.Errorf(schemas.Invalid, "the request is too long for %s: %s", c.model, words)
	case c.schema && failed.isAboutSchema():
		return schemas.Wrap(schemas.Invalid, model.ErrSchemaUnsupported, "the model server at %s does not accept structured output for %s: %s", f.base, c.model, words)
	case words == "":
		return schemas.Errorf(schemas.Invalid, "the model server at %s does not accept the request (status %d)", f.base, status)
	}
	return schemas.Errorf(schemas.Invalid, "the model server at %s does not accept the request: %s", f.base, words)
}

// cause says for logs what the server said, after what the error wraps already.
func (f failures) cause(c call, status int, failed problem, inner error) error {
	said := f.redact(fmt.Sprintf("model %s: status %d, type %q, code %q: %s", c.model, status, failed.Type, failed.Code, clip(failed.Message, 1000)))
	if inner != nil {
		return fmt.Errorf("%w: %s", inner, said)
	}
	return errors.New(said)
}

var secret = regexp.MustCompile(`\b(?:sk|pk|key)-[A-Za-z0-9_*-]{6,}|(?i:bearer)\s+\S+`)

// redact takes out the key, and what looks like one: some servers repeat it in parts.
func (f failures) redact(text string) string {
	if f.key != "" {
		text = strings.ReplaceAll(text, f.key, "[key]")
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

// maxRetryAfter is the longest wait that is believed.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads how long the server asks to wait: the header Retry-After-Ms that OpenAI sends, or Retry-After in seconds or as
// a date (RFC 9110, section 10.2.3). Zero when it does not say, or says what makes no sense.
func retryAfter(header http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(header.Get("Retry-After-Ms"), 64); err == nil {
		return wait(ms / 1000)
	}
	value := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		return wait(seconds)
	}
	if date, err := http.ParseTime(value); err == nil {
		return wait(date.Sub(now).Seconds())
	}
	return 0
}

func wait(seconds float64) time.Duration {
	if !(seconds > 0 && seconds <= maxRetryAfter.Seconds()) { // NaN fails both
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}
