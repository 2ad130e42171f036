package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// passThrough compares calls of a configured model through the gateway, each recorded before its answer ends, with the same calls through a plain
// reverse proxy that puts each answer into the same store, and, for the record, through one that stores nothing. The endpoint answers at
// once, so that nothing hides what either of them costs.
func (b *bench) passThrough(ctx context.Context) error {
	endpoint, err := serveSteady(ctx, 0)
	if err != nil {
		return err
	}
	defer endpoint.server.Close()
	p, err := b.open(ctx, "OPENAI_BASE_URL="+endpoint.url, "OPENAI_API_KEY=bench", "GOGC=400")
	if err != nil {
		return err
	}
	defer p.close()
	recording, err := startProxy(strings.TrimSuffix(endpoint.url, "/v1"), true)
	if err != nil {
		return err
	}
	defer recording.close()
	plain, err := startProxy(strings.TrimSuffix(endpoint.url, "/v1"), false)
	if err != nil {
		return err
	}
	defer plain.close()
	if err := p.serve(ctx); err != nil {
		return err
	}
	proxies, err := b.sampleAll(ctx, chat(recording.url, "", "steady"), chat(plain.url, "", "steady"))
	if err != nil {
		return err
	}
	ours, err := b.sampleAll(ctx, chat(p.url, p.key, "openai/steady"), chat(p.url, p.key, "one@production"))
	if err != nil {
		return err
	}
	for _, c := range passConcurrencies {
		if err := b.judgePassThrough(c, ours[c][0], proxies[c][0], proxies[c][1], ours[c][1]); err != nil {
			return err
		}
	}
	return b.sustain(ctx, chat(p.url, p.key, "openai/steady"), proxies[sustainedAt][0])
}

var passConcurrencies = []int{1, 16, 64}

// sampleAll measures ways in turn, at each concurrency. The proxies are measured before the gateway has anything to do: it moves records to
// their own keys when it is idle, which would be work on the floor's time.
func (b *bench) sampleAll(ctx context.Context, ways ...func(context.Context) error) (map[int][][]sample, error) {
	all := map[int][][]sample{}
	for _, concurrency := range passConcurrencies {
		samples := make([][]sample, len(ways))
		for round := range b.chainRounds + 1 {
			during := b.chainTime
			if round == 0 { // warm
				during = time.Second
			}
			for i, way := range ways {
				s, err := load(ctx, concurrency, during, way)
				if err != nil {
					return nil, err
				}
				if round > 0 {
					samples[i] = append(samples[i], s)
				}
			}
		}
		all[concurrency] = samples
	}
	return all, nil
}

// sustainedAt is how many calls are under way at once in the sustained load.
const sustainedAt = 16

// sustain keeps calling until records must be moved to their keys while others come in (after 45 seconds), and measures that.
func (b *bench) sustain(ctx context.Context, ours func(context.Context) error, proxy []sample) error {
	if _, err := load(ctx, sustainedAt, b.passWarm, ours); err != nil {
		return err
	}
	s, err := load(ctx, sustainedAt, b.passWarm, ours)
	if err != nil {
		return err
	}
	floor := figuresOf(proxy)
	ratio := ratioOf(func(s sample) float64 { return s.rate }, []sample{s}, proxy)
	return b.print(measurement{
		Name: fmt.Sprintf("pass-through at %d: calls a second of a load that goes on", sustainedAt), N: s.n, Ratio: ratio, Bound: b.passRate, Holds: ratio >= b.passRate,
		Figures: figuresOf([]sample{s}), Floor: floor,
	})
}

// ratioOf is the ratio of the medians.
func ratioOf(of func(sample) float64, ours, others []sample) float64 {
	values := func(samples []sample) []float64 {
		var list []float64
		for _, s := range samples {
			list = append(list, of(s))
		}
		return list
	}
	return round(median(values(ours)) / median(values(others)))
}

// chat is one chat completion at a base URL.
func chat(url, key, model string) func(context.Context) error {
	client := pooled()
	body := `{"model":"` + model + `","messages":[{"role":"user","content":"` + question + `"}]}`
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+key)
		var answer struct {
			Choices []struct {
				Message struct {
					Content string `json:"content"`
				} `json:"message"`
			} `json:"choices"`
		}
		data, err := exchange(client, request, &answer)
		if err == nil && (len(answer.Choices) != 1 || answer.Choices[0].Message.Content != steadyText) {
			err = fmt.Errorf("%s answered %s", url, data)
		}
		return err
	}
}

// judgePassThrough judges three ratios: of the median times and of the 99th percentiles, ours by the recording proxy's, at most; of calls a
// second, at least.
func (b *bench) judgePassThrough(concurrency int, ours, proxy, plain, chain []sample) error {
	p50 := func(s sample) float64 { return s.p50 }
	p99 := func(s sample) float64 { return s.p99 }
	rate := func(s sample) float64 { return s.rate }
	figures := figuresOf(ours)
	figures["by_proxy_without_records"] = map[string]any{
		"p50": ratioOf(p50, ours, plain), "p99": ratioOf(p99, ours, plain), "calls_a_second": ratioOf(rate, ours, plain),
	}
	figures["chain_of_one_step"] = figuresOf(chain)
	n := 0
	for _, s := range ours {
		n += s.n
	}
	for _, judged := range []struct {
		what   string
		of     func(sample) float64
		bound  float64
		atMost bool
	}{
		{"median time", p50, b.passBound, true},
		{"99th percentile", p99, b.passBound, true},
		{"calls a second", rate, b.passRate, false},
	} {
		ratio := ratioOf(judged.of, ours, proxy)
		if err := b.print(measurement{
			Name: fmt.Sprintf("pass-through at %d: %s", concurrency, judged.what), N: n, Ratio: ratio, Bound: judged.bound,
			Holds: ratio <= judged.bound == judged.atMost || ratio == judged.bound, Figures: figures, Floor: figuresOf(proxy),
		}); err != nil {
			return err
		}
	}
	return nil
}
