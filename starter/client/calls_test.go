package client_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// ways are clients of one house over either way, and over both.
func ways(t *testing.T, h *house) map[string]*client.Client {
	t.Helper()
	clients := map[string]*client.Client{}
	for name, connect := range map[string]func() (*client.Client, error){
		"temporal": func() (*client.Client, error) { return client.New(h.Temporal) },
		"gateway": func() (*client.Client, error) {
			return client.New(nil, client.WithGateway(h.URL, gatewaytest.AdminToken))
		},
		"both": func() (*client.Client, error) {
			return client.New(h.Temporal, client.WithGateway(h.URL+"/", gatewaytest.AdminToken))
		},
	} {
		c, err := connect()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		clients[name] = c
	}
	return clients
}

func want(t *testing.T, err error, code schemas.Code, word string) {
	t.Helper()
	if err == nil || schemas.CodeOf(err) != code || !strings.Contains(schemas.SafeMessage(err), word) {
		t.Errorf("got %v, want %s with %q", err, code, word)
	}
}

// TestRunsBothWays has the same happen over Temporal and through the gateway, and what one has started be found by the other.
func TestRunsBothWays(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	hash, err := serve(h.URL, gatewaytest.AdminToken, handbook("handbook"))
	if err != nil {
		t.Fatal(err)
	}
	clients := ways(t, h)
	for name, c := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chain := client.ChainOf[Question, Answer](c, "handbook@production")
			got, err := chain.Run(t.Context(), Question{asksForLogs}, client.WithKey(name), client.WithMetadata(map[string]string{"way": name}))
			if err != nil {
				t.Fatal(err)
			}
			if got.RunID != name || got.Output.Answer != ofLogs || got.Release != hash || got.Label != "production" || got.Usage.Calls != 1 {
				t.Errorf("%+v", got)
			}
			for by, other := range clients {
				again := client.ChainOf[Question, Answer](other, "handbook@production")
				same, err := again.Run(t.Context(), Question{asksForLogs}, client.WithKey(name), client.WithMetadata(map[string]string{"way": name}))
				if err != nil || cmp.Diff(got.Output, same.Output) != "" {
					t.Errorf("repeated by %s: %+v, %v", by, same, err)
				}
				_, err = again.Run(t.Context(), Question{"Something else?"}, client.WithKey(name))
				want(t, err, schemas.Conflict, "another request")
				if found, err := client.Find[Answer](other, name).Wait(t.Context()); err != nil || found.Output.Answer != ofLogs {
					t.Errorf("found by %s: %+v, %v", by, found, err)
				}
			}
			byHash, err := client.ChainOf[Question, Answer](c, "handbook@"+hash).Run(t.Context(), Question{asksForLogs})
			if err != nil || byHash.Release != hash || byHash.Label != "" || byHash.Output.Answer != ofLogs {
				t.Errorf("by hash: %+v, %v", byHash, err)
			}
			run, err := chain.Start(t.Context(), Question{asksForLogs})
			if err != nil {
				t.Fatal(err)
			}
			if done, err := run.Wait(t.Context()); err != nil || done.RunID != run.ID() || done.Output.Answer != ofLogs {
				t.Errorf("started: %+v, %v", done, err)
			}
		})
	}
}

// TestOneRunForOneKey has a request come at the same time over both ways: it is carried out once.
func TestOneRunForOneKey(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	if _, err := serve(h.URL, gatewaytest.AdminToken, handbook("handbook")); err != nil {
		t.Fatal(err)
	}
	clients := ways(t, h)
	const each = 4
	outputs := make(chan Answer, each*len(clients))
	for name, c := range clients {
		for range each {
			go func() {
				got, err := client.ChainOf[Question, Answer](c, "handbook@production").Run(t.Context(), Question{asksForLogs}, client.WithKey("shared"))
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				outputs <- got.Output
			}()
		}
	}
	for range cap(outputs) {
		if got := <-outputs; got.Answer != ofLogs {
			t.Errorf("%+v", got)
		}
	}
	if n := h.Temporal.Started(schemas.Chain.Name()); n != 1 {
		t.Errorf("%d executions of one request", n)
	}
}

func TestWhatCannotRun(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	hash, err := serve(h.URL, gatewaytest.AdminToken, handbook("handbook"))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(c *client.Client, name string, in any, options ...client.RunOption) error {
		_, err := client.ChainOf[any, Answer](c, name).Run(t.Context(), in, options...)
		return err
	}
	for name, c := range ways(t, h) {
		for what, test := range map[string]struct {
			err  error
			code schemas.Code
			word string
		}{
			"no label":       {ask(c, "handbook", Question{"x"}), schemas.Invalid, "name what to run"},
			"no chain":       {ask(c, "@production", Question{"x"}), schemas.Invalid, "chain"},
			"unknown label":  {ask(c, "handbook@canary", Question{"x"}), schemas.NotFound, "no label canary"},
			"unknown hash":   {ask(c, "handbook@"+strings.Repeat("0", 64), Question{"x"}), schemas.NotFound, "no release"},
			"foreign chain":  {ask(c, "other@"+hash, Question{"x"}), schemas.NotFound, "no release"},
			"bad input":      {ask(c, "handbook@production", map[string]int{"question": 1}), schemas.Invalid, "schema"},
			"no JSON":        {ask(c, "handbook@production", func() {}), schemas.Invalid, "JSON"},
			"bad key":        {ask(c, "handbook@production", Question{"x"}, client.WithKey("a b")), schemas.Invalid, "idempotency key"},
			"much metadata":  {ask(c, "handbook@production", Question{"x"}, client.WithMetadata(map[string]string{"k": strings.Repeat("v", 2000)})), schemas.Invalid, "metadata"},
			"unknown run":    {second(client.Find[Answer](c, "nobody").Wait(t.Context())), schemas.NotFound, "nobody"},
			"cancel nothing": {client.Find[Answer](c, "nobody").Cancel(t.Context()), schemas.NotFound, "nobody"},
		} {
			if test.err == nil || schemas.CodeOf(test.err) != test.code || !strings.Contains(schemas.SafeMessage(test.err), test.word) {
				t.Errorf("%s, %s: got %v, want %s with %q", name, what, test.err, test.code, test.word)
			}
		}
	}
	_, err = client.ChainOf[Question, int](ways(t, h)["both"], "handbook@production").Run(t.Context(), Question{asksForLogs})
	want(t, err, schemas.MalformedOutput, "no int")
}

func second[T any](_ T, err error) error { return err }

// TestWhatIsNotSet has everything say what to set.
func TestWhatIsNotSet(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	var zero client.Client
	chain := client.ChainOf[Question, Answer](&zero, "handbook@production")
	_, err := chain.Run(t.Context(), Question{"x"})
	want(t, err, schemas.Invalid, "TENUTO_URL")
	_, err = chain.Start(t.Context(), Question{"x"})
	want(t, err, schemas.Invalid, "TENUTO_URL")
	_, err = client.Find[Answer](&zero, "r").Wait(t.Context())
	want(t, err, schemas.Invalid, "TENUTO_URL")
	want(t, client.Find[Answer](&zero, "r").Cancel(t.Context()), schemas.Invalid, "TENUTO_URL")
	over := ways(t, h)["temporal"]
	for _, err := range client.ChainOf[Question, Answer](over, "handbook@production").Stream(t.Context(), Question{"x"}) {
		want(t, err, schemas.Invalid, "streaming needs a gateway: set TENUTO_URL")
	}
	for _, err := range client.Find[Answer](over, "r").Events(t.Context()) {
		want(t, err, schemas.Invalid, "streaming needs a gateway")
	}
	_, err = client.Chain[Question, Answer]{}.Run(t.Context(), Question{"x"})
	want(t, err, schemas.Invalid, "ChainOf")
	_, err = client.Handle[Answer]{}.Wait(t.Context())
	want(t, err, schemas.Invalid, "no run")
	for _, url := range []string{"127.0.0.1:8480", "ftp://x", "http://", "%"} {
		_, err := client.New(nil, client.WithGateway(url, "k"))
		want(t, err, schemas.Invalid, "no address")
	}
	_, err = client.New(nil, client.WithTenant("A"))
	want(t, err, schemas.Invalid, "tenant")
	_, err = client.Dial(t.Context(), func(string) string { return "" }, client.WithTenant("A"))
	if err == nil {
		t.Error("a tenant that is none was taken")
	}
}

// TestABudgetIsHeldByGateways sends runs of a tenant with a budget to a gateway, or says that there must be one.
func TestABudgetIsHeldByGateways(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	if _, err := serve(h.URL, gatewaytest.AdminToken, handbook("handbook")); err != nil {
		t.Fatal(err)
	}
	limit := 5.0
	data, err := json.Marshal(rest.NewBudget{USDDay: &limit})
	if err != nil {
		t.Fatal(err)
	}
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, h.URL+"/api/v1/budgets/tenant", strings.NewReader(string(data)))
	request.Header.Set("Authorization", "Bearer "+gatewaytest.AdminToken)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode >= http.StatusBadRequest {
		t.Fatal(err, response.Status)
	}
	response.Body.Close()
	clients := ways(t, h)
	_, err = client.ChainOf[Question, Answer](clients["temporal"], "handbook@production").Run(t.Context(), Question{asksForLogs})
	want(t, err, schemas.Invalid, "budget")
	got, err := client.ChainOf[Question, Answer](clients["both"], "handbook@production").Run(t.Context(), Question{asksForLogs})
	if err != nil || got.Output.Answer != ofLogs {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestLongTextsOverTemporal has inputs and outputs that no message of a run may carry.
func TestLongTextsOverTemporal(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	bundle := handbook("echo")
	echo := bundle.Chains["echo"]
	echo.Input, echo.Output = json.RawMessage(`{"type":"object"}`), "input.text"
	echo.Steps[0].Generate.With["question"] = "'" + asksForLogs + "'"
	bundle.Chains["echo"] = echo
	if _, err := serve(h.URL, gatewaytest.AdminToken, bundle); err != nil {
		t.Fatal(err)
	}
	type text struct {
		Text string `json:"text"`
	}
	clients := ways(t, h)
	for name, size := range map[string]int{"short": 10, "over a message": 3000, "the longest": 60_000} {
		in := text{strings.Repeat("x", size)}
		got, err := client.ChainOf[text, string](clients["temporal"], "echo@production").Run(t.Context(), in)
		if err != nil || got.Output != in.Text {
			t.Errorf("%s: %d bytes came back, %v", name, len(got.Output), err)
		}
	}
	long := text{strings.Repeat("x", schemas.MaxPinInput)}
	_, err := client.ChainOf[text, string](clients["temporal"], "echo@production").Run(t.Context(), long)
	want(t, err, schemas.Invalid, "TENUTO_URL")
	got, err := client.ChainOf[text, string](clients["both"], "echo@production").Run(t.Context(), long)
	if err != nil || got.Output != long.Text {
		t.Errorf("through the gateway: %d bytes came back, %v", len(got.Output), err)
	}
}

// TestCallsEndWithTheirContext has nobody answer.
func TestCallsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	if _, err := serve(h.URL, gatewaytest.AdminToken, handbook("handbook")); err != nil {
		t.Fatal(err)
	}
	h.Temporal.Handlers[schemas.Chain.Name()] = func(ctx context.Context, _ any) (any, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for name, c := range ways(t, h) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := client.ChainOf[Question, Answer](c, "handbook@production").Run(ctx, Question{asksForLogs}, client.WithKey("stuck-"+name))
		want(t, err, schemas.Deadline, "")
		cancel()
		if err := client.Find[Answer](c, "stuck-"+name).Cancel(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
