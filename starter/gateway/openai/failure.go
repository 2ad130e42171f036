package openai

import (
	"errors"
	"net/http"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/relay"
)

// The types of errors (platform.openai.com/docs/guides/error-codes).
const (
	invalidRequest = "invalid_request_error"
	quota          = "insufficient_quota"
	serverError    = "server_error"
)

// problem is an error as OpenAI writes it.
type problem struct {
	Message string `json:"message"`
	Type    string `json:"type"`
	Param   string `json:"param"`
	Code    string `json:"code"`
}

// encode writes what is empty as null.
func (p problem) encode() []byte {
	nullable := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	return encode(map[string]any{"error": map[string]any{
		"message": p.Message, "type": p.Type, "param": nullable(p.Param), "code": nullable(p.Code),
	}})
}

// form is how a code is told.
type form struct {
	status     int
	kind, code string
}

// forms is the one table from code to OpenAI's form.
var forms = map[schemas.Code]form{
	schemas.Invalid:         {http.StatusBadRequest, invalidRequest, ""},
	schemas.NotFound:        {http.StatusNotFound, invalidRequest, "model_not_found"},
	schemas.Conflict:        {http.StatusConflict, invalidRequest, "idempotency_conflict"},
	schemas.Unauthorized:    {http.StatusUnauthorized, invalidRequest, "invalid_api_key"},
	schemas.Refused:         {http.StatusBadRequest, invalidRequest, "content_filter"},
	schemas.OverBudget:      {http.StatusTooManyRequests, quota, quota},
	schemas.RateLimited:     {http.StatusTooManyRequests, "requests", "rate_limit_exceeded"},
	schemas.Unavailable:     {http.StatusServiceUnavailable, serverError, "unavailable"},
	schemas.Deadline:        {http.StatusGatewayTimeout, serverError, "timeout"},
	schemas.MalformedOutput: {http.StatusBadGateway, serverError, "malformed_output"},
	schemas.Internal:        {http.StatusInternalServerError, serverError, "internal_error"},
}

// formOf also heeds the causes that OpenAI tells apart.
func formOf(err error) form {
	f := forms[schemas.CodeOf(err)]
	switch {
	case errors.Is(err, relay.ErrForbidden):
		f.status, f.code = http.StatusForbidden, "insufficient_permissions"
	case errors.Is(err, relay.ErrTooLarge):
		f.status, f.code = http.StatusRequestEntityTooLarge, "request_too_large"
	case errors.Is(err, relay.ErrForm):
		f.status = http.StatusUnsupportedMediaType
	case model.IsContextTooLong(err):
		f.code = "context_length_exceeded"
	}
	return f
}

// failure tells an error: in the words of the provider where it speaks OpenAI's API itself.
func failure(err error) relay.Failure {
	f := formOf(err)
	p := problem{Message: schemas.SafeMessage(err), Type: f.kind, Code: f.code}
	if field, ok := errors.AsType[*relay.FieldError](err); ok {
		p.Param, p.Code = field.Field, field.Code
	}
	return relay.FailureOf(err, f.status, p.encode(), "")
}
