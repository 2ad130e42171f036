package host

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/evaluate"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/activities/provider/model/limit"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/activities/provider/model/openaimodel"
	"github.com/tenuto-dev/tenuto/schemas"
)

// TestEmbeddings holds embeddings of evaluations to prices and limits: what is paid has its price, or none that is known, and what is read back
// costs nothing.
func TestEmbeddings(t *testing.T) {
	t.Parallel()
	server := modeltest.NewServer(t, modeltest.Options{Latency: 30 * time.Millisecond, Dimensions: 4})
	models := evalModels{&fleet.Fleet{
		Records: &modeltest.Memory{},
		Open: func(string, schemas.ProviderDef, func(limit.Rates)) (model.Driver, error) {
			return openaimodel.New(openaimodel.Options{BaseURL: server.URL, APIKey: "any"})
		},
	}}
	def := schemas.Models{
		Providers: map[string]schemas.ProviderDef{"p": {Driver: schemas.DriverOpenAI, Limits: schemas.RateDef{Concurrency: 1}}},
		Models: map[string]schemas.ModelDef{
			"priced":  {Provider: "p", Model: modeltest.EmbedModel, Prices: &schemas.PriceDef{Input: 1e6}},
			"unknown": {Provider: "p", Model: modeltest.EmbedModel},
		},
	}
	ask := func(name string, texts ...string) evaluate.Vectors {
		v, err := models.Embed(t.Context(), "t", def, name, texts)
		if err != nil || len(v.Values) != len(texts) {
			t.Fatalf("%s: %d vectors, error %v", name, len(v.Values), err)
		}
		return v
	}
	paid := ask("priced", "some words", "other words")
	if paid.Usage.InputTokens == 0 || paid.Usage.Calls != 1 {
		t.Fatalf("usage %+v", paid.Usage)
	}
	if want := (schemas.Cost{USD: float64(paid.Usage.InputTokens)}); !cmp.Equal(paid.Cost, want) {
		t.Errorf("cost %+v, want %+v: a dollar a token", paid.Cost, want)
	}
	if again := ask("priced", "some words", "other words"); again.Usage != (schemas.Usage{}) || again.Cost != (schemas.Cost{}) {
		t.Errorf("what is read back is counted: %+v %+v", again.Usage, again.Cost)
	}
	if got := ask("unknown", "words"); got.Cost != (schemas.Cost{Unknown: 1}) {
		t.Errorf("cost without a price is %+v", got.Cost)
	}
	start, ended := time.Now(), make(chan error, 4)
	for _, text := range []string{"a", "b", "c", "d"} {
		go func() {
			_, err := models.Embed(t.Context(), "t", def, "priced", []string{text})
			ended <- err
		}()
	}
	for range cap(ended) {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took < 4*30*time.Millisecond {
		t.Errorf("four calls of 30 ms took %s where one is allowed at a time", took)
	}
}
