package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/activities/provider/web"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// receiver is a service that is told of the ends of runs.
type receiver struct {
	url, host string
	secret    []byte // set before it is told of anything

	mu     sync.Mutex
	answer func(attempt int, r *http.Request) int // status of the nth message of a run; nil is 200
	seen   map[string][]string                    // by run: ids of the messages that came
	taken  map[string]schemas.CallbackRun         // by id: those that were taken
	bad    []string                               // what was wrong with messages
}

func receive(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{seen: map[string][]string{}, taken: map[string]schemas.CallbackRun{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url, r.host = server.URL+"/hook", server.Listener.Addr().String()
	return r
}

// house opens one whose callbacks may go to the receiver.
func (r *receiver) house(t *testing.T) (*house, user) {
	t.Helper()
	h := open(t, options{noIndex: true, env: []string{"TENUTO_WEBHOOK_SECRET=" + digits(32), "TENUTO_WEBHOOK_ALLOW=" + r.host}})
	u := h.admin()
	r.secret = u.secretOf(t)
	return h, u
}

// ServeHTTP checks a message by the specification, and takes it.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	id := request.Header.Get("Webhook-Id")
	var event schemas.CallbackEvent
	err := json.Unmarshal(body, &event)
	run := event.Data.RunID
	r.mu.Lock()
	if err != nil || request.Method != http.MethodPost || !signed(r.secret, request, body) {
		r.bad = append(r.bad, fmt.Sprintf("%s %v: %s", id, err, request.Header.Get("Webhook-Signature")))
	}
	r.seen[run] = append(r.seen[run], id)
	attempt, answer := len(r.seen[run]), r.answer
	r.mu.Unlock()
	status := http.StatusOK
	if answer != nil {
		status = answer(attempt, request)
	}
	w.WriteHeader(status)
	if status < http.StatusMultipleChoices {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.taken[id] = event.Data
	}
}

// signed reports whether a message has the signature of the specification.
func signed(secret []byte, request *http.Request, body []byte) bool {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(request.Header.Get("Webhook-Id") + "." + request.Header.Get("Webhook-Timestamp") + "." + string(body)))
	signature := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(signature), []byte(request.Header.Get("Webhook-Signature")))
}

// secretOf is what messages of a house are signed with.
func (u user) secretOf(t *testing.T) []byte {
	t.Helper()
	text := strings.TrimSpace(u.run(t, "callbacks", "secret"))
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
	if err != nil || len(secret) < 24 {
		t.Fatalf("secret %q: %v", text, err)
	}
	return secret
}

// ids are those of the messages that came of a run.
func (r *receiver) ids(run string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.seen[run]...)
}

// told waits for the message of a run.
func (r *receiver) told(t *testing.T, run string) schemas.CallbackRun {
	t.Helper()
	id := schemas.CallbackMessageID("default", run)
	var got schemas.CallbackRun
	await(t, 2*time.Minute, "the callback of run "+run, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		var ok bool
		got, ok = r.taken[id]
		return ok
	})
	return got
}

// callback asks for a run whose end is told.
func (u user) callback(t *testing.T, r *receiver, word string) string {
	t.Helper()
	body := fmt.Sprintf(`{"mode":"detach","input":{"word":%q},"callback":{"url":%q}}`, word, r.url)
	status, answer := u.http(t, http.MethodPost, streamPath, body)
	if status != http.StatusAccepted {
		t.Fatalf("status %d: %s", status, answer)
	}
	return decode[rest.RunResult](t, answer).RunID
}

// TestCallbacks kills the worker while it tells of a run that ended, and while others are accepted, carried out and told of. Each is told of
// by one message, whose signature is right.
func TestCallbacks(t *testing.T) {
	t.Parallel()
	r := receive(t)
	h, u := r.house(t)
	u.serves(t, pair())

	arrived := make(chan struct{})
	r.answer = func(attempt int, request *http.Request) int {
		if attempt > 1 {
			return http.StatusOK
		}
		close(arrived)
		<-request.Context().Done() // the worker is gone
		return http.StatusServiceUnavailable
	}
	run := u.callback(t, r, "heron")
	select {
	case <-arrived:
	case <-time.After(time.Minute):
		t.Fatal("nothing was told")
	}
	h.worker.kill()
	h.startWorker(t)
	got, record := r.told(t, run), u.runOf(t, run).Record
	if got.Status != schemas.RunDone || string(got.Output) != string(record.Output) || got.Usage != record.Usage || got.Release != record.Release || record.Lane {
		t.Errorf("told of %+v, recorded is %+v", got, record)
	}
	if ids := r.ids(run); len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("messages %v", ids)
	}
	await(t, time.Minute, "the delivery to be kept", func() bool {
		return strings.Contains(u.run(t, "runs", "show", run), "callback   delivered to http://"+r.host)
	})

	r.mu.Lock()
	r.answer = nil
	r.mu.Unlock()
	var runs []string
	for i := range 20 {
		if i == 8 || i == 16 { // right after one was accepted
			h.worker.kill()
			h.startWorker(t)
		}
		runs = append(runs, u.callback(t, r, fmt.Sprintf("word-%d", i)))
	}
	repeats := 0
	for i, run := range runs {
		if got := r.told(t, run); got.Status != schemas.RunDone || !strings.Contains(string(got.Output), fmt.Sprintf("word-%d", i)) {
			t.Errorf("told of %+v", got)
		}
		repeats += len(r.ids(run)) - 1
	}
	if len(r.taken) != 1+len(runs) || len(r.bad) > 0 {
		t.Errorf("%d messages were taken, want %d; wrong are %v", len(r.taken), 1+len(runs), r.bad)
	}
	t.Logf("%d runs, %d messages came twice, under the same id", len(runs), repeats)
}

// TestCallbacksAreRefused has callbacks go to addresses inside the house, one of them by a name that shows it only when it is called.
func TestCallbacksAreRefused(t *testing.T) {
	t.Parallel()
	r := receive(t)
	_, u := r.house(t)
	u.serves(t, pair())
	run := func(url string) []string {
		return []string{"run", "main@production", "--input", "word=x", "--detach", "--callback", url}
	}
	u.fails(t, 1, []string{"not a public address"}, run("http://127.0.0.1:1/")...)
	u.fails(t, 1, []string{"not a public address"}, run("http://169.254.169.254/latest/meta-data/")...)
	u.fails(t, 2, []string{"http and https"}, run("ftp://example.com/")...)
	name, err := os.Hostname()
	if err != nil || !leadsInside(t, name) {
		t.Skipf("the name of this machine, %q, does not lead to an address inside the house: the case of a name that does is left out", name)
	}
	hidden := strings.TrimSpace(u.run(t, run("http://"+name+":1/")...)) // not the port that the allow list has
	u.ended(t, hidden, rest.RunDone)
	if got := u.delivered(t, hidden, schemas.DeliveryRefused); len(r.ids(hidden)) > 0 || !strings.Contains(got.Detail, "not a public address") {
		t.Errorf("an address inside the house: %+v", got)
	}
}

func leadsInside(t *testing.T, name string) bool {
	t.Helper()
	addresses, err := net.DefaultResolver.LookupNetIP(t.Context(), "ip", name)
	return err == nil && len(addresses) > 0 && !slices.ContainsFunc(addresses, web.Public)
}

// TestRecordCallbacks records callbacks: one that is taken at the second attempt, one of a run that fails whose receiver wants no more, and one
// of a run that a recall starts anew.
func TestRecordCallbacks(t *testing.T) {
	t.Parallel()
	if os.Getenv("TENUTO_RECORD") == "" {
		t.Skip("TENUTO_RECORD is not set; histories are recorded on purpose only")
	}
	r := receive(t)
	h, u := r.house(t)
	u.serves(t, pair())
	r.answer = func(attempt int, _ *http.Request) int {
		if attempt == 1 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}
	taken := u.callback(t, r, "heron")
	r.told(t, taken)
	u.delivered(t, taken, schemas.Delivered)
	record(t, h, "Callback-delivered", schemas.CallbackID("default", taken))

	r.mu.Lock()
	r.answer = func(int, *http.Request) int { return http.StatusGone }
	r.mu.Unlock()
	h.models.handler.Fail(modeltest.Failure{Status: http.StatusBadRequest})
	refused := u.callback(t, r, "egret")
	u.ended(t, refused, rest.RunFailed)
	u.delivered(t, refused, schemas.DeliveryRefused)
	record(t, h, "Callback-refused", schemas.CallbackID("default", refused))
}

// delivered waits until a delivery has ended.
func (u user) delivered(t *testing.T, run, state string) schemas.Delivery {
	t.Helper()
	var delivery schemas.Delivery
	if err := u.temporal(t).GetWorkflow(t.Context(), schemas.CallbackID("default", run), "").Get(t.Context(), &delivery); err != nil {
		t.Fatal(err)
	}
	if delivery.State != state {
		t.Errorf("the delivery ended as %+v, want %s", delivery, state)
	}
	if shown := u.runOf(t, run).Callback; shown == nil || *shown != delivery {
		t.Errorf("shown is %+v, and it ended as %+v", shown, delivery)
	}
	return delivery
}
