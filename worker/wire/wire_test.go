package wire_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model/limit"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

var complete = map[string]string{
	"S3_ENDPOINT": "http://127.0.0.1:9000", "S3_ACCESS_KEY": "fake", "S3_SECRET_KEY": "fake", "WEAVIATE_URL": "http://127.0.0.1:8080/",
}

func env(changes ...string) func(string) string {
	return func(name string) string {
		for i := 0; i+1 < len(changes); i += 2 {
			if changes[i] == name {
				return changes[i+1]
			}
		}
		return complete[name]
	}
}

func TestReadFillsDefaults(t *testing.T) {
	t.Parallel()
	c, err := wire.Read(env())
	if err != nil {
		t.Fatal(err)
	}
	if c.Store.Bucket != "tenuto" || c.Embedder != "local/lexical" || c.Model != "local/extractive" || c.Weaviate.URL != "http://127.0.0.1:8080" {
		t.Errorf("%+v", c)
	}
}

func TestReadNamesEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := wire.Read(env("S3_ENDPOINT", "127.0.0.1:9000", "WEAVIATE_URL", "", "S3_SECRET_KEY", ""))
	if schemas.CodeOf(err) != schemas.Invalid {
		t.Fatalf("want invalid, got %v", err)
	}
	for _, name := range []string{"S3_ENDPOINT", "WEAVIATE_URL", "S3_SECRET_KEY"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in %q", name, err)
		}
	}
}

func TestThePublicAddress(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{"": "", "https://tenuto.example/": "https://tenuto.example"} {
		if c, err := wire.Read(env("TENUTO_PUBLIC_URL", value)); err != nil || c.Site != want {
			t.Errorf("%q is %q, %v", value, c.Site, err)
		}
	}
	if _, err := wire.Read(env("TENUTO_PUBLIC_URL", "tenuto.example")); err == nil || !strings.Contains(err.Error(), "TENUTO_PUBLIC_URL") {
		t.Errorf("no address: %v", err)
	}
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	c, err := wire.Read(env("TENUTO_WEBHOOK_SECRET", strings.Repeat("s", 32), "TENUTO_WEBHOOK_ALLOW", "10.0.0.1:9000, *.inside.example"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"10.0.0.1:9000", "*.inside.example"}, c.Webhooks.Allow); diff != "" || !c.Webhooks.Keys.Ready() {
		t.Errorf("%s%v", diff, c.Webhooks.Keys.Ready())
	}
	if c, err := wire.Read(env()); err != nil || c.Webhooks.Keys.Ready() {
		t.Errorf("without a secret: %v", err)
	}
	_, err = wire.Read(env("TENUTO_WEBHOOK_SECRET", "guess-me", "TENUTO_WEBHOOK_ALLOW", "http://inside/"))
	if err == nil || !strings.Contains(err.Error(), "TENUTO_WEBHOOK_SECRET") || !strings.Contains(err.Error(), "TENUTO_WEBHOOK_ALLOW") || strings.Contains(err.Error(), "guess-me") {
		t.Errorf("what is wrong with both: %v", err)
	}
}

func TestInstalledProviders(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env  []string
		want string
	}{
		"only local":        {nil, "local"},
		"a key":             {[]string{"OPENAI_API_KEY", "fake-key"}, "local openai"},
		"a base URL":        {[]string{"OPENAI_BASE_URL", "http://127.0.0.1:11434/v1"}, "local openai"},
		"several":           {[]string{"OPENAI_API_KEY", "a", "ANTHROPIC_API_KEY", "b", "GEMINI_API_KEY", "c"}, "anthropic gemini local openai"},
		"a proxy of theirs": {[]string{"ANTHROPIC_BASE_URL", "http://127.0.0.1:9/"}, "anthropic local"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := wire.Read(env(test.env...))
			if err != nil {
				t.Fatal(err)
			}
			f, err := wire.Fleet(c, nil, env(test.env...))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(f.Installed.Names(), " "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if name == "a proxy of theirs" && c.Models.Providers["anthropic"].BaseURL != "http://127.0.0.1:9/v1" {
				t.Errorf("%+v", c.Models.Providers["anthropic"])
			}
		})
	}
}

// house is a file of models with everything that counts.
const house = `
providers:
  openai: {driver: openai, base_url: "http://127.0.0.1:8000/v1", limits: {requests_per_minute: 60}}
  own: {driver: cohere, key_env: OWN_API_KEY}
models:
  gpt: {provider: openai, model: org/gpt, prices: {input: 1, output: 2}, limits: {concurrency: 3}}
  command: {provider: own, prices: unknown}
`

func TestModelsFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "house.yaml")
	if err := os.WriteFile(file, []byte(house), 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := env("TENUTO_MODELS", file, "OPENAI_API_KEY", "elsewhere", "OWN_API_KEY", "x")
	c, err := wire.Read(getenv)
	if err != nil {
		t.Fatal(err)
	}
	f, err := wire.Fleet(c, nil, getenv)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"local/extractive", "local/lexical", "openai/org/gpt", "own/command"}
	if diff := cmp.Diff(want, f.Named()); diff != "" {
		t.Error(diff)
	}
	target, err := f.Target(schemas.Models{}, "openai/org/gpt")
	if cost := target.Cost(schemas.Usage{InputTokens: 1e6, OutputTokens: 1e6}); err != nil || cost == nil || *cost != 3 {
		t.Errorf("cost %v, %v", cost, err)
	}
	target, err = f.Target(schemas.Models{}, "openai/unlisted")
	if cost := target.Cost(schemas.Usage{InputTokens: 1}); err != nil || cost != nil {
		t.Errorf("cost %v, %v", cost, err)
	}
	if grant, err := target.Limiter.Acquire(t.Context(), limit.Ask{Tenant: "a", Model: "unlisted"}); err != nil {
		t.Error(err)
	} else {
		grant.Done(limit.Outcome{})
	}
	if bounds := target.Limiter.Snapshot().Bounds; bounds.Requests != 60 {
		t.Errorf("%+v", bounds)
	}
	if target, err = f.Target(schemas.Models{}, "local/extractive"); err != nil || *target.Cost(schemas.Usage{InputTokens: 1}) != 0 {
		t.Errorf("%+v, %v", target, err)
	}
	f.Observe("openai", limit.Rates{Tokens: limit.Rate{Limit: 7}})
	f.Observe("nobody", limit.Rates{})
	if target, _ = f.Target(schemas.Models{}, "openai/x"); target.Rates().Tokens.Limit != 7 {
		t.Error("what the server says of its limits does not arrive")
	}
}

func TestModelsFileProblems(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, test := range map[string]struct {
		text string
		says []string
	}{
		"missing":   {"", []string{"TENUTO_MODELS: ", "cannot be read"}},
		"two":       {"providers: {a: {driver: b}}\nmodels: {m: {provider: c, prices: unknown}}\n", []string{"unknown driver `b`", "there is no provider `c`"}},
		"our local": {"providers: {local: {driver: openai, base_url: \"http://127.0.0.1:1\"}}", []string{"the provider local is the platform's own"}},
	} {
		file := filepath.Join(dir, name+".yaml")
		if test.text != "" {
			if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := wire.Read(env("TENUTO_MODELS", file))
		for _, words := range test.says {
			if schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	file := filepath.Join(dir, "key.yaml")
	if err := os.WriteFile(file, []byte("providers: {a: {driver: cohere, key_env: NONE_API_KEY}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := wire.Read(env("TENUTO_MODELS", file))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.Fleet(c, nil, env()); schemas.CodeOf(err) != schemas.Unauthorized || !strings.Contains(err.Error(), "NONE_API_KEY") {
		t.Errorf("%v", err)
	}
}
