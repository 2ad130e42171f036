package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are what the command line says.
type options struct {
	only              string
	binaries          string
	rounds, runs      int
	small, large      int
	latency           time.Duration
	ingestBound       float64
	askBound          float64
	growthBound       float64 // MB
	laneLatency       float64
	laneAt16          float64
	laneAt64          float64
	workflowBound     float64
	streamBound       float64 // ms
	passBound         float64
	passRate          float64
	passWarm          time.Duration
	evalBound         float64
	evalRerun         float64
	proxy             string // not empty: this process is the proxy that pass-through is measured against
	proxyRecords      bool
	chainTime         time.Duration
	chainModes        string
	chainRounds       int
	weaviateInFlight  int
	weaviateBatchSize int
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.only, "only", "ingest,memory,ask,chains,stream,pass-through,evals", "`measurements` to make, by name")
	flags.StringVar(&o.binaries, "bin", "", "`folder` of tenuto and tenuto-worker (default: this program's)")
	flags.IntVar(&o.rounds, "rounds", 3, "pairs of ingestion and raw import")
	flags.IntVar(&o.runs, "runs", 200, "questions, and as many empty workflows")
	flags.IntVar(&o.small, "small", 500, "documents of the small ingestion")
	flags.IntVar(&o.large, "large", 50_000, "documents of the large ingestion")
	flags.DurationVar(&o.latency, "latency", 20*time.Millisecond, "of the model that answers questions")
	flags.Float64Var(&o.ingestBound, "ingest-bound", 1.5, "ingestion by raw import, at most")
	flags.Float64Var(&o.askBound, "ask-bound", 3, "overhead of a question by an empty workflow, at most")
	flags.Float64Var(&o.growthBound, "growth-bound", 100, "growth of memory from the small to the large ingestion, in `MB`")
	flags.Float64Var(&o.laneLatency, "lane-bound", 1.15, "median time of a run in a lane by that of a plain program, at most, one at a time")
	flags.Float64Var(&o.laneAt16, "lane-bound-16", 0.80, "runs a second in lanes by those of a plain program, at least, 16 at a time")
	flags.Float64Var(&o.laneAt64, "lane-bound-64", 0.45, "the same, 64 at a time")
	flags.Float64Var(&o.workflowBound, "workflow-bound", 0.7, "runs a second as workflows by those of an empty workflow with as many local activities, at least")
	flags.Float64Var(&o.streamBound, "stream-bound", 5, "time to the first piece of a streamed answer over that of the model's endpoint, in `ms`, at most")
	flags.Float64Var(&o.passBound, "pass-bound", 1.5, "median time and 99th percentile of a model's call through the gateway by those through a proxy that stores, at most")
	flags.Float64Var(&o.passRate, "pass-rate", 0.7, "calls a second, likewise, at least")
	flags.DurationVar(&o.passWarm, "pass-time", 50*time.Second, "after which a load of calls counts as going on, and for which it is then measured")
	flags.Float64Var(&o.evalBound, "eval-bound", 1.25, "an evaluation by cells × latency / concurrency, at most")
	flags.Float64Var(&o.evalRerun, "eval-rerun", 0.03, "the same again with nothing changed, by the first time, at most")
	flags.StringVar(&o.proxy, "proxy", "", "serve nothing but a reverse proxy of this `URL`")
	flags.BoolVar(&o.proxyRecords, "proxy-records", false, "the proxy puts each answer into the object store first")
	flags.DurationVar(&o.chainTime, "chain-time", 5*time.Second, "of each measurement of runs")
	flags.StringVar(&o.chainModes, "chain-modes", "lane@1,lane@16,lane@64,workflow@1,workflow@16", "`measurements` of runs to make: how they are carried out, and how many at a time")
	flags.IntVar(&o.chainRounds, "chain-rounds", 3, "how often each load is measured; the median counts")
	flags.IntVar(&o.weaviateInFlight, "raw-concurrency", 4, "batches of the raw import under way at once")
	flags.IntVar(&o.weaviateBatchSize, "raw-batch", 200, "objects in a batch of the raw import")
	return o, flags.Parse(args)
}

// measurement is one line of the result.
type measurement struct {
	Name    string         `json:"name"`
	N       int            `json:"n"`
	Figures map[string]any `json:"figures"`
	Floor   map[string]any `json:"floor,omitempty"`
	Ratio   float64        `json:"ratio,omitempty"`
	Bound   float64        `json:"bound,omitempty"`
	Holds   bool           `json:"holds"`
}

// bench is one run of this program.
type bench struct {
	options
	stdout, stderr io.Writer
	missed         []string // names of measurements whose bound does not hold
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return 2
	}
	if o.proxy != "" {
		if err := serveProxy(ctx, o.proxy, o.proxyRecords); err != nil {
			fmt.Fprintln(stderr, "bench: the proxy:", err)
			return 1
		}
		return 0
	}
	b := &bench{options: o, stdout: stdout, stderr: stderr}
	if err := b.all(ctx); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	if len(b.missed) > 0 {
		fmt.Fprintln(stderr, "bench: out of bounds:", strings.Join(b.missed, ", "))
		return 1
	}
	return 0
}

func (b *bench) all(ctx context.Context) error {
	known := []struct {
		name    string
		measure func(context.Context) error
	}{{"chains", b.chains}, {"stream", b.stream}, {"pass-through", b.passThrough}, {"evals", b.evals}, {"ask", b.ask}, {"ingest", b.ingest}, {"memory", b.memory}}
	chosen := strings.Split(b.only, ",")
	for _, k := range known {
		if !slices.Contains(chosen, k.name) {
			continue
		}
		if err := k.measure(ctx); err != nil {
			return fmt.Errorf("measuring %s: %w", k.name, err)
		}
	}
	return nil
}

// print writes a measurement and remembers whether its bound holds.
func (b *bench) print(m measurement) error {
	if !m.Holds {
		b.missed = append(b.missed, m.Name)
	}
	return json.NewEncoder(b.stdout).Encode(m)
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.stderr, "bench: "+format+"\n", args...)
}
