package client_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
)

// teller tells of one run as a gateway does, and may be cut off anywhere.
type teller struct {
	words  []string
	cuts   []int // after how many bytes the first connections are cut
	asked  atomic.Int64
	posted atomic.Int64
	left   chan struct{} // closed when a client has left before the end; may be nil
	hold   bool          // the end never comes
}

// ServeHTTP implements http.Handler.
func (s *teller) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := int(s.asked.Add(1)) - 1
	if r.Method == http.MethodPost {
		s.posted.Add(1)
		if r.Header.Get("Idempotency-Key") == "" {
			http.Error(w, "a request that may be repeated has a key", http.StatusBadRequest)
			return
		}
	}
	told := s.tale(r.Header.Get("Last-Event-ID"))
	if n < len(s.cuts) && s.cuts[n] < len(told) {
		told = told[:s.cuts[n]]
		_, _ = w.Write([]byte(told))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // the connection breaks
	}
	_, _ = w.Write([]byte(told))
	_ = http.NewResponseController(w).Flush()
	if s.hold {
		<-r.Context().Done()
		close(s.left)
	}
}

// tale is what is told to who has had all up to an event.
func (s *teller) tale(last string) string {
	told := "event: run\ndata: {\"run_id\":\"r1\",\"release\":\"abc\",\"label\":\"production\"}\n\n:\n\n"
	shown, _, _ := strings.Cut(last, "-")
	from, _ := strconv.Atoi(shown)
	text := ""
	for _, word := range s.words {
		text += word
		if len(text) <= from {
			continue
		}
		told += fmt.Sprintf("event: delta\nid: %s\ndata: {\"text\":%q}\n\n", position(text), word)
	}
	if s.hold {
		return told
	}
	return told + fmt.Sprintf("event: done\ndata: {\"run_id\":\"r1\",\"status\":\"done\",\"output\":{\"text\":%q},\"usage\":{},\"cost\":{}}\n\n", text)
}

func position(text string) string {
	sum := sha256.Sum256([]byte(text))
	return fmt.Sprintf("%d-%s", len(text), hex.EncodeToString(sum[:])[:16])
}

type text struct {
	Text string `json:"text"`
}

// over is a client of a server of the test.
func over(t *testing.T, handler http.Handler, options ...client.Option) *client.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := client.New(nil, append([]client.Option{client.WithGateway(server.URL, "key")}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// watched is what came of a stream.
type watched struct {
	text   string
	kinds  string
	result client.Result[text]
	err    error
}

func watch(ctx context.Context, c *client.Client, of string) (got watched) {
	events := client.ChainOf[struct{}, text](c, "main@production").Stream(ctx, struct{}{})
	if of != "" {
		events = client.Find[text](c, of).Events(ctx)
	}
	for event, err := range events {
		if err != nil {
			got.err = err
			continue
		}
		got.kinds += string(event.Kind) + " "
		switch event.Kind {
		case client.Started:
		case client.Delta:
			got.text += event.Text
		case client.Reset:
			got.text = ""
		case client.Done:
			got.result = event.Result
		}
	}
	return got
}

// TestAStreamCutAnywhere cuts the first connection after every number of bytes, and the second as well: nothing is lost, nothing doubled, and it is
// one run.
func TestAStreamCutAnywhere(t *testing.T) {
	t.Parallel()
	words := []string{"The ", "quick ", "brown \n", "“fox” ", "jumps."}
	whole := (&teller{words: words}).tale("")
	var watching sync.WaitGroup
	for at := range len(whole) {
		c := over(t, &teller{words: words, cuts: []int{at, len(whole) / 2}}, client.WithReconnects(3))
		watching.Go(func() {
			got := watch(t.Context(), c, "")
			if got.err != nil || got.text != strings.Join(words, "") || got.result.Output.Text != got.text {
				t.Errorf("cut after %d bytes: %q, %v", at, got.text, got.err)
			}
			if got.kinds != "run delta delta delta delta delta done " {
				t.Errorf("cut after %d bytes: %s", at, got.kinds)
			}
		})
	}
	watching.Wait()
}

// TestAStreamOfManyCuts breaks after each event, oftener than may be without a piece of text between.
func TestAStreamOfManyCuts(t *testing.T) {
	t.Parallel()
	s := &teller{words: []string{"a", "b", "c", "d"}}
	head := strings.Index(s.tale(""), "event: delta")
	for _, word := range s.words { // each connection brings one delta
		s.cuts = append(s.cuts, head+len(fmt.Sprintf("event: delta\nid: %s\ndata: {\"text\":%q}\n\n", position(word), word))+3)
	}
	got := watch(t.Context(), over(t, s, client.WithReconnects(1)), "")
	if got.err != nil || got.text != "abcd" || s.posted.Load() != 1 {
		t.Errorf("%+v, begun %d times", got, s.posted.Load())
	}
	none := &teller{words: s.words, cuts: []int{head, head, head, head}}
	got = watch(t.Context(), over(t, none, client.WithReconnects(2)), "")
	want(t, got.err, schemas.Unavailable, "the run may go on")
	if n := none.asked.Load(); n != 3 {
		t.Errorf("%d connections, want the first and two more", n)
	}
}

// TestTheRecordIsTheAuthority has a gateway end with a result that is not what was shown.
func TestTheRecordIsTheAuthority(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ events, text, kinds string }{
		"another": {"event: delta\nid: 3-0\ndata: {\"text\":\"bad\"}\n\n", "good", "run delta reset delta done "},
		"less":    {"event: delta\nid: 2-0\ndata: {\"text\":\"go\"}\n\n", "good", "run delta delta done "},
		"reset":   {"event: delta\nid: 3-0\ndata: {\"text\":\"bad\"}\n\nevent: reset\nid: 0-0\ndata: {}\n\nevent: delta\nid: 4-0\ndata: {\"text\":\"good\"}\n\n", "good", "run delta reset delta done "},
		"unknown": {"event: later\ndata: {}\n\n", "good", "run delta done "},
	} {
		c := over(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "event: run\ndata: {\"run_id\":\"r\"}\n\n%sevent: done\ndata: {\"run_id\":\"r\",\"output\":{\"text\":\"good\"}}\n\n", test.events)
		}))
		if got := watch(t.Context(), c, ""); got.err != nil || got.text != test.text || got.kinds != test.kinds {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestAListenerWhoLeaves breaks off the loop: the connection is closed with it.
func TestAListenerWhoLeaves(t *testing.T) {
	t.Parallel()
	s := &teller{words: []string{"a"}, hold: true, left: make(chan struct{})}
	c := over(t, s)
	for event, err := range client.ChainOf[struct{}, text](c, "main@production").Stream(t.Context(), struct{}{}) {
		if err != nil {
			t.Fatal(err)
		}
		if event.Kind == client.Delta {
			break
		}
	}
	select {
	case <-s.left:
	case <-time.After(10 * time.Second):
		t.Error("the connection stays open")
	}
	stays := &teller{words: []string{"a"}, hold: true, left: make(chan struct{})}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	want(t, watch(ctx, over(t, stays), "r1").err, schemas.Deadline, "")
	<-stays.left
}

// TestErrorsOfStreams tells what passes from what does not.
func TestErrorsOfStreams(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		code   schemas.Code
		status string // of the run
		asked  int64  // connections
		want   schemas.Code
	}{
		"refused":                  {schemas.Refused, "failed", 1, schemas.Refused},
		"the run's own outage":     {schemas.Unavailable, "failed", 1, schemas.Unavailable},
		"the run's own deadline":   {schemas.Deadline, "failed", 1, schemas.Deadline},
		"an outage of the gateway": {schemas.Unavailable, "running", 3, schemas.Unavailable},
		"a wait that was too long": {schemas.Deadline, "running", 3, schemas.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			c := over(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/api/v1/runs/r" {
					fmt.Fprintf(w, `{"run_id":"r","status":%q}`, test.status)
					return
				}
				asked.Add(1)
				fmt.Fprintf(w, "event: run\ndata: {\"run_id\":\"r\"}\n\nevent: error\ndata: {\"code\":%q,\"detail\":\"no\"}\n\n", test.code)
			}), client.WithReconnects(2))
			got := watch(t.Context(), c, "")
			if schemas.CodeOf(got.err) != test.want || asked.Load() != test.asked {
				t.Errorf("%v after %d connections", got.err, asked.Load())
			}
		})
	}
}

// TestAnswersThatAreNone has servers that are no gateways, or busy ones.
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		asked  int64
		code   schemas.Code
		word   string
	}{
		"a proxy":      {502, "<html>", 2, schemas.Unavailable, "no Tenuto gateway"},
		"another site": {404, "<html>", 1, schemas.Invalid, "check TENUTO_URL"},
		"busy":         {429, `{"code":"rate_limited","detail":"slowly"}`, 2, schemas.RateLimited, "slowly"},
		"a bad key":    {401, `{"code":"unauthorized","detail":"no such key"}`, 1, schemas.Unauthorized, "no such key"},
		"no events":    {200, "hello", 2, schemas.Unavailable, "broke"},
	} {
		var asked atomic.Int64
		c := over(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			w.WriteHeader(test.status)
			fmt.Fprint(w, test.body)
		}), client.WithReconnects(1))
		got := watch(t.Context(), c, "")
		want(t, got.err, test.code, test.word)
		if asked.Load() != test.asked {
			t.Errorf("%s: asked %d times, want %d", name, asked.Load(), test.asked)
		}
	}
	c, err := client.New(nil, client.WithGateway("http://127.0.0.1:1", "k"), client.WithReconnects(0))
	if err != nil {
		t.Fatal(err)
	}
	want(t, watch(t.Context(), c, "").err, schemas.Unavailable, "no gateway answers")
}

// TestStreamsOfAGateway follows a run on a real gateway, and again from another.
func TestStreamsOfAGateway(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	if _, err := serve(h.URL, gatewaytest.AdminToken, handbook("handbook")); err != nil {
		t.Fatal(err)
	}
	other, err := client.New(nil, client.WithGateway(gatewaytest.Over(t, h.Server, nil).URL, gatewaytest.AdminToken))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range ways(t, h) {
		if name == "temporal" {
			continue
		}
		shown, run := "", ""
		for event, err := range client.ChainOf[Question, Answer](c, "handbook@production").Stream(t.Context(), Question{asksForLogs}) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			shown += event.Text
			if event.Kind == client.Done {
				run = event.Result.RunID
			}
		}
		if shown != ofLogs {
			t.Errorf("%s: %q", name, shown)
		}
		again := ""
		for event, err := range client.Find[Answer](other, run).Events(t.Context()) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			again += event.Text
		}
		if again != ofLogs {
			t.Errorf("%s, from another gateway: %q", name, again)
		}
	}
}
