package relay

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// FailureOf tells err with a vendor's status and body, or in the words of the provider where it speaks the vendor's API itself, and with
// whether and when to ask again. Event is what a stream's event has before its data.
func FailureOf(err error, status int, body []byte, event string) Failure {
	out := Failure{Status: status, Header: http.Header{}, Body: body}
	if report, ok := errors.AsType[*model.ReportedError](err); ok && bytes.HasPrefix(bytes.TrimSpace(report.Body), []byte("{")) {
		out.Body = report.Body
		if report.Status >= http.StatusBadRequest {
			out.Status = report.Status
		}
	}
	if coded, ok := errors.AsType[*schemas.Error](err); ok && (coded.RetryAfter > 0 || coded.Code == schemas.RateLimited) {
		out.Header.Set("Retry-After", strconv.Itoa(cmp.Or(int(math.Ceil(coded.RetryAfter.Seconds())), 1)))
	}
	if !mayRepeat(err) {
		out.Header.Set("X-Should-Retry", "false") // the official clients repeat 409, 429 and 5xx unless they are told not to
	}
	out.Event = append(append([]byte(event+"data: "), bytes.ReplaceAll(out.Body, []byte("\n"), nil)...), "\n\n"...)
	return out
}

// mayRepeat reports whether the same request may succeed later.
func mayRepeat(err error) bool {
	code := schemas.CodeOf(err)
	coded, ok := errors.AsType[*schemas.Error](err)
	return code.Retryable() || code == schemas.Conflict && ok && coded.RetryAfter > 0
}

// WithoutKey is the failure of a request without a valid key.
func (f Failure) WithoutKey() Failure {
	if f.Status == http.StatusUnauthorized {
		f.Header.Set("WWW-Authenticate", `Bearer realm="tenuto"`)
	}
	return f
}
