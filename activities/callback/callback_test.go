package callback_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/callback"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/activities/provider/notify"
	"github.com/tenuto-dev/tenuto/activities/provider/web"
	"github.com/tenuto-dev/tenuto/schemas"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// rig is the activities over a store in memory, with a receiver.
type rig struct {
	*callback.Activities

	store   *blob.Store
	url     string
	headers []http.Header
	bodies  []string
	answer  http.HandlerFunc
}

var of = schemas.CallbackOf{Tenant: "acme", RunID: "r.1", StartMS: noon.UnixMilli()}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{store: blob.New(&memblob.Driver{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		r.headers, r.bodies = append(r.headers, request.Header), append(r.bodies, string(body))
		r.answer(w, request)
	}))
	t.Cleanup(server.Close)
	r.url = server.URL + "/hook"
	keys, err := notify.ParseKeys("0123456789abcdef0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return noon.Add(time.Minute) }
	r.Activities = &callback.Activities{
		Store: r.store, Records: journal.New(r.store, "test"), Now: now,
		Sender: &notify.Sender{Web: &web.Client{}, Keys: keys, Allow: []string{server.Listener.Addr().String()}, Now: now},
	}
	return r
}

// answers has the receiver answer with statuses, one after another.
func (r *rig) answers(statuses ...int) {
	r.answer = func(w http.ResponseWriter, _ *http.Request) {
		status := statuses[0]
		if len(statuses) > 1 {
			statuses = statuses[1:]
		}
		w.WriteHeader(status)
	}
}

func (r *rig) record(t *testing.T, e schemas.Exchange) {
	t.Helper()
	e.RunID, e.Tenant, e.StartMS = of.RunID, of.Tenant, of.StartMS
	if _, err := blob.PutJSON(t.Context(), r.store, schemas.RunKey(of.Tenant, of.RunID, noon), e); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) prepared(t *testing.T, e schemas.Exchange) schemas.DeliverRequest {
	t.Helper()
	r.record(t, e)
	body, err := r.Prepare(t.Context(), of)
	if err != nil {
		t.Fatal(err)
	}
	return schemas.DeliverRequest{CallbackOf: of, URL: r.url, Body: body.Body}
}

// event is what a request tells.
func (r *rig) event(t *testing.T, in schemas.DeliverRequest) (event schemas.CallbackEvent, size int) {
	t.Helper()
	data, err := blob.GetContent(t.Context(), r.store, in.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &event); err != nil {
		t.Fatal(err)
	}
	return event, len(data)
}

func TestWhatIsTold(t *testing.T) {
	t.Parallel()
	known := schemas.Exchange{
		Chain: "qa", Release: "c0ffee", Label: "production", Status: schemas.RunDone, Output: json.RawMessage(`{"text":"<b>"}`), TookMS: 1500,
		Usage: schemas.Usage{Calls: 2, InputTokens: 3}, Cost: schemas.Cost{USD: 0.5, Unknown: 1}, Metadata: map[string]string{"a": "b"},
		Input: json.RawMessage(`{"secret":"in"}`), Steps: []schemas.ExchangeStep{{ID: "a"}}, Key: "0a",
	}
	want := schemas.CallbackEvent{Type: "run.done", Timestamp: "2026-03-14T12:00:01.5Z", Data: schemas.CallbackRun{
		RunID: "r.1", Chain: "qa", Release: "c0ffee", Label: "production", Status: "done", Output: json.RawMessage(`{"text":"\u003cb\u003e"}`),
		Usage: known.Usage, Cost: known.Cost, StartMS: noon.UnixMilli(), EndMS: noon.UnixMilli() + 1500, Metadata: known.Metadata, Href: "/api/v1/runs/r.1",
	}}
	failed, wanted := known, want
	failed.Status, failed.Output, failed.RerunAs = schemas.RunCancelled, nil, "other"
	failed.Failure = &schemas.StepError{Code: schemas.Conflict, Message: "cancelled"}
	wanted.Type, wanted.Data.Status, wanted.Data.Output, wanted.Data.Failure, wanted.Data.RerunAs = "run.cancelled", "cancelled", nil, failed.Failure, "other"
	long, short := known, want
	long.Output = json.RawMessage(`"` + strings.Repeat("x", schemas.CallbackOutputMost) + `"`)
	short.Data.Output, short.Data.OutputBytes = nil, schemas.CallbackOutputMost+2
	apart := known
	apart.Output, apart.OutputRef = nil, schemas.Ref{Key: "k", Bytes: schemas.CallbackOutputMost + 2}
	for name, test := range map[string]struct {
		record schemas.Exchange
		want   schemas.CallbackEvent
	}{"done": {known, want}, "cancelled": {failed, wanted}, "a long output": {long, short}, "an output of its own": {apart, short}} {
		r := newRig(t)
		got, size := r.event(t, r.prepared(t, test.record))
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
		if size > schemas.CallbackOutputMost+4096 {
			t.Errorf("%s: %d bytes", name, size)
		}
	}
	r := newRig(t)
	worst := known
	worst.Failure = &schemas.StepError{Code: schemas.Internal, Message: strings.Repeat("ü", 1<<20)}
	if _, size := r.event(t, r.prepared(t, worst)); size > 8192 {
		t.Errorf("a long failure: %d bytes", size)
	}
}

func TestNothingIsToldBeforeThereIsARecord(t *testing.T) {
	t.Parallel()
	if _, err := newRig(t).Prepare(t.Context(), of); schemas.CodeOf(err) != schemas.Unavailable {
		t.Error(err)
	}
}

// TestAReceiverThatComesBack refuses twice before it takes the message.
func TestAReceiverThatComesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.prepared(t, schemas.Exchange{Status: schemas.RunDone})
	r.answers(500, 404, 204)
	for attempt, status := range []int{500, 404} {
		if _, err := r.Deliver(t.Context(), in); schemas.CodeOf(err) != schemas.Unavailable {
			t.Fatalf("attempt %d: %v", attempt, err)
		}
		kept := r.kept(t)
		if kept.State != schemas.DeliveryPending || kept.Attempts != attempt+1 || kept.Status != status || kept.Detail == "" {
			t.Errorf("attempt %d: %+v", attempt, kept)
		}
	}
	delivery, err := r.Deliver(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Keep(t.Context(), schemas.KeepDeliveryRequest{CallbackOf: of, Delivery: delivery}); err != nil {
		t.Fatal(err)
	}
	want := schemas.Delivery{
		State: schemas.Delivered, To: strings.TrimSuffix(r.url, "/hook"), MessageID: schemas.CallbackMessageID("acme", "r.1"), Attempts: 3, Status: 204,
		LastMS: noon.Add(time.Minute).UnixMilli(),
	}
	if diff := cmp.Diff(want, r.kept(t)); diff != "" {
		t.Error(diff)
	}
	if len(r.bodies) != 3 || r.bodies[0] != r.bodies[2] || r.headers[0].Get("webhook-id") != r.headers[2].Get("webhook-id") {
		t.Errorf("%d attempts with different messages", len(r.bodies))
	}
}

func (r *rig) kept(t *testing.T) schemas.Delivery {
	t.Helper()
	delivery, err := blob.GetJSON[schemas.Delivery](t.Context(), r.store, schemas.Ref{Key: schemas.CallbackKey(of.Tenant, of.RunID, noon)})
	if err != nil {
		t.Fatal(err)
	}
	return delivery
}

func TestHowAttemptsEnd(t *testing.T) {
	t.Parallel()
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	asks := func(code int, wait string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", wait)
			w.WriteHeader(code)
		}
	}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		url    string // the receiver's if empty
		state  string
		status int
		wait   time.Duration
		says   string
	}{
		"200":             {answer: status(200), state: schemas.Delivered, status: 200},
		"299":             {answer: status(299), state: schemas.Delivered, status: 299},
		"gone":            {answer: status(410), state: schemas.DeliveryRefused, status: 410, says: "wants no more"},
		"unauthorized":    {answer: status(401), state: schemas.DeliveryPending, status: 401, says: "status 401"},
		"redirect":        {answer: status(307), state: schemas.DeliveryPending, status: 307, says: "redirects are not followed"},
		"throttled":       {answer: asks(429, "60"), state: schemas.DeliveryPending, status: 429, wait: time.Minute},
		"for a week":      {answer: asks(503, "604800"), state: schemas.DeliveryPending, status: 503, wait: 6 * time.Hour},
		"in no time":      {answer: asks(503, "1"), state: schemas.DeliveryPending, status: 503, wait: 5 * time.Second},
		"broken off":      {answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, state: schemas.DeliveryPending, says: "broke off"},
		"private":         {url: "http://10.0.0.1/x", state: schemas.DeliveryRefused, says: "not a public address"},
		"metadata":        {url: "http://169.254.169.254/", state: schemas.DeliveryRefused, says: "not a public address"},
		"loopback's name": {url: "http://localhost:1/", state: schemas.DeliveryRefused, says: "not a public address"},
		"no URL":          {url: "gopher://x", state: schemas.DeliveryRefused, says: "http and https"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.answer = test.answer
			in := r.prepared(t, schemas.Exchange{Status: schemas.RunDone})
			if test.url != "" {
				in.URL = test.url
			}
			delivery, err := r.Deliver(t.Context(), in)
			if pending := test.state == schemas.DeliveryPending; pending != (err != nil) {
				t.Fatalf("%+v, %v", delivery, err)
			} else if pending {
				if got := waitOf(err); got != test.wait {
					t.Errorf("waits %v, want %v", got, test.wait)
				}
				delivery = r.kept(t)
			}
			if delivery.State != test.state || delivery.Status != test.status || delivery.Attempts != 1 || !strings.Contains(delivery.Detail, test.says) {
				t.Errorf("%+v", delivery)
			}
		})
	}
}

// waitOf is the wait that the failure asks for.
func waitOf(err error) time.Duration {
	coded, _ := errors.AsType[*schemas.Error](err)
	return coded.RetryAfter
}

// TestWaitsOnlyGrow requires that a receiver cannot make us hurry: the waits of later attempts are as long as ours would be.
func TestWaitsOnlyGrow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.prepared(t, schemas.Exchange{Status: schemas.RunDone})
	r.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	for _, want := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second} {
		_, err := r.Deliver(t.Context(), in)
		if got := waitOf(err); got != want {
			t.Errorf("waits %v, want %v", got, want)
		}
	}
}

func TestGivenUpKeepsWhatWasMet(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.prepared(t, schemas.Exchange{Status: schemas.RunDone})
	r.answers(502)
	for range 2 {
		_, _ = r.Deliver(t.Context(), in) // it fails, which others test
	}
	got, err := r.Keep(t.Context(), schemas.KeepDeliveryRequest{CallbackOf: of, Delivery: schemas.Delivery{State: schemas.DeliveryGivenUp, Detail: "late"}})
	if err != nil || got.State != schemas.DeliveryGivenUp || got.Attempts != 2 || got.Status != 502 || !strings.Contains(got.Detail, "502") {
		t.Errorf("%+v, %v", got, err)
	}
	none := newRig(t)
	got, err = none.Keep(t.Context(), schemas.KeepDeliveryRequest{CallbackOf: of, Delivery: schemas.Delivery{State: schemas.DeliveryGivenUp, Detail: "no record"}})
	if want := (schemas.Delivery{State: schemas.DeliveryGivenUp, Detail: "no record"}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestACancelIsNoAttempt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.prepared(t, schemas.Exchange{Status: schemas.RunDone})
	ctx, cancel := context.WithCancel(t.Context())
	r.answer = func(_ http.ResponseWriter, request *http.Request) {
		cancel()
		<-request.Context().Done()
	}
	if _, err := r.Deliver(ctx, in); err == nil {
		t.Error("a cancelled attempt ends well")
	}
	if _, err := r.store.Stat(t.Context(), schemas.CallbackKey(of.Tenant, of.RunID, noon)); schemas.CodeOf(err) != schemas.NotFound {
		t.Errorf("it is kept: %v", err)
	}
}
