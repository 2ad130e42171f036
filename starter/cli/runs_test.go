package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/hub"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/cli"
	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
)

// plantedID is the id of a run that began at 2026-01-02 03:04:05 UTC.
const plantedID = "019b7ca9-8c88-7000-8000-000000000001"

// plant stores the record of a run in which there is something of everything.
func plant(s *gatewaytest.Server) error {
	e := planted()
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return s.Store.Put(context.Background(), schemas.RunKey(schemas.DefaultTenant, e.RunID, time.UnixMilli(e.StartMS)), data)
}

func planted() schemas.Exchange {
	const start = 1767323045000
	e := schemas.Exchange{
		RunID: plantedID, Tenant: schemas.DefaultTenant, Chain: "report", Status: schemas.RunFailed, StartMS: start, TookMS: 63400, Retries: 1,
		Failure: &schemas.StepError{Code: schemas.MalformedOutput, Message: "step sum: the output lacks total"},
		Input:   json.RawMessage(`{"topics":["a","b"]}`),
		Usage:   schemas.Usage{Calls: 4, InputTokens: 12345, OutputTokens: 410, CachedTokens: 1024, ReasoningTokens: 64},
		Cost:    schemas.Cost{USD: 0.0031425, Unknown: 1},
	}
	e.Steps = []schemas.ExchangeStep{
		{ID: "load", Kind: schemas.StepTool, Output: json.RawMessage(`"text"`)},
		{ID: "which", Kind: schemas.StepBranch, Chosen: []string{"each"}, Details: []schemas.StepDetail{{StartMS: start, TookMS: 0.4}}},
		{ID: "rest", Kind: schemas.StepGenerate, Skipped: true},
		{ID: "find", Kind: schemas.StepRetrieve, Details: []schemas.StepDetail{{
			StartMS: start + 1, TookMS: 20.25, Queries: []string{"what is a?", "a defined"}, Hits: 8,
			Calls: []schemas.CallDetail{{Purpose: "rerank", Model: "order", Target: "jina/order-1", Usage: schemas.Usage{Calls: 1, InputTokens: 900}}},
		}}},
	}
	for i := range 14 {
		path := fmt.Sprintf("each[%d]/", 13-i)
		e.Steps = append(e.Steps, schemas.ExchangeStep{
			Path: path + "inner/", ID: "look", Kind: schemas.StepTool,
			Details: []schemas.StepDetail{{StartMS: start + 30, TookMS: 7, HTTP: &schemas.HTTPDetail{Method: "GET", URL: "https://example.com/a", Status: 200}}},
		})
	}
	e.Steps = append(e.Steps,
		schemas.ExchangeStep{ID: "each", Kind: schemas.StepMap, Details: []schemas.StepDetail{{StartMS: start + 25, TookMS: 1}}},
		schemas.ExchangeStep{Path: "sum[1.0]/", ID: "clock", Kind: schemas.StepTool, Failure: &schemas.StepError{Code: schemas.Deadline, Message: "it took too long"}},
		schemas.ExchangeStep{
			ID: "sum", Kind: schemas.StepGenerate, Failure: e.Failure,
			Details: []schemas.StepDetail{{StartMS: start + 100, TookMS: 61000, Calls: plantedCalls(), Repairs: []string{"a comma too many"}, Cuts: []schemas.Cut{
				{Section: "history", Item: "message 2", Tokens: 1200, Reason: "the history may have 4000 tokens"},
			}}},
		},
	)
	return e
}

func plantedCalls() []schemas.CallDetail {
	cost, none := 0.0031425, 0.0
	return []schemas.CallDetail{
		{Purpose: "answer", Model: "big", Target: "openai/gpt-big", WaitedMS: 2300, Failure: &schemas.StepError{Code: schemas.RateLimited, Message: "openai is over its limits"}},
		{
			Purpose: "answer", Model: "small", Target: "openai/gpt-small", Answered: "gpt-small-2026-01-01", Fingerprint: "fp_1", Finish: "tool", Cost: &cost,
			Usage:  schemas.Usage{Calls: 1, InputTokens: 11445, OutputTokens: 400, CachedTokens: 1024, ReasoningTokens: 64},
			TookMS: 1234.5, Ambiguous: true, Recorded: true, Identity: "00",
			Request: json.RawMessage(`{"model":"gpt-small","messages":[{"role":"system","text":"Be brief.\nAlways."},{"role":"user","text":"Sum up."},` +
				`{"role":"assistant","calls":[{"id":"1","name":"clock","arguments":{"zone":"UTC"}}]}],"max_tokens":64}`),
			Response: json.RawMessage(`{"text":"The sum is 3.\nDone.","model":"gpt-small-2026-01-01","finish":"stop","usage":{"calls":1,"input_tokens":1,"output_tokens":1}}`),
		},
		{Purpose: "answer", Model: "small", Target: "openai/gpt-small", Cached: true, Finish: "stop", Cost: &none},
	}
}

func TestInterruptSaysHowARunStands(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, func(d *gateway.Deps) { d.Hub = new(hub.Hub) })
	s.Work.Gate = make(chan struct{})
	defer close(s.Work.Gate)
	dir := filepath.Join(t.TempDir(), "project")
	var stdout, stderr bytes.Buffer
	if code := cli.Run(t.Context(), []string{"init", dir}, environment(s), nil, &stdout, &stderr); code != 0 {
		t.Fatal(stderr.String())
	}
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		for s.Temporal.Started("Chain")+s.Temporal.Started("Lane") == 0 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		interrupt()
	}()
	code := cli.Run(ctx, []string{"run", "docs-qa", "--project", dir, "--input", "question=why?", "--key", "k"}, environment(s), nil, &stdout, &stderr)
	if code != 130 || !strings.Contains(stderr.String(), "tenuto runs show k") {
		t.Errorf("exit status %d, stderr %q", code, &stderr)
	}
}

func TestInputFromStdin(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	var stdout, stderr bytes.Buffer
	args := []string{"run", "say", "--project", echo(t), "--input-json", "@-", "--input", "n:=3"}
	if code := cli.Run(t.Context(), args, environment(s), strings.NewReader(`{"text":"hello"}`), &stdout, &stderr); code != 0 || stdout.String() != "hello\n" {
		t.Errorf("exit status %d: %q, %s", code, &stdout, &stderr)
	}
}
