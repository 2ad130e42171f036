package gateway

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// statuses is the one table from code to HTTP status. Over_budget is 402 because no client repeats that by itself, as many do 429
// and 5xx: a quota or a full disk is mended by people.
var statuses = map[schemas.Code]int{
	schemas.Invalid:         http.StatusBadRequest,
	schemas.NotFound:        http.StatusNotFound,
	schemas.Conflict:        http.StatusConflict,
	schemas.Unauthorized:    http.StatusUnauthorized,
	schemas.Refused:         http.StatusUnprocessableEntity,
	schemas.OverBudget:      http.StatusPaymentRequired,
	schemas.RateLimited:     http.StatusTooManyRequests,
	schemas.Unavailable:     http.StatusServiceUnavailable,
	schemas.Deadline:        http.StatusGatewayTimeout,
	schemas.MalformedOutput: http.StatusBadGateway,
	schemas.Internal:        http.StatusInternalServerError,
}

// problem is an error on its way to the caller.
type problem struct {
	rest.Problem
	retryAfter time.Duration
	cause      error // for the log
}

// Error returns the detail that the caller sees.
func (p *problem) Error() string { return p.Detail }

// Unwrap returns the cause, for the log.
func (p *problem) Unwrap() error { return p.cause }

// GetStatus implements huma.StatusError.
func (p *problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter; RFC 9457, section 3.
func (p *problem) ContentType(string) string { return "application/problem+json" }

func newProblem(status int, code schemas.Code, detail string) *problem {
	return &problem{Problem: rest.Problem{
		Type: "urn:tenuto:problem:" + string(code), Title: http.StatusText(status),
		Status: status, Detail: detail, Code: code,
	}}
}

// problemOf turns any error into what the caller may see of it.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	code := schemas.CodeOf(err)
	p := newProblem(statuses[code], code, schemas.SafeMessage(err))
	p.cause = err
	if coded, ok := errors.AsType[*schemas.Error](err); ok {
		p.retryAfter = coded.RetryAfter
	}
	if errors.Is(err, errSlow) {
		p.Status, p.Title = http.StatusRequestTimeout, http.StatusText(http.StatusRequestTimeout)
	}
	if code == schemas.RateLimited && p.retryAfter == 0 {
		p.retryAfter = time.Second
	}
	return p
}

// tooLarge is an invalid request whose fault is its size, which HTTP tells apart.
func tooLarge(err error) *problem {
	p := problemOf(err)
	p.Status, p.Title = http.StatusRequestEntityTooLarge, http.StatusText(http.StatusRequestEntityTooLarge)
	return p
}

// setHeaders sets what belongs to a problem besides its body.
func (p *problem) setHeaders(set func(name, value string)) {
	if p.retryAfter > 0 {
		set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	if p.Status == http.StatusUnauthorized {
		set("WWW-Authenticate", `Bearer realm="tenuto"`)
	}
}

// write sends p from outside of huma.
func (p *problem) write(w http.ResponseWriter, requestID string) {
	p.RequestID = requestID
	p.setHeaders(w.Header().Set)
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) //nolint:errchkjson // the caller may be gone; there is nobody else to tell
}

// speakProblems makes huma's own findings problems of ours. Huma keeps the constructor in a package variable, and its
// documentation says to replace it; once, so that gateways made at the same time do not race.
var speakProblems = sync.OnceFunc(func() {
	huma.NewError = func(status int, message string, faults ...error) huma.StatusError { //nolint:reassign // see above
		if status == http.StatusUnprocessableEntity {
			status = http.StatusBadRequest
		}
		p := newProblem(status, codeOfStatus(status), message)
		for _, fault := range faults {
			if _, ok := errors.AsType[*schemas.Error](fault); ok { // of a body that could not be read
				return problemOf(fault)
			}
			p.Errors = append(p.Errors, faultOf(fault))
		}
		if len(p.Errors) > 0 {
			p.Detail += ": " + describe(p.Errors[0])
		}
		return p
	}
})

func faultOf(err error) rest.Fault {
	if detailed, ok := err.(huma.ErrorDetailer); ok {
		detail := detailed.ErrorDetail()
		return rest.Fault{Message: plain(detail.Message), Location: clip(detail.Location)}
	}
	return rest.Fault{Message: plain(err.Error())}
}

// plain is what a decoder says, in words for who sent the JSON.
func plain(message string) string {
	if strings.HasPrefix(message, "json: ") {
		return "a value has another type than the API describes, or a number is out of range; /openapi.json describes the body"
	}
	return clip(message)
}

// clip bounds what an answer repeats of its request.
func clip(text string) string {
	const most = 300
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

func describe(f rest.Fault) string {
	if f.Location == "" {
		return f.Message
	}
	return f.Location + ": " + f.Message
}

// codeOfStatus gives huma's own findings, all of them about the request or faults of ours, a code.
func codeOfStatus(status int) schemas.Code {
	switch {
	case status == http.StatusRequestTimeout:
		return schemas.Deadline
	case status < http.StatusInternalServerError:
		return schemas.Invalid
	default:
		return schemas.Internal
	}
}
