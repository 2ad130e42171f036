package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// viewer is a client that follows one run, over as many connections as it takes.
type viewer struct {
	user
	own, run, last string // idempotency key, id of the run and of the last event
	text           string // what it shows
	resets, asked  int
	first          time.Duration // from the request to the first piece, on a connection that was not cut
	result         rest.RunResult
	read           func() // called before each event is read; may be nil
}

var errCut = errors.New("the stream was cut")

// connect follows the run until its end, or until the connection breaks.
func (v *viewer) connect(ctx context.Context, path, body string) error {
	v.asked++
	method, url := http.MethodPost, v.url()+path
	if v.own == "" && v.run != "" {
		method, url, body = http.MethodGet, v.url()+"/api/v1/runs/"+v.run+"/events", ""
	}
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+v.key)
	request.Header.Set("Content-Type", "application/json")
	if v.own != "" {
		request.Header.Set("Idempotency-Key", v.own)
	}
	if v.last != "" {
		request.Header.Set("Last-Event-ID", v.last)
	}
	start := time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return errCut
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		data, _ := io.ReadAll(response.Body)
		if response.StatusCode >= http.StatusInternalServerError {
			return errCut
		}
		return fmt.Errorf("status %d: %s", response.StatusCode, data)
	}
	return v.watch(bufio.NewReader(response.Body), start)
}

// watch reads events.
func (v *viewer) watch(from *bufio.Reader, start time.Time) error {
	name, id := "", ""
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			return errCut
		}
		line = strings.TrimSuffix(line, "\n")
		switch field, value, _ := strings.Cut(line, ": "); field {
		case "event":
			name = value
		case "id":
			id = value
		case "data":
			if v.read != nil {
				v.read()
			}
			if end, err := v.take(name, id, value, start); end || err != nil {
				return err
			}
		}
	}
}

func (v *viewer) take(name, id, data string, start time.Time) (end bool, err error) {
	if id != "" {
		v.last = id
	}
	switch name {
	case "run":
		var about rest.RunResult
		err = json.Unmarshal([]byte(data), &about)
		v.run = about.RunID
	case "delta":
		if v.first == 0 {
			v.first = time.Since(start)
		}
		var delta rest.Delta
		err = json.Unmarshal([]byte(data), &delta)
		v.text += delta.Text
	case "reset":
		v.text = ""
		v.resets++
	case "done":
		return true, json.Unmarshal([]byte(data), &v.result)
	case "error":
		if strings.Contains(data, `"unavailable"`) || strings.Contains(data, `"deadline"`) {
			return false, errCut
		}
		return false, fmt.Errorf("the stream ended with %s", data)
	}
	return false, err
}

// follow connects until the run has ended.
func (v *viewer) follow(ctx context.Context, path, body string) error {
	for {
		err := v.connect(ctx, path, body)
		if !errors.Is(err, errCut) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("run %s: %w", v.run, ctx.Err())
		case <-time.After(10 * pollEvery):
		}
	}
}

// release makes a release of a bundle.
func (u user) release(t *testing.T, bundle schemas.Bundle) rest.Release {
	t.Helper()
	data, err := json.Marshal(rest.NewRelease{Bundle: bundle})
	if err != nil {
		t.Fatal(err)
	}
	return decode[rest.Release](t, u.sends(t, "/api/v1/releases", "", string(data)))
}

// serves makes a release of a bundle, and points the label production to it.
func (u user) serves(t *testing.T, bundle schemas.Bundle) {
	t.Helper()
	u.sends(t, "/api/v1/chains/main/labels/production/moves", "", `{"release":"`+u.release(t, bundle).Hash+`"}`)
}

const streamPath = "/api/v1/chains/main@production/runs"

func streamBody(run string) string { return `{"mode":"stream","input":{"run":"` + run + `"}}` }

// ends requires that the client shows what the record says.
func (v *viewer) ends(t *testing.T, name string) {
	t.Helper()
	texts := threeAnswers(name)
	want := texts[len(texts)-1]
	if got := schemas.AnswerText(v.result.Output); got != want || v.text != want {
		t.Errorf("%s: the client shows %q, the result says %q, want %q", name, v.text, got, want)
	}
}

// TestStreamsKilled has 200 clients follow runs while workers and gateways are killed twenty times. Half of them come back with their key,
// half with the id of the run.
func TestStreamsKilled(t *testing.T) {
	t.Parallel()
	h := open(t, options{})
	u := h.admin()
	endpoint := serveChats(t, modeltest.Options{Latency: 30 * time.Millisecond, Pace: 5 * time.Millisecond})
	u.serves(t, threeSteps(endpoint.models(schemas.RateDef{Concurrency: 2})))
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var watching sync.WaitGroup
	var asked, resets atomic.Int64
	for i := range killedRuns {
		watching.Go(func() {
			name := fmt.Sprintf("stream-%03d", i)
			v := &viewer{user: u}
			if i%2 == 0 {
				v.own = name
			}
			if err := v.follow(ctx, streamPath, streamBody(name)); err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			v.ends(t, name)
			asked.Add(int64(v.asked))
			resets.Add(int64(v.resets))
		})
	}
	h.killings(t, endpoint, killedRuns*len(threeStepNames))
	watching.Wait()
	t.Logf("%d streams over %d connections, %d resets", killedRuns, asked.Load(), resets.Load())
}

// TestThousandStreams has a thousand clients follow runs at once. One that reads slowly holds up nobody.
func TestThousandStreams(t *testing.T) {
	t.Parallel()
	h := open(t, options{})
	u := h.admin()
	endpoint := serveChats(t, modeltest.Options{Latency: 50 * time.Millisecond, Pace: 20 * time.Millisecond})
	u.serves(t, threeSteps(endpoint.models(schemas.RateDef{})))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	slow := make(chan struct{})
	var idle, watching sync.WaitGroup
	for i := range 10 { // they stop reading after the first event
		idle.Go(func() {
			v := &viewer{user: u, read: func() { <-slow }}
			name := fmt.Sprintf("slow-%d", i)
			if err := v.follow(ctx, streamPath, streamBody(name)); err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			v.ends(t, name)
		})
	}
	const streams = 1000
	start := time.Now()
	for i := range streams {
		watching.Go(func() {
			name := fmt.Sprintf("one-of-many-%04d", i)
			v := &viewer{user: u}
			if err := v.follow(ctx, streamPath, streamBody(name)); err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			v.ends(t, name)
			if v.resets > 0 {
				t.Errorf("%s was begun anew", name)
			}
		})
	}
	watching.Wait()
	t.Logf("%d streams in %s", streams, time.Since(start))
	close(slow)
	idle.Wait()
	if calls := len(endpoint.history()); calls != (streams+10)*len(threeStepNames) {
		t.Errorf("%d calls of the model", calls)
	}
}
