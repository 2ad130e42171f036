package anthropic

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/relay"
)

// form is how a code is told.
type form struct {
	status int
	kind   string
}

// statusOverloaded is Anthropic's own.
const statusOverloaded = 529

// forms is the one table from code to Anthropic's form (platform.claude.com/docs/en/api/errors).
var forms = map[schemas.Code]form{
	schemas.Invalid:         {http.StatusBadRequest, "invalid_request_error"},
	schemas.NotFound:        {http.StatusNotFound, "not_found_error"},
	schemas.Conflict:        {http.StatusConflict, "invalid_request_error"},
	schemas.Unauthorized:    {http.StatusUnauthorized, "authentication_error"},
	schemas.Refused:         {http.StatusBadRequest, "invalid_request_error"},
	schemas.OverBudget:      {http.StatusPaymentRequired, "billing_error"},
	schemas.RateLimited:     {http.StatusTooManyRequests, "rate_limit_error"},
	schemas.Unavailable:     {statusOverloaded, "overloaded_error"},
	schemas.Deadline:        {http.StatusGatewayTimeout, "timeout_error"},
	schemas.MalformedOutput: {http.StatusBadGateway, "api_error"},
	schemas.Internal:        {http.StatusInternalServerError, "api_error"},
}

// failure tells an error: in the words of the provider where it speaks Anthropic's API itself.
func failure(err error) relay.Failure {
	f := forms[schemas.CodeOf(err)]
	switch {
	case errors.Is(err, relay.ErrForbidden):
		f = form{http.StatusForbidden, "permission_error"}
	case errors.Is(err, relay.ErrTooLarge):
		f = form{http.StatusRequestEntityTooLarge, "request_too_large"}
	}
	out := relay.Failure{Status: f.status, Header: http.Header{}, Body: encode(map[string]any{
		"type": "error", "error": map[string]string{"type": f.kind, "message": schemas.SafeMessage(err)},
	})}
	if report, ok := errors.AsType[*model.ReportedError](err); ok && bytes.HasPrefix(bytes.TrimSpace(report.Body), []byte("{")) {
		out.Body = report.Body
		if report.Status >= http.StatusBadRequest {
			out.Status = report.Status
		}
	}
	coded, ok := errors.AsType[*schemas.Error](err)
	if ok && (coded.RetryAfter > 0 || coded.Code == schemas.RateLimited) {
		out.Header.Set("Retry-After", strconv.Itoa(cmp.Or(int(math.Ceil(coded.RetryAfter.Seconds())), 1)))
	}
	if code := schemas.CodeOf(err); !code.Retryable() && (code != schemas.Conflict || coded.RetryAfter == 0) {
		out.Header.Set("X-Should-Retry", "false") // the official clients repeat 409 and 5xx unless they are told not to
	}
	out.Event = append(append([]byte("event: error\ndata: "), bytes.ReplaceAll(out.Body, []byte("\n"), nil)...), "\n\n"...)
	return out
}

// keyFailure is the failure of a request without a valid key.
func keyFailure(err error) relay.Failure {
	out := failure(err)
	if out.Status == http.StatusUnauthorized {
		out.Header.Set("WWW-Authenticate", `Bearer realm="tenuto"`)
	}
	return out
}
