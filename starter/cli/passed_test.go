package cli_test

import (
	"bytes"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/starter/cli"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
)

var varying = regexp.MustCompile(`[0-9.]+ m?s\b|[0-9]{4}-[0-9]{2}-[0-9]{2} .*|[0-9a-f]{8}-[0-9a-f-]{27}`)

// TestPassedCallsAreShown shows a call of a model as a run.
func TestPassedCallsAreShown(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	const body = `{"model":"local/extractive","stream":true,"messages":[{"role":"user","content":"Question: what is alpha?\n\nAlpha is a letter."}]}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+gatewaytest.AdminToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if code := cli.Run(t.Context(), args, environment(s), nil, &stdout, &stderr); code != 0 {
			t.Fatalf("exit status %d: %s", code, &stderr)
		}
		return varying.ReplaceAllString(stdout.String(), "…")
	}
	id := response.Header.Get("X-Tenuto-Run")
	const want = `run … of model local/extractive: done in …, passed through
started    …
tokens     8 in, 6 out
cost       $0.00
input      {"model":"local/extractive","stream":true,"messages":[{"role":"user","content":"Question: what is alpha?\n\nAlpha is a letter."}]}
generate (generate)  …
  answer  local/extractive  8 in, 6 out  $0.00  …
output     {"text":"The documents do not answer this."}
`
	if diff := cmp.Diff(want, run("runs", "show", id)); diff != "" {
		t.Errorf("%s\n%s", diff, text.String())
	}
	if full := run("runs", "show", id, "--full"); !strings.Contains(full, `  came back as events [{"id":"chatcmpl-`) {
		t.Error(full)
	}
	if list := run("runs", "list", "--chain", "model local/extractive"); !strings.Contains(list, "model local/extractive") {
		t.Error(list)
	}
}
