package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// chainSteps is how many generate steps, one after another, a run has.
const chainSteps = 3

// chains compares runs of three model calls through the gateway, every response recorded, with a plain program that makes the same calls,
// and, as workflows of their own, with an empty workflow of as many local activities that take as long.
func (b *bench) chains(ctx context.Context) error {
	endpoint, err := serveSteady(ctx, b.latency)
	if err != nil {
		return err
	}
	defer endpoint.server.Close()
	p, err := b.open(ctx, "OPENAI_BASE_URL="+endpoint.url, "OPENAI_API_KEY=bench", "GOGC=400")
	if err != nil {
		return err
	}
	defer p.close()
	plain := func(ctx context.Context) error { return endpoint.chain(ctx) }
	lane, err := p.chain("lane")
	if err != nil {
		return err
	}
	own, err := p.chain("workflow")
	if err != nil {
		return err
	}
	empty, err := hostSlow(ctx, b.latency)
	if err != nil {
		return err
	}
	defer empty.close()
	for _, load := range []struct {
		mode        string
		concurrency int
		bound       float64
		floor, ours func(context.Context) error
	}{
		{"lane", 1, b.laneLatency, plain, lane},
		{"lane", 16, b.laneAt16, plain, lane},
		{"lane", 64, b.laneAt64, plain, lane},
		{"workflow", 1, b.workflowBound, empty.run, own},
		{"workflow", 16, b.workflowBound, empty.run, own},
	} {
		if !slices.Contains(strings.Split(b.chainModes, ","), fmt.Sprintf("%s@%d", load.mode, load.concurrency)) {
			continue
		}
		if err := b.compareChains(ctx, load.mode, load.concurrency, load.bound, load.floor, load.ours); err != nil {
			return err
		}
	}
	if endpoint.calls.Load() == 0 {
		return fmt.Errorf("the endpoint was not called")
	}
	return nil
}

// compareChains measures both in turn. At concurrency 1 the ratio is that of the median times, ours by the floor's, and must not exceed the
// bound; above, that of runs a second, and must reach it. Of workflows runs a second count at any concurrency.
func (b *bench) compareChains(ctx context.Context, mode string, concurrency int, bound float64, floor, ours func(context.Context) error) error {
	var ratios []float64
	var best, base []sample
	if _, err := load(ctx, concurrency, time.Second, ours); err != nil { // warm
		return err
	}
	for range b.chainRounds {
		f, err := load(ctx, concurrency, b.chainTime, floor)
		if err != nil {
			return err
		}
		o, err := load(ctx, concurrency, b.chainTime, ours)
		if err != nil {
			return err
		}
		base, best = append(base, f), append(best, o)
		if mode == "lane" && concurrency == 1 {
			ratios = append(ratios, o.p50/f.p50)
		} else {
			ratios = append(ratios, o.rate/f.rate)
		}
	}
	ratio := round(median(ratios))
	holds := ratio >= bound
	if mode == "lane" && concurrency == 1 {
		holds = ratio <= bound
	}
	n := 0
	for _, s := range best {
		n += s.n
	}
	return b.print(measurement{
		Name: fmt.Sprintf("chain in a %s at %d", mode, concurrency), N: n, Ratio: ratio, Bound: bound, Holds: holds,
		Figures: figuresOf(best), Floor: figuresOf(base),
	})
}

// sample is one measurement under load.
type sample struct {
	n                   int
	p50, p95, p99, rate float64 // milliseconds; runs a second
}

func figuresOf(samples []sample) map[string]any {
	var p50, p95, p99, rate []float64
	for _, s := range samples {
		p50, p95, p99, rate = append(p50, s.p50), append(p95, s.p95), append(p99, s.p99), append(rate, s.rate)
	}
	return map[string]any{
		"ms_p50": round(median(p50)), "ms_p95": round(median(p95)), "ms_p99": round(median(p99)), "runs_a_second": round(median(rate)),
	}
}

// load calls fn from as many goroutines for a while.
func load(ctx context.Context, concurrency int, during time.Duration, fn func(context.Context) error) (sample, error) {
	var mu sync.Mutex
	var times []float64
	var failure error
	start := time.Now()
	var running sync.WaitGroup
	for range concurrency {
		running.Go(func() {
			for time.Since(start) < during && ctx.Err() == nil {
				begin := time.Now()
				err := fn(ctx)
				mu.Lock()
				times = append(times, millis(time.Since(begin)))
				if err != nil && failure == nil {
					failure = err
				}
				stop := failure != nil
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	running.Wait()
	return sample{
		n: len(times), p50: median(times), p95: quantile(times, 0.95), p99: quantile(times, 0.99), rate: float64(len(times)) / time.Since(start).Seconds(),
	}, failure
}

// chain is a run of three generate steps over HTTP, in a lane or as a workflow of its own.
func (p *platform) chain(execution string) (func(context.Context) error, error) {
	bundle := schemas.Bundle{Chain: "three", Chains: map[string]schemas.ChainDef{"three": {}}, Prompts: map[string]string{"say": "{{text}}"}}
	def := schemas.ChainDef{Input: json.RawMessage(`{"type":"object","required":["text"],"properties":{"text":{"type":"string"}}}`)}
	for i := range chainSteps {
		step := schemas.StepDef{ID: fmt.Sprintf("s%d", i), Generate: &schemas.GenerateDef{
			Prompt: "say", With: map[string]string{"text": "input.text"}, Model: "openai/steady",
		}}
		if i > 0 {
			step.Needs = []string{fmt.Sprintf("s%d", i-1)}
			step.Generate.With = map[string]string{"text": fmt.Sprintf("steps.s%d.text", i-1)}
		}
		def.Steps = append(def.Steps, step)
	}
	bundle.Chains["three"] = def
	body, err := json.Marshal(map[string]any{"bundle": bundle, "execution": execution, "input": map[string]any{"text": question}})
	if err != nil {
		return nil, err
	}
	client := pooled()
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/api/v1/runs", bytes.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+p.key)
		var answer struct {
			Output struct {
				Text string `json:"text"`
			} `json:"output"`
		}
		data, err := exchange(client, request, &answer)
		if err == nil && answer.Output.Text != steadyText {
			err = fmt.Errorf("a run answered %s\nthe worker's log:\n%s", data, p.log.String())
		}
		return err
	}, nil
}

const (
	question   = "Which parts of the report need another look, and why? Answer in two sentences."
	steadyText = "The second and the fifth part need another look. Their figures do not add up to the totals on the last page."
)

// steady is a model that takes always as long.
type steady struct {
	url    string
	server *http.Server
	client *http.Client
	calls  atomic.Int64
}

func serveSteady(ctx context.Context, latency time.Duration) (*steady, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	answer, err := json.Marshal(map[string]any{
		"id": "chatcmpl-steady", "object": "chat.completion", "created": 1, "model": "steady", "system_fingerprint": "fp",
		"choices": []any{map[string]any{"index": 0, "finish_reason": "stop", "message": map[string]any{"role": "assistant", "content": steadyText}}},
		"usage":   map[string]any{"prompt_tokens": 20, "completion_tokens": 24, "total_tokens": 44},
	})
	if err != nil {
		return nil, err
	}
	s := &steady{url: "http://" + listener.Addr().String() + "/v1", client: pooled()}
	s.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		s.calls.Add(1)
		time.Sleep(latency)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	})}
	go s.server.Serve(listener) //nolint:errcheck // ends when it is closed
	return s, nil
}

// chain makes the calls of a run as a plain program does: nothing is kept.
func (s *steady) chain(ctx context.Context) error {
	text := question
	for range chainSteps {
		body, err := json.Marshal(map[string]any{
			"model": "steady", "max_tokens": 1024, "messages": []any{map[string]any{"role": "user", "content": text}},
		})
		if err != nil {
			return err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/chat/completions", bytes.NewReader(body))
		if err != nil {
			return err
		}
		var answer struct {
			Choices []struct {
				Message struct {
					Content string `json:"content"`
				} `json:"message"`
			} `json:"choices"`
		}
		if data, err := exchange(s.client, request, &answer); err != nil || len(answer.Choices) != 1 {
			return fmt.Errorf("the endpoint answered %s: %w", data, err)
		}
		text = answer.Choices[0].Message.Content
	}
	return nil
}

func pooled() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256, DisableCompression: true}}
}

// exchange sends JSON and decodes what comes back.
func exchange(client *http.Client, request *http.Request, into any) ([]byte, error) {
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return data, err
	}
	if response.StatusCode != http.StatusOK {
		return data, fmt.Errorf("%s: %s", response.Status, data)
	}
	return data, json.Unmarshal(data, into)
}
