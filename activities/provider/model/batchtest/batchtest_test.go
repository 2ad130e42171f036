package batchtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/anthropicmodel"
	"github.com/tenuto-dev/tenuto/activities/provider/model/batchtest"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/activities/provider/model/openaimodel"
	"github.com/tenuto-dev/tenuto/schemas"
)

// vendor is a driver over the server, and a model there.
type vendor struct {
	open  func(t *testing.T, server *batchtest.Server) batcher
	model string
}

// batcher is what both drivers are.
type batcher interface {
	model.Driver
	model.Batcher
}

var vendors = map[string]vendor{
	"openai": {func(t *testing.T, server *batchtest.Server) batcher {
		d, err := openaimodel.New(openaimodel.Options{BaseURL: server.URL, APIKey: "k"})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}, modeltest.ChatModel},
	"anthropic": {func(t *testing.T, server *batchtest.Server) batcher {
		d, err := anthropicmodel.New(anthropicmodel.Options{BaseURL: server.URL, APIKey: "k"})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}, batchtest.ClaudeModel},
}

// each runs a test with both vendors.
func each(t *testing.T, test func(t *testing.T, v vendor)) {
	t.Helper()
	for name, v := range vendors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, v)
		})
	}
}

// rows is a batch of n rows.
func (v vendor) rows(name string, n int) model.Batch {
	b := model.Batch{Name: name}
	for i := range n {
		b.Rows = append(b.Rows, model.BatchRow{ID: fmt.Sprintf("%s-%d", name, i), Request: model.Request{
			Model: v.model, Messages: []model.Message{{Role: model.RoleUser, Text: fmt.Sprintf("Say <%d>", i)}},
		}})
	}
	return b
}

func order(t *testing.T, d model.Batcher, b model.Batch) string {
	t.Helper()
	id, err := d.Submit(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// collect says of each row its text or the code of its failure, and how many lines could not be read.
func collect(t *testing.T, d model.Batcher, id string, b model.Batch) (rows map[string]string, unreadable int) {
	t.Helper()
	rows = map[string]string{}
	err := d.Collect(t.Context(), id, b, func(out model.BatchOutcome) error {
		switch {
		case out.ID == "":
			unreadable++
		case out.Err != nil:
			rows[out.ID] = string(schemas.CodeOf(out.Err))
		default:
			rows[out.ID] = out.Response.Text
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows, unreadable
}

func TestConformance(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, v vendor) {
		server := batchtest.NewServer(t, batchtest.Options{Key: "k"})
		d := v.open(t, server)
		order(t, d, v.rows("other", 3)) // of another, with as many rows
		modeltest.RunBatch(t, modeltest.BatchTarget{Driver: d, Generator: v.model})
	})
}

// TestEachRowHasItsOwnEnd collects rows of every fate, the last first.
func TestEachRowHasItsOwnEnd(t *testing.T) {
	t.Parallel()
	fates := []batchtest.Fate{batchtest.Answered, batchtest.Invalid, batchtest.Failing, batchtest.Expired, batchtest.Garbled, batchtest.Lost, batchtest.Twice, batchtest.Cancelled}
	each(t, func(t *testing.T, v vendor) {
		server := batchtest.NewServer(t, batchtest.Options{Fate: func(_, n int) batchtest.Fate { return fates[n] }})
		d, b := v.open(t, server), v.rows("b", len(fates))
		id := order(t, d, b)
		if status, err := d.Status(t.Context(), id); err != nil || !status.Ended {
			t.Fatalf("%+v, %v", status, err)
		}
		got, unreadable := collect(t, d, id, b)
		want := map[string]string{"b-0": "You said: Say <0>", "b-1": "invalid", "b-2": "unavailable", "b-6": "You said: Say <6>"}
		if diff := cmp.Diff(want, got); diff != "" || unreadable != 1 {
			t.Errorf("%s%d lines cannot be read", diff, unreadable)
		}
		counted := map[string]int{}
		err := (&model.Provider{Name: "p", Driver: d}).CollectBatch(t.Context(), id, b, func(out model.BatchOutcome) error {
			counted[out.ID]++
			return nil
		})
		if diff := cmp.Diff(map[string]int{"": 1, "b-0": 1, "b-1": 1, "b-2": 1, "b-6": 1}, counted); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

// TestARowIsWhatItsCallWouldBe compares the bytes that are sent.
func TestARowIsWhatItsCallWouldBe(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, v vendor) {
		server := batchtest.NewServer(t, batchtest.Options{})
		var sent []byte
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			var raw json.RawMessage
			if err := json.NewDecoder(r.Body).Decode(&raw); err != nil {
				return nil, err
			}
			sent = raw
			return nil, errors.New("that is enough")
		})}
		request := v.rows("b", 1).Rows[0].Request
		temperature, schema := 0.25, json.RawMessage(`{ "type": "object", "properties": {"a<b": {"type": "string"}} }`)
		request.Temperature, request.Stop, request.MaxTokens, request.Schema = &temperature, []string{"<end>"}, 77, schema
		var single model.Driver
		if v.model == batchtest.ClaudeModel {
			single, _ = anthropicmodel.New(anthropicmodel.Options{BaseURL: server.URL, Client: client})
		} else {
			single, _ = openaimodel.New(openaimodel.Options{BaseURL: server.URL, Client: client})
		}
		_, _ = single.Generate(t.Context(), request, nil)
		order(t, v.open(t, server), model.Batch{Name: "b", Rows: []model.BatchRow{{ID: "b-0", Request: request}}})
		if diff := cmp.Diff(map[string]int{schemas.Hash(sent): 1}, server.Stats().Bodies); diff != "" {
			t.Errorf("a row has another body than its call, %s:\n%s", sent, diff)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestALostAnswerIsFound loses the answer to an order that was taken, among orders of others.
func TestALostAnswerIsFound(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, v vendor) {
		server := batchtest.NewServer(t, batchtest.Options{Script: []modeltest.Failure{{}, {Drop: true}}})
		d, since, lost := v.open(t, server), time.Now(), v.rows("lost", 2)
		order(t, d, v.rows("a", 2))
		if _, err := d.Submit(t.Context(), lost); schemas.CodeOf(err) != schemas.Unavailable {
			t.Fatalf("%v, want code unavailable", err)
		}
		for i := range 4 {
			order(t, d, v.rows(fmt.Sprint("b", i), 2))
		}
		id, err := d.Find(t.Context(), lost, since)
		if err != nil || id == "" {
			t.Fatalf("found %q, %v", id, err)
		}
		if got, _ := collect(t, d, id, lost); len(got) != 2 || got["lost-0"] == "" {
			t.Errorf("found another batch: %v", got)
		}
		if id, err := d.Find(t.Context(), v.rows("never", 2), since); id != "" || err != nil {
			t.Errorf("found %q, %v for what was never ordered", id, err)
		}
		if server.Stats().Lists < 4 {
			t.Errorf("%d pages were read", server.Stats().Lists)
		}
	})
}

// TestOnlyTheEndTells has Anthropic's batches wait for their end, which says whose they are.
func TestOnlyTheEndTells(t *testing.T) {
	t.Parallel()
	server := batchtest.NewServer(t, batchtest.Options{Delay: time.Hour})
	v := vendors["anthropic"]
	d := v.open(t, server)
	id := order(t, d, v.rows("a", 2))
	_, err := d.Find(t.Context(), v.rows("b", 2), time.Now())
	if coded, ok := errors.AsType[*schemas.Error](err); !ok || coded.Code != schemas.Unavailable || coded.RetryAfter == 0 {
		t.Errorf("%v, want code unavailable with a wait", err)
	}
	if found, err := d.Find(t.Context(), v.rows("b", 3), time.Now()); found != "" || err != nil {
		t.Errorf("found %q, %v among batches of another size", found, err)
	}
	if err := d.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if found, err := d.Find(t.Context(), v.rows("a", 2), time.Now()); found != id || err != nil {
		t.Errorf("found %q, %v", found, err)
	}
}

func TestOrdersThatFail(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, v vendor) {
		server := batchtest.NewServer(t, batchtest.Options{Script: []modeltest.Failure{
			{Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "7"}}, {Status: http.StatusBadGateway}, {Status: http.StatusBadRequest},
		}})
		d := v.open(t, server)
		for _, want := range []schemas.Code{schemas.RateLimited, schemas.Unavailable, schemas.Invalid} {
			_, err := d.Submit(t.Context(), v.rows("b", 1))
			coded, ok := errors.AsType[*schemas.Error](err)
			if !ok || coded.Code != want || want == schemas.RateLimited && coded.RetryAfter != 7*time.Second {
				t.Errorf("%v, want code %s", err, want)
			}
		}
		if stats := server.Stats(); stats.Orders != 3 || stats.Batches != 0 {
			t.Errorf("%+v", stats)
		}
	})
}

// TestBatchesThatFailAsAWhole knows which of OpenAI's reasons pass.
func TestBatchesThatFailAsAWhole(t *testing.T) {
	t.Parallel()
	v := vendors["openai"]
	for code, want := range map[string]schemas.Code{
		"token_limit_exceeded": schemas.RateLimited, "billing_hard_limit_reached": schemas.OverBudget, "invalid_json_line": schemas.Invalid, "model_not_found": schemas.NotFound,
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			d := v.open(t, batchtest.NewServer(t, batchtest.Options{Refuse: code}))
			status, err := d.Status(t.Context(), order(t, d, v.rows("b", 1)))
			if err != nil || !status.Ended || schemas.CodeOf(status.Cause) != want {
				t.Errorf("%+v, %v; want %s", status, err, want)
			}
		})
	}
}

// TestCancelKeepsWhatIsDone cancels a batch that is under way.
func TestCancelKeepsWhatIsDone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, v vendor) {
		server := batchtest.NewServer(t, batchtest.Options{Delay: time.Hour})
		d, b := v.open(t, server), v.rows("b", 4)
		id := order(t, d, b)
		if status, err := d.Status(t.Context(), id); err != nil || status.Ended || status.Total != 4 {
			t.Errorf("%+v, %v", status, err)
		}
		if err := d.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if status, err := d.Status(t.Context(), id); err != nil || !status.Ended {
			t.Errorf("%+v, %v", status, err)
		}
		if got, _ := collect(t, d, id, b); len(got) != 2 {
			t.Errorf("%d rows were done: %v", len(got), got)
		}
		if err := d.Cancel(t.Context(), "none"); schemas.CodeOf(err) != schemas.NotFound {
			t.Errorf("%v, want code not_found", err)
		}
	})
}

// TestAnEndInTheMiddle ends the reading where its caller says.
func TestAnEndInTheMiddle(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, v vendor) {
		d, b := v.open(t, batchtest.NewServer(t, batchtest.Options{})), v.rows("b", 3)
		id, enough := order(t, d, b), errors.New("enough")
		if err := d.Collect(t.Context(), id, b, func(model.BatchOutcome) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("%v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := d.Submit(ctx, b); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}
