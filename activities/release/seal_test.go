package release_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/activities/release"
	"github.com/tenuto-dev/tenuto/schemas"
)

// finding is a chain that looks into two collections by name and one by an expression.
func finding() schemas.Bundle {
	find := func(id, collection string) schemas.StepDef {
		return schemas.StepDef{ID: id, Retrieve: &schemas.RetrieveDef{Collection: collection, Query: "input.q"}}
	}
	return schemas.Bundle{
		Chain: "find",
		Chains: map[string]schemas.ChainDef{"find": {
			Input: json.RawMessage(`{"type":"object","required":["q"],"properties":{"q":{"type":"string"}}}`),
			Steps: []schemas.StepDef{find("a", "Go_Docs"), find("b", "later"), find("c", "${input.q}-docs")},
		}},
		Recipes: map[string]schemas.Recipe{"go-docs": {Embedder: "made/up"}},
	}
}

func TestSeal(t *testing.T) {
	t.Parallel()
	store := blob.New(&memblob.Driver{})
	recipe := schemas.Recipe{Parser: 1, Chunk: schemas.ChunkSettings{MaxTokens: 320, Tokenizer: "o200k_base"}, Embedder: "local/lexical", Language: "auto"}
	if _, err := blob.PutJSON(t.Context(), store, schemas.CollectionKey("default", "go-docs"), schemas.Collection{Name: "go-docs", Recipe: recipe}); err != nil {
		t.Fatal(err)
	}
	sealed, err := release.Seal(t.Context(), store, "default", finding())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]schemas.Recipe{"go-docs": recipe}, sealed.Recipes); diff != "" {
		t.Error(diff)
	}
	if got := string(sealed.Chains["find"].Input); got != `{"properties":{"q":{"type":"string"}},"required":["q"],"type":"object"}` {
		t.Errorf("input %s", got)
	}
	again, err := release.Seal(t.Context(), store, "default", sealed)
	if diff := cmp.Diff(sealed, again); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	elsewhere, err := release.Seal(t.Context(), store, "other", finding())
	if err != nil || len(elsewhere.Recipes) != 0 {
		t.Errorf("of another tenant: %v, %v", elsewhere.Recipes, err)
	}
	broken := finding()
	broken.Chains["find"].Steps[0].Retrieve.Query = "input."
	if _, err := release.Seal(t.Context(), store, "default", broken); schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("of a broken chain: %v", err)
	}
}

func decode(t *testing.T, text string) (made schemas.ReleasesMade) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &made); err != nil {
		t.Fatal(err)
	}
	return made
}
