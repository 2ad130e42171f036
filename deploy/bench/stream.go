package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// speaker is a model that streams its answer after a while.
type speaker struct {
	url    string
	server *http.Server
	client *http.Client
}

func serveSpeaker(ctx context.Context, latency time.Duration) (*speaker, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &speaker{url: "http://" + listener.Addr().String() + "/v1", client: pooled()}
	s.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(latency)
		speak(w)
	})}
	go s.server.Serve(listener) //nolint:errcheck // ends when it is closed
	return s, nil
}

// speak streams the answer word by word.
func speak(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	words := strings.SplitAfter(steadyText, " ")
	for i, word := range words {
		finish := "null"
		if i == len(words)-1 {
			finish = `"stop"`
		}
		piece, _ := json.Marshal(word) //nolint:errchkjson // a string
		fmt.Fprintf(w, `data: {"id":"s","object":"chat.completion.chunk","created":1,"model":"steady",`+
			`"choices":[{"index":0,"delta":{"content":%s},"finish_reason":%s}]}`+"\n\n", piece, finish)
		_ = control.Flush()
	}
	fmt.Fprint(w, "data: [DONE]\n\n")
}

// first calls the endpoint itself and returns how long the first piece took.
func (s *speaker) first(ctx context.Context) (time.Duration, error) {
	body := `{"model":"steady","stream":true,"messages":[{"role":"user","content":"` + question + `"}]}`
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/chat/completions", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	return untilFirst(s.client, request, "data: {")
}

// untilFirst sends a request and returns how long it took until a line with this beginning came; then it reads the rest.
func untilFirst(client *http.Client, request *http.Request, beginning string) (time.Duration, error) {
	start := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var first time.Duration
	var all bytes.Buffer
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		all.WriteString(lines.Text() + "\n")
		if first == 0 && strings.HasPrefix(lines.Text(), beginning) {
			first = time.Since(start)
		}
	}
	if first == 0 || response.StatusCode != http.StatusOK || lines.Err() != nil {
		return 0, fmt.Errorf("%s, %w: %s", response.Status, lines.Err(), all.String())
	}
	return first, nil
}

// stream compares the time to the first piece of an answer through a chain that is run by its label, with that of the model's endpoint.
func (b *bench) stream(ctx context.Context) error {
	endpoint, err := serveSpeaker(ctx, b.latency)
	if err != nil {
		return err
	}
	defer endpoint.server.Close()
	p, err := b.open(ctx, "OPENAI_BASE_URL="+endpoint.url, "OPENAI_API_KEY=bench", "GOGC=400")
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.serve(ctx); err != nil {
		return err
	}
	client := pooled()
	var floors, firsts []float64
	for i := range b.runs {
		floor, err := endpoint.first(ctx)
		if err != nil {
			return err
		}
		request, err := p.request(ctx, "/api/v1/chains/one@production/runs", []byte(`{"mode":"stream","input":{"text":"`+question+`"}}`))
		if err != nil {
			return err
		}
		took, err := untilFirst(client, request, "event: delta")
		if err != nil {
			return err
		}
		if i >= b.runs/10 { // the first ones warm up
			floors, firsts = append(floors, millis(floor)), append(firsts, millis(took))
		}
	}
	over := round(median(firsts) - median(floors))
	return b.print(measurement{
		Name: "first piece of a streamed answer, ms over the endpoint's", N: len(firsts), Ratio: over, Bound: b.streamBound, Holds: over <= b.streamBound,
		Figures: map[string]any{"ms_p50": round(median(firsts)), "ms_p95": round(quantile(firsts, 0.95))},
		Floor:   map[string]any{"ms_p50": round(median(floors)), "ms_p95": round(quantile(floors, 0.95))},
	})
}

// serve makes a release of a chain of one step and points the label production to it.
func (p *platform) serve(ctx context.Context) error {
	bundle := schemas.Bundle{Chain: "one", Prompts: map[string]string{"say": "{{text}}"}, Chains: map[string]schemas.ChainDef{"one": {
		Input: json.RawMessage(`{"type":"object","required":["text"],"properties":{"text":{"type":"string"}}}`),
		Steps: []schemas.StepDef{{ID: "say", Generate: &schemas.GenerateDef{Prompt: "say", With: map[string]string{"text": "input.text"}, Model: "openai/steady"}}},
	}}}
	body, err := json.Marshal(map[string]any{"bundle": bundle})
	if err != nil {
		return err
	}
	var release struct {
		Hash string `json:"hash"`
	}
	if err := p.post(ctx, "/api/v1/releases", body, &release); err != nil {
		return err
	}
	var moved any
	return p.post(ctx, "/api/v1/chains/one/labels/production/moves", []byte(`{"release":"`+release.Hash+`"}`), &moved)
}

func (p *platform) request(ctx context.Context, path string, body []byte) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+path, bytes.NewReader(body))
	if err == nil {
		request.Header.Set("Authorization", "Bearer "+p.key)
		request.Header.Set("Content-Type", "application/json")
	}
	return request, err
}

func (p *platform) post(ctx context.Context, path string, body []byte, into any) error {
	request, err := p.request(ctx, path, body)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s: %s", path, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(into)
}
