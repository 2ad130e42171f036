package alert_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/forge/githubforge/githubtest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// hooked is an alert that only a webhook is told of.
func (r *rig) hooked(n int, ruling schemas.Ruling) schemas.EvalAlert {
	in := run(n, ruling)
	in.Notify = schemas.EvalNotify{Webhook: r.hook}
	return in
}

func (r *rig) told(t *testing.T) []string {
	t.Helper()
	var out []string
	for i, body := range r.bodies {
		var event schemas.EvalEvent
		if err := json.Unmarshal([]byte(body), &event); err != nil {
			t.Fatal(err)
		}
		if r.headers[i].Get("webhook-id") != schemas.EvalMessageID("default", "docs-qa", event.Data.ID) || !strings.HasPrefix(r.headers[i].Get("webhook-signature"), "v1,") {
			t.Errorf("headers %v", r.headers[i])
		}
		out = append(out, event.Data.ID[4:8]+" "+event.Type)
	}
	return out
}

// TestWhatTheWebhookIsTold goes through nights of a suite, each told twice.
func TestWhatTheWebhookIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for n, ruling := range []schemas.Ruling{
		schemas.RulingPassed, schemas.RulingFailed, schemas.RulingFailed, schemas.RulingUnresolved, schemas.RulingPassed, schemas.RulingPassed,
	} {
		for range 2 {
			if out := r.alert(t, r.hooked(n, ruling), "none"); out.Webhook != "delivered" {
				t.Errorf("%+v", out)
			}
		}
	}
	r.alert(t, r.hooked(9, schemas.RulingFailed), "none")
	r.alert(t, r.hooked(8, schemas.RulingPassed), "none") // late, and no recovery
	r.alert(t, r.hooked(10, schemas.RulingPassed), "none")
	want := []string{
		"0000 eval.ended", "0001 eval.regressed", "0002 eval.regressed", "0003 eval.ended", "0004 eval.recovered", "0005 eval.ended",
		"0009 eval.regressed", "0008 eval.ended", "0010 eval.recovered",
	}
	if diff := cmp.Diff(want, r.told(t)); diff != "" {
		t.Error(diff)
	}
	if len(r.api.Calls()) != 0 {
		t.Errorf("GitHub was asked: %v", r.api.Calls())
	}
}

// TestTheBodyOfAMessage is what the documentation says of it.
func TestTheBodyOfAMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.hooked(1, schemas.RulingFailed)
	in.Summary.Reasons = append(in.Summary.Reasons, strings.Repeat("ü", 5000))
	r.alert(t, in, "none")
	var event schemas.EvalEvent
	if err := json.Unmarshal([]byte(r.bodies[0]), &event); err != nil {
		t.Fatal(err)
	}
	if long := event.Data.Reasons[1]; len(long) > 1000 || !strings.HasSuffix(long, "ü…") {
		t.Errorf("a long reason: %d bytes", len(long))
	}
	event.Data.Reasons = in.Summary.Reasons
	want := schemas.EvalEvent{
		Type: "eval.regressed", Timestamp: "2026-03-14T12:02:30Z", Data: schemas.EvalEventRun{EvalSummary: in.Summary, Tenant: "default", Link: in.Link},
	}
	if diff := cmp.Diff(want, event); diff != "" {
		t.Error(diff)
	}
	for _, part := range []string{`{"type":"eval.regressed","timestamp":"2026-03-14T12:02:30Z","data":{"id":"`, `"ruling":"failed"`, `"pass_rate":0.8125`, `"tenant":"default"`} {
		if !strings.Contains(r.bodies[0], part) {
			t.Errorf("there is no %s in %s", part, r.bodies[0])
		}
	}
}

// TestALinkToTheReport is made where people reach the gateway, unless the alert has one.
func TestALinkToTheReport(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Site = "https://tenuto.example"
	in := run(1, schemas.RulingFailed)
	in.Link = ""
	r.alert(t, in, "opened")
	if want := "- Report: <https://tenuto.example/console/evals/docs-qa/" + in.Run.ID + ">\n"; !strings.Contains(r.host.Kept(repo)[0].Body, want) {
		t.Errorf("there is no %s in\n%s", want, r.host.Kept(repo)[0].Body)
	}
}

// TestAReceiverThatFails is tried again with the same bytes, whatever happened meanwhile.
func TestAReceiverThatFails(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.alert(t, r.hooked(1, schemas.RulingFailed), "none")
	r.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	in := r.hooked(2, schemas.RulingPassed)
	_, err := r.Alert(t.Context(), in)
	if coded, ok := errors.AsType[*schemas.Error](err); !ok || coded.Code != schemas.Unavailable || coded.RetryAfter != 2*time.Minute {
		t.Fatalf("%v, want unavailable with the wait that was asked for", err)
	}
	r.answer = nil
	r.alert(t, r.hooked(3, schemas.RulingFailed), "none")
	r.alert(t, in, "none")
	if diff := cmp.Diff([]string{"0001 eval.regressed", "0002 eval.recovered", "0003 eval.regressed", "0002 eval.recovered"}, r.told(t)); diff != "" {
		t.Error(diff)
	}
	if r.bodies[1] != r.bodies[3] {
		t.Error("the second attempt says something else")
	}
}

func TestReceiversThatRefuse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }
	if out := r.alert(t, r.hooked(1, schemas.RulingFailed), "none"); out.Webhook != "refused" {
		t.Errorf("a receiver that wants no more: %+v", out)
	}
	in := r.hooked(2, schemas.RulingFailed)
	in.Notify.Webhook = "http://169.254.169.254/latest/meta-data"
	if out := r.alert(t, in, "none"); out.Webhook != "refused" {
		t.Errorf("an address inside the house: %+v", out)
	}
	in = r.hooked(3, schemas.RulingFailed)
	in.Notify.Webhook = "ftp://example.com"
	if _, err := r.Alert(t.Context(), in); err == nil || schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("no URL: %v", err)
	}
}

// TestBothAreToldOrOneOfThem has either fail.
func TestBothAreToldOrOneOfThem(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := run(1, schemas.RulingFailed)
	in.Notify.Webhook = r.hook
	r.api.Fail(githubtest.Failure{Status: http.StatusBadGateway})
	r.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
	if _, err := r.Alert(t.Context(), in); schemas.CodeOf(err) != schemas.Unavailable || !strings.Contains(err.Error(), "GitHub") || !strings.Contains(err.Error(), "webhook") {
		t.Errorf("both fail: %v", err)
	}
	r.answer = nil
	r.api.ReadOnly = true
	if out, err := r.Alert(t.Context(), in); schemas.CodeOf(err) != schemas.Unauthorized || out.Webhook != "delivered" {
		t.Errorf("no permission: %+v, %v", out, err)
	}
	r.api.ReadOnly = false
	if out := r.alert(t, in, "opened"); out.Webhook != "delivered" || len(r.bodies) != 2 {
		t.Errorf("%+v after %d messages", out, len(r.bodies))
	}
}
