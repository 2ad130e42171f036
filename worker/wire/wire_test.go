package wire_test

import (
	"strings"
	"testing"

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

func TestModels(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		openai wire.OpenAI
		want   string
	}{
		"only local":      {want: "local"},
		"with a key":      {openai: wire.OpenAI{Key: "fake-key"}, want: "local openai"},
		"with a base URL": {openai: wire.OpenAI{BaseURL: "http://127.0.0.1:11434/v1"}, want: "local openai"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := wire.Models(wire.Config{OpenAI: test.openai}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(set.Names(), " "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
