package openai

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/relay"
)

func TestEveryCodeHasAForm(t *testing.T) {
	t.Parallel()
	for _, code := range schemas.Codes() {
		out := failure(schemas.Errorf(code, "it says why"))
		var body struct {
			Error struct {
				Message, Type string
				Param, Code   *string
			}
		}
		if err := json.Unmarshal(out.Body, &body); err != nil || body.Error.Message != "it says why" || body.Error.Type == "" || body.Error.Param != nil || out.Status < 400 {
			t.Errorf("%s: %d %s", code, out.Status, out.Body)
		}
		if out.Header.Get("X-Should-Retry") != map[bool]string{true: "", false: "false"}[code.Retryable()] {
			t.Errorf("%s: %v", code, out.Header)
		}
		if want := "data: " + string(out.Body) + "\n\n"; string(out.Event) != want {
			t.Errorf("%s: %s", code, out.Event)
		}
	}
}

func TestFailuresAreToldApart(t *testing.T) {
	t.Parallel()
	waiting := schemas.Errorf(schemas.Conflict, "under way")
	waiting.RetryAfter = 1500 * time.Millisecond
	reported := func(status int, body string) error {
		return schemas.Wrap(schemas.Unavailable, &model.ReportedError{Status: status, Body: []byte(body), Cause: errors.New("x")}, "down")
	}
	for name, test := range map[string]struct {
		err    error
		status int
		body   string
		header http.Header
	}{
		"a role": {
			schemas.Wrap(schemas.Unauthorized, relay.ErrForbidden, "no"), 403,
			`{"error":{"code":"insufficient_permissions","message":"no","param":null,"type":"invalid_request_error"}}`,
			http.Header{"X-Should-Retry": {"false"}},
		},
		"a size": {
			schemas.Wrap(schemas.Invalid, relay.ErrTooLarge, "no"), 413,
			`{"error":{"code":"request_too_large","message":"no","param":null,"type":"invalid_request_error"}}`,
			http.Header{"X-Should-Retry": {"false"}},
		},
		"a form": {
			schemas.Wrap(schemas.Invalid, relay.ErrForm, "no"), 415,
			`{"error":{"code":null,"message":"no","param":null,"type":"invalid_request_error"}}`,
			http.Header{"X-Should-Retry": {"false"}},
		},
		"a context": {
			schemas.Wrap(schemas.Invalid, model.ErrContextTooLong, "no"), 400,
			`{"error":{"code":"context_length_exceeded","message":"no","param":null,"type":"invalid_request_error"}}`,
			http.Header{"X-Should-Retry": {"false"}},
		},
		"a field": {
			relay.Refuse("top_p", "invalid_value", "no"), 400,
			`{"error":{"code":"invalid_value","message":"no","param":"top_p","type":"invalid_request_error"}}`,
			http.Header{"X-Should-Retry": {"false"}},
		},
		"a pace": {
			schemas.Errorf(schemas.RateLimited, "no"), 429,
			`{"error":{"code":"rate_limit_exceeded","message":"no","param":null,"type":"requests"}}`,
			http.Header{"Retry-After": {"1"}},
		},
		"under way": {
			waiting, 409, `{"error":{"code":"idempotency_conflict","message":"under way","param":null,"type":"invalid_request_error"}}`, http.Header{"Retry-After": {"2"}},
		},
		"the provider's words":    {reported(418, "{\n\"error\": {}}"), 418, "{\n\"error\": {}}", http.Header{}},
		"its words in a stream":   {reported(200, `{"error":1}`), 503, `{"error":1}`, http.Header{}},
		"its words are no object": {reported(418, `[]`), 503, `{"error":{"code":"unavailable","message":"down","param":null,"type":"server_error"}}`, http.Header{}},
		"a fault of ours":         {errors.New("secret"), 500, `{"error":{"code":"internal_error","message":"an internal fault; the logs of the process have the cause","param":null,"type":"server_error"}}`, http.Header{}},
	} {
		out := failure(test.err)
		if diff := cmp.Diff(test.header, out.Header); diff != "" || out.Status != test.status || string(out.Body) != test.body {
			t.Errorf("%s: %d %s\n%s", name, out.Status, out.Body, diff)
		}
		if event := string(out.Event); strings.Count(event, "\n") != 2 || !strings.HasPrefix(event, "data: {") {
			t.Errorf("%s: %q", name, event)
		}
	}
}
