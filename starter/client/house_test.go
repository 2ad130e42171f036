package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/activities/chain"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/activities/provider/model/limit"
	"github.com/tenuto-dev/tenuto/activities/provider/model/localmodel"
	"github.com/tenuto-dev/tenuto/activities/provider/web"
	"github.com/tenuto-dev/tenuto/activities/release"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// handbook is a chain that answers from a handbook of two sentences, with the built-in model, which quotes. It needs no index and no key.
func handbook(name string) schemas.Bundle {
	return schemas.Bundle{
		Chain:   name,
		Prompts: map[string]string{"answer": "{{role \"system\"}}Answer from the passages.{{role \"user\"}}{{passages}}\n\n{{question}}"},
		Models: schemas.Models{
			Providers: map[string]schemas.ProviderDef{"local": {Driver: schemas.DriverLocal}},
			Models:    map[string]schemas.ModelDef{"extractive": {Provider: "local"}},
		},
		Chains: map[string]schemas.ChainDef{name: {
			Input: json.RawMessage(`{"type":"object","required":["question"],"properties":{"question":{"type":"string"}},"additionalProperties":false}`),
			Steps: []schemas.StepDef{{ID: "answer", Generate: &schemas.GenerateDef{
				Prompt: "answer", Model: "extractive", With: map[string]string{"question": "input.question"}, Cite: true,
				Passages: `[{"document": "handbook.md", "text": "Logs are kept for ninety days. Backups are made every night."}]`,
			}}},
		}},
	}
}

// Question is the input of the handbook's chain.
type Question struct {
	Question string `json:"question"`
}

// Answer is its output.
type Answer struct {
	Answer    string             `json:"answer"`
	Citations []schemas.Citation `json:"citations"`
}

const (
	asksForLogs = "How long are logs kept?"
	ofLogs      = "Logs are kept for ninety days [1]."
)

// house is a gateway with all that stands behind it in this process: runs are carried out by the chain's own activities, and only Temporal is a
// fake.
type house struct {
	*gatewaytest.Server

	journal *journal.Journal
	chains  *chain.Activities
}

func openHouse(t testing.TB) *house {
	t.Helper()
	local, err := model.NewSet(&model.Provider{Name: schemas.DriverLocal, Driver: localmodel.Driver{}})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{}
	h.Server = gatewaytest.Start(t, func(d *gateway.Deps) {
		h.journal = journal.New(d.Store, "test")
		d.Journal = h.journal
	})
	h.chains = &chain.Activities{
		Store: h.Store, Journal: h.journal, Web: &web.Client{},
		Fleet: &fleet.Fleet{Installed: local, Open: func(string, schemas.ProviderDef, func(limit.Rates)) (model.Driver, error) {
			return localmodel.Driver{}, nil
		}},
	}
	releases := &release.Activities{
		Store: h.Store, Registry: registry.New(h.Store, time.Now), Journal: h.journal, CheckInput: chain.CheckInput, Now: time.Now,
	}
	h.Temporal.Handlers[schemas.Chain.Name()] = handler(h.chain)
	h.Temporal.Handlers[schemas.Pin.Name()] = handler(releases.Pin)
	h.Temporal.Handlers[schemas.Fetch.Name()] = handler(h.chains.Fetch)
	return h
}

// handler is an activity in the place of its workflow. Its errors are as worker/bind makes them.
func handler[In, Out any](fn func(context.Context, In) (Out, error)) gatewaytest.Handler {
	return func(ctx context.Context, in any) (any, error) {
		out, err := fn(ctx, in.(In))
		if err == nil {
			return out, nil
		}
		return out, temporal.NewNonRetryableApplicationError(schemas.SafeMessage(err), string(schemas.CodeOf(err)), nil)
	}
}

func (h *house) chain(ctx context.Context, in schemas.RunRequest) (schemas.RunOutcome, error) {
	line, err := h.chains.Line(ctx, schemas.LineRequest{Run: in, MostMS: time.Minute.Milliseconds()})
	switch {
	case err != nil:
		return schemas.RunOutcome{}, err
	case line.Failed != nil:
		return schemas.RunOutcome{}, schemas.Errorf(line.Failed.Failure.Code, "%s", line.Failed.Failure.Message)
	case line.Outcome == nil:
		return schemas.RunOutcome{}, errors.New("the run came to no end")
	}
	return *line.Outcome, client.FailureOf(*line.Outcome)
}

// serve makes a release of a bundle over HTTP, and points the label production to it.
func serve(url, key string, bundle schemas.Bundle) (hash string, err error) {
	var made rest.Release
	if err := post(url+"/api/v1/releases", key, rest.NewRelease{Bundle: bundle}, &made); err != nil {
		return "", err
	}
	return made.Hash, post(url+"/api/v1/chains/"+bundle.Chain+"/labels/production/moves", key, rest.MoveLabel{Release: made.Hash}, nil)
}

func post(url, key string, body, out any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(data))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if data, err = io.ReadAll(response.Body); err != nil {
		return err
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("status %d: %s", response.StatusCode, data)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

// onStack reports whether the tests run on a whole stack, as "tenuto-stack run" starts it.
func onStack() bool { return os.Getenv("TENUTO_URL") != "" && os.Getenv("TEMPORAL_ADDRESS") != "" }

// getenv is the environment of the examples: that of the stack, or that of a gateway in this process, which is started for the first that asks.
func getenv(name string) string {
	if onStack() {
		return os.Getenv(name)
	}
	return inProcess()[name]
}

var inProcess = sync.OnceValue(func() map[string]string {
	h := openHouse(standing{})
	return map[string]string{"TENUTO_URL": h.URL, "TENUTO_API_KEY": gatewaytest.AdminToken}
})

// standing is what a server that lives as long as the process has in the place of a test.
type standing struct{ testing.TB }

func (standing) Helper()           {}
func (standing) Cleanup(func())    {}
func (standing) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// TestMain has the examples' chain released before they run.
func TestMain(m *testing.M) {
	if _, err := serve(getenv("TENUTO_URL"), getenv("TENUTO_API_KEY"), handbook("handbook")); err != nil {
		fmt.Fprintln(os.Stderr, "releasing the chain of the examples:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
