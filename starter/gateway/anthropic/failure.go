package anthropic

import (
	"errors"
	"net/http"

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
	return relay.FailureOf(err, f.status, encode(map[string]any{
		"type": "error", "error": map[string]string{"type": f.kind, "message": schemas.SafeMessage(err)},
	}), "event: error\n")
}
