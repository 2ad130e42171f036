package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// warmUp is how many questions and empty workflows are not counted.
const warmUp = 20

// ask compares the overhead of a question with an empty workflow.
func (b *bench) ask(ctx context.Context) error {
	endpoint, err := serveModel(ctx, b.latency)
	if err != nil {
		return err
	}
	defer endpoint.server.Close()
	p, err := b.open(ctx, "OPENAI_BASE_URL="+endpoint.url, "OPENAI_API_KEY=bench", "TENUTO_MODEL=openai/"+modeltest.ChatModel)
	if err != nil {
		return err
	}
	defer p.close()
	docs, err := goDocs(ctx)
	if err != nil {
		return err
	}
	if err := p.run(ctx, nil, "ingest", docs, "--collection", "go-docs"); err != nil {
		return err
	}
	empty, err := hostEmpty(ctx)
	if err != nil {
		return err
	}
	defer empty.close()
	timed, err := b.alternate(ctx, p, endpoint, empty)
	if err != nil {
		return err
	}
	return b.print(b.judgeAsk(timed))
}

// timings are in milliseconds.
type timings struct{ whole, overhead, empty []float64 }

// alternate asks and runs the empty workflow in turn.
func (b *bench) alternate(ctx context.Context, p *platform, endpoint *modelEndpoint, empty *emptyHost) (timings, error) {
	var t timings
	for i := range warmUp + b.runs {
		endpoint.spent()
		start := time.Now()
		if err := p.ask(ctx, fmt.Sprintf("%s (%d)", topics[i%len(topics)], i)); err != nil {
			return t, err
		}
		whole := time.Since(start)
		model := endpoint.spent()
		if model < b.latency {
			return t, fmt.Errorf("question %d was answered without the model", i)
		}
		start = time.Now()
		if err := empty.run(ctx); err != nil {
			return t, err
		}
		idle := time.Since(start)
		if i >= warmUp {
			t.whole, t.overhead, t.empty = append(t.whole, millis(whole)), append(t.overhead, millis(whole-model)), append(t.empty, millis(idle))
		}
	}
	return t, nil
}

func (b *bench) judgeAsk(t timings) measurement {
	ratio := round(median(t.overhead) / median(t.empty))
	return measurement{
		Name: "ask", N: len(t.whole), Ratio: ratio, Bound: b.askBound, Holds: ratio <= b.askBound,
		Figures: map[string]any{
			"overhead_ms_p50": round(median(t.overhead)), "overhead_ms_p95": round(quantile(t.overhead, 0.95)),
			"whole_ms_p50": round(median(t.whole)), "whole_ms_p95": round(quantile(t.whole, 0.95)),
			"ratio_p95": round(quantile(t.overhead, 0.95) / quantile(t.empty, 0.95)),
		},
		Floor: map[string]any{
			"what": "an empty workflow with three local activities", "ms_p50": round(median(t.empty)), "ms_p95": round(quantile(t.empty, 0.95)),
		},
	}
}

// topics are what is asked about, each time with another number, so that no question comes twice.
var topics = []string{
	"What happens when you send to a closed channel?",
	"When are deferred functions executed?",
	"What is the value of an uninitialized variable?",
	"How is a slice made from an array?",
	"What does a select statement choose?",
	"Which types can be keys of a map?",
	"What does a type parameter stand for?",
	"How does a goroutine start?",
	"What is a method set?",
	"What does the memory model guarantee about channels?",
}

// ask asks over HTTP on a connection that stays open, and reads the whole answer.
func (p *platform) ask(ctx context.Context, question string) error {
	body, err := json.Marshal(rest.NewAsk{Question: question})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/api/v1/collections/go-docs/ask", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+p.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	var answer rest.Answered
	if err := json.Unmarshal(data, &answer); err != nil || response.StatusCode != http.StatusOK || answer.Answer == "" {
		return fmt.Errorf("%q was not answered: %s %s", question, response.Status, data)
	}
	return nil
}

// goDocs is the folder of documents that ships with the Go toolchain.
func goDocs(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("finding the Go toolchain: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "doc"), nil
}

// modelEndpoint is a model server that knows how long it took.
type modelEndpoint struct {
	url    string
	server *http.Server

	mu   sync.Mutex
	took time.Duration
}

func serveModel(ctx context.Context, latency time.Duration) (*modelEndpoint, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &modelEndpoint{url: "http://" + listener.Addr().String() + "/v1"}
	handler := modeltest.NewHandler(modeltest.Options{Latency: latency})
	e.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		handler.ServeHTTP(w, r)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.took += time.Since(start)
	})}
	go e.server.Serve(listener) //nolint:errcheck // ends when it is closed
	return e, nil
}

// spent returns how long the model took since the last call of spent.
func (e *modelEndpoint) spent() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	took := e.took
	e.took = 0
	return took
}
