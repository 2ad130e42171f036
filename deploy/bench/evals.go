package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// The suite that is measured: so many cases over two models, at an endpoint that takes this long and bears so many calls at once.
const (
	evalCases       = 1000
	evalModels      = 2
	evalLatency     = 100 * time.Millisecond
	evalConcurrency = 32
)

// evals measures `tenuto eval run` as people call it, against the least time that its calls can take, and against a plain program that makes them
// and keeps nothing; then the same again with nothing changed, which must call nobody.
func (b *bench) evals(ctx context.Context) error {
	endpoint, err := serveSteady(ctx, evalLatency)
	if err != nil {
		return err
	}
	defer endpoint.server.Close()
	p, err := b.open(ctx, "GOGC=400")
	if err != nil {
		return err
	}
	defer p.close()
	dir, err := os.MkdirTemp("", "tenuto-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	suite, err := writeSuite(dir, endpoint.url)
	if err != nil {
		return err
	}
	plain, err := endpoint.each(ctx, evalCases*evalModels)
	if err != nil {
		return err
	}
	first, took, calls, err := evaluate(ctx, p, endpoint, suite)
	if err != nil {
		return err
	}
	_, atOnce, _, err := evaluate(ctx, p, endpoint, suite)
	if err != nil {
		return err
	}
	time.Sleep(evalSettles)
	again, rerun, recalled, err := reruns(ctx, p, endpoint, suite)
	if err != nil {
		return err
	}
	ideal := evalCases * evalModels * evalLatency / evalConcurrency
	ratio := round(took.Seconds() / ideal.Seconds())
	floor := map[string]any{"ideal_s": round(ideal.Seconds()), "plain_s": round(plain.Seconds())}
	if err := b.print(measurement{
		Name: "eval: time by the least that its calls can take", N: first.Cells, Ratio: ratio, Bound: b.evalBound, Floor: floor,
		Holds:   ratio <= b.evalBound && calls == evalCases*evalModels && first.Counts.Unresolved() == 0,
		Figures: map[string]any{"s": round(took.Seconds()), "calls": calls, "by_plain": round(took.Seconds() / plain.Seconds())},
	}); err != nil {
		return err
	}
	part := round(rerun.Seconds() / took.Seconds())
	return b.print(measurement{
		Name: "eval: again with nothing changed, by the first time", N: again.Cells, Ratio: part, Bound: b.evalRerun,
		Holds:   part <= b.evalRerun && recalled == 0 && again.Reused == again.Cells,
		Figures: map[string]any{"s": round(rerun.Seconds()), "calls": recalled, "at_once_s": round(atOnce.Seconds())}, Floor: map[string]any{"s": round(took.Seconds())},
	})
}

// evaluate runs the suite once, as the command does.
func evaluate(ctx context.Context, p *platform, endpoint *steady, suite string) (summary schemas.EvalSummary, took time.Duration, calls int64, err error) {
	before, start := endpoint.calls.Load(), time.Now()
	err = p.run(ctx, &summary, "eval", "run", suite)
	return summary, time.Since(start), endpoint.calls.Load() - before, err
}

// evalSettles is how long the worker may take to move the records of the first run to their places, which it does when it is idle. A rerun meanwhile
// shares the machine with that, and is reported beside.
const evalSettles = 20 * time.Second

// evalReruns is how often the unchanged suite is run; the median counts.
const evalReruns = 5

func reruns(ctx context.Context, p *platform, endpoint *steady, suite string) (summary schemas.EvalSummary, took time.Duration, calls int64, err error) {
	var times []float64
	for range evalReruns {
		one, time, more, err := evaluate(ctx, p, endpoint, suite)
		if err != nil {
			return summary, 0, calls, err
		}
		summary, calls, times = one, calls+more, append(times, time.Seconds())
	}
	return summary, time.Duration(median(times) * float64(time.Second)), calls, nil
}

// each makes so many calls, as many at once as the endpoint bears.
func (s *steady) each(ctx context.Context, calls int) (time.Duration, error) {
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		failure error
	)
	start := time.Now()
	for range evalConcurrency {
		running.Go(func() {
			call := chat(strings.TrimSuffix(s.url, "/v1"), "", "steady")
			for range calls / evalConcurrency {
				if err := call(ctx); err != nil {
					mu.Lock()
					failure = err
					mu.Unlock()
					return
				}
			}
		})
	}
	running.Wait()
	return time.Since(start), failure
}

// writeSuite writes a project with two models at the endpoint, and a suite that asks them.
func writeSuite(dir, url string) (suite string, err error) {
	models := fmt.Sprintf(`providers:
  steady: {driver: openai, base_url: %s, limits: {concurrency: %d}}
models:
  one: {provider: steady, model: steady, prices: {input: 1, output: 2}}
  two: {provider: steady, model: steady, prices: {input: 1, output: 2}}
`, url, evalConcurrency)
	var text strings.Builder
	text.WriteString("prompts: ['Say something about {{subject}}.']\nproviders: ['model:one', 'model:two']\ntests:\n")
	for n := range evalCases {
		fmt.Fprintf(&text, "  - {vars: {subject: subject number %d}, assert: [{type: regex, value: \"[a-z]\"}]}\n", n)
	}
	suite = filepath.Join(dir, "bench.yaml")
	for name, content := range map[string]string{"tenuto.yaml": "name: bench\n", "models.yaml": models, "bench.yaml": text.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return "", err
		}
	}
	return suite, nil
}
