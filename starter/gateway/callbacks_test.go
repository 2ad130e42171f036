package gateway_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/notify"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const hook = "https://example.com/hook?token=t"

// signing gives a gateway a secret, and lanes.
func signing(d *gateway.Deps) {
	laned(d)
	keys, err := notify.ParseKeys(strings.Repeat("a", 32) + "," + strings.Repeat("b", 32))
	if err != nil {
		panic(err)
	}
	d.Notify = &notify.Sender{Keys: keys}
}

// calling asks for a run with a callback.
func calling(text, mode string) rest.NewChainRun {
	body := says(text)
	body.Mode, body.Callback = mode, &rest.Callback{URL: hook}
	return body
}

// toldOnce waits until the end of a run has been told, and requires that it was once.
func toldOnce(t *testing.T, s *gatewaytest.Server) {
	t.Helper()
	for limit := time.Now().Add(10 * time.Second); len(s.Work.Told()) == 0 && time.Now().Before(limit); {
		time.Sleep(5 * time.Millisecond)
	}
	if diff := cmp.Diff([]string{hook}, s.Work.Told()); diff != "" {
		t.Error(diff)
	}
}

func TestRunsWithACallback(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"wait", "detach", "stream"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s, _, c, _ := served(t, signing)
			answer := c.send("POST", byProduction, calling("hello", mode), "Idempotency-Key", "k-"+mode)
			switch mode {
			case "wait":
				var done rest.RunResult
				answer.want(t, 200, &done)
				if done.Status != rest.RunDone || string(done.Output) != `{"text":"hello"}` {
					t.Errorf("%+v", done)
				}
			case "detach":
				answer.want(t, 202, nil)
			case "stream":
				if answer.status != 200 || !strings.Contains(string(answer.body), "event: done") {
					t.Errorf("status %d: %s", answer.status, answer.body)
				}
			}
			toldOnce(t, s)
			var run rest.Run
			c.send("GET", "/api/v1/runs/k-"+mode, nil).want(t, 200, &run)
			if run.Record == nil || run.Record.Lane || !run.Record.Callback || run.Callback == nil || run.Callback.State != schemas.Delivered {
				t.Errorf("shown %+v", run)
			}
			if strings.Contains(string(mustJSON(t, run)), "token=t") {
				t.Error("the record tells the URL")
			}
			c.send("POST", byProduction, calling("hello", mode), "Idempotency-Key", "k-"+mode)
			toldOnce(t, s)
			other := calling("hello", mode)
			other.Callback.URL = "https://example.com/other"
			c.send("POST", byProduction, other, "Idempotency-Key", "k-"+mode).wantProblem(t, 409, schemas.Conflict, "another request")
			c.send("POST", byProduction, says("hello"), "Idempotency-Key", "k-"+mode).wantProblem(t, 409, schemas.Conflict, "another request")
			if n := s.Temporal.Started(schemas.Chain.Name()); n != 1 {
				t.Errorf("%d runs were started", n)
			}
		})
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestARunThatIsToBegin is known from when it is accepted, also while nobody works on it.
func TestARunThatIsToBegin(t *testing.T) {
	t.Parallel()
	begins := make(chan struct{})
	s, _, c, _ := served(t, signing)
	begin := s.Temporal.Handlers[schemas.Callback.Name()]
	s.Temporal.Handlers[schemas.Callback.Name()] = func(ctx context.Context, in any) (any, error) {
		<-begins
		return begin(ctx, in)
	}
	var accepted rest.RunResult
	c.send("POST", byProduction, calling("hello", "detach")).want(t, 202, &accepted)
	var run rest.Run
	c.send("GET", "/api/v1/runs/"+accepted.RunID, nil).want(t, 200, &run)
	if run.Status != rest.RunRunning {
		t.Errorf("%+v", run)
	}
	close(begins)
	toldOnce(t, s)
}

func TestCallbacksThatAreRefused(t *testing.T) {
	t.Parallel()
	s, _, c, _ := served(t, signing)
	for url, want := range map[string]struct {
		status int
		code   schemas.Code
		says   string
	}{
		"":                             {400, schemas.Invalid, "http and https"},
		"ftp://example.com":            {400, schemas.Invalid, "http and https"},
		"https://u:p@example.com":      {400, schemas.Invalid, "a user or a password"},
		"https://example.com/\r\nX: y": {400, schemas.Invalid, "cannot be read"},
		"https://x.example/" + strings.Repeat("x", 2048): {400, schemas.Invalid, "at most 2048"},
		"http://127.0.0.1:8480/":                         {422, schemas.Refused, "not a public address"},
		"http://169.254.169.254/latest":                  {422, schemas.Refused, "not a public address"},
		"http://localhost/":                              {422, schemas.Refused, "not a public address"},
	} {
		body := says("x")
		body.Callback = &rest.Callback{URL: url}
		c.send("POST", byProduction, body).wantProblem(t, want.status, want.code, want.says)
	}
	body := map[string]any{"input": map[string]any{"text": "x"}, "callback": map[string]any{"url": hook, "header": "x"}}
	c.send("POST", byProduction, body).wantProblem(t, 400, schemas.Invalid, "header")
	if n := s.Temporal.Started(schemas.Callback.Name()); n != 0 {
		t.Errorf("%d callbacks were started", n)
	}
	_, _, c, _ = served(t, nil)
	c.send("POST", byProduction, calling("x", "detach")).wantProblem(t, 422, schemas.Refused, "TENUTO_WEBHOOK_SECRET")
	c.send("GET", "/api/v1/callbacks/secret", nil).wantProblem(t, 422, schemas.Refused, "TENUTO_WEBHOOK_SECRET")
}

func TestTheSecretOfATenant(t *testing.T) {
	t.Parallel()
	_, operator, c, _ := served(t, signing)
	var ours, theirs rest.CallbackSecret
	answer := c.send("GET", "/api/v1/callbacks/secret", nil)
	answer.want(t, 200, &ours)
	var made rest.CreatedKey
	operator.send("POST", "/api/v1/keys", rest.NewKey{Tenant: "acme", Roles: []schemas.Role{schemas.RoleService}}).want(t, 201, &made)
	caller{t, c.url, made.Token}.send("GET", "/api/v1/callbacks/secret", nil).want(t, 200, &theirs)
	if len(ours.Secrets) != 2 || !strings.HasPrefix(ours.Secrets[0], "whsec_") || ours.Secrets[0] == theirs.Secrets[0] || ours.Secrets[0] == ours.Secrets[1] {
		t.Errorf("%v and %v", ours, theirs)
	}
	if got := answer.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	operator.key("reader", schemas.RoleReviewer).send("GET", "/api/v1/callbacks/secret", nil).wantProblem(t, http.StatusForbidden, schemas.Unauthorized, "")
}
