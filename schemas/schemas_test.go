package schemas_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
)

func TestCanonicalCollection(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"docs": "docs", "Go_Docs": "go-docs", "go-docs": "go-docs", "A1": "a1",
		"": "", "1abc": "", "my docs": "", "über": "", "a/b": "", "a.b": "", "docs-v2": "", "Docs_V12": "", "-a": "",
		strings.Repeat("a", 63): strings.Repeat("a", 63), strings.Repeat("a", 64): "",
	} {
		got, err := schemas.CanonicalCollection(name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", name, got, err, want)
		}
		if err != nil && schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("%q: code %q", name, schemas.CodeOf(err))
		}
	}
}

func TestCollectionsNeverShareAClass(t *testing.T) {
	t.Parallel()
	names := map[string]string{}
	for _, name := range []string{"a", "ab", "a-b", "a-v", "a-v1x", "av1"} {
		for _, class := range []string{schemas.AliasName(name), schemas.ClassName(name, 1), schemas.ClassName(name, 12)} {
			if other, taken := names[class]; taken {
				t.Errorf("%s is a name of %q and of %q", class, name, other)
			}
			names[class] = name
		}
	}
}

func TestChunkIDIsAVersion5UUID(t *testing.T) {
	t.Parallel()
	id := schemas.ChunkID("docs", "src", "a.md", "r", "h", 0)
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Error(id)
	}
	// Chunk ids are in every index and manifest: this one never changes.
	if want := "00b76558-0406-5991-b2e3-6018acbebade"; id != want {
		t.Errorf("got %s, want %s", id, want)
	}
	others := map[string]bool{id: true}
	for _, other := range []string{
		schemas.ChunkID("docs2", "src", "a.md", "r", "h", 0), schemas.ChunkID("docs", "src2", "a.md", "r", "h", 0),
		schemas.ChunkID("docs", "src", "b.md", "r", "h", 0), schemas.ChunkID("docs", "src", "a.md", "r2", "h", 0),
		schemas.ChunkID("docs", "src", "a.md", "r", "h2", 0), schemas.ChunkID("docs", "src", "a.md", "r", "h", 1),
		schemas.ChunkID("docs", "srca", ".md", "r", "h", 0),
	} {
		if others[other] {
			t.Errorf("%s stands for two chunks", other)
		}
		others[other] = true
	}
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{0: 0, 1: 0, 256: 0, 257: 1, 512: 1, 513: 2, 5183: 5, 50000: 8, 1 << 40: 20} {
		if got := schemas.BucketBits(n); got != want {
			t.Errorf("BucketBits(%d) = %d, want %d", n, got, want)
		}
	}
	for i := range 1000 {
		hash := schemas.DocumentHash("src", fmt.Sprint(i))
		for bits := range 12 {
			bucket := schemas.BucketOf(hash, bits)
			if bucket < 0 || bucket >= 1<<bits {
				t.Fatalf("bucket %d of 2^%d", bucket, bits)
			}
			if bits > 0 && bucket>>1 != schemas.BucketOf(hash, bits-1) {
				t.Fatalf("a split moved document %d to another parent", i)
			}
		}
	}
}

func TestCanonicalSource(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"doc": "doc", "My Docs!": "my-docs", "...": "", "corpus.jsonl": "corpus.jsonl", "Ünï": "n"} {
		if got := schemas.CanonicalSource(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	long := schemas.CanonicalSource(strings.Repeat("x", 300))
	if err := schemas.CheckSource(long); err != nil || long == schemas.CanonicalSource(strings.Repeat("x", 301)) {
		t.Errorf("%q: %v", long, err)
	}
}

func TestErrorsKeepTheirCodeThroughWrapping(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("outer: %w", fmt.Errorf("inner: %w", schemas.Wrap(schemas.NotFound, errors.New("secret detail"), "there is no %s", "thing")))
	if schemas.CodeOf(err) != schemas.NotFound || schemas.SafeMessage(err) != "there is no thing" {
		t.Errorf("%q %q", schemas.CodeOf(err), schemas.SafeMessage(err))
	}
	if schemas.CodeOf(errors.New("x")) != schemas.Internal || strings.Contains(schemas.SafeMessage(errors.New("secret")), "secret") {
		t.Error("an error without a code shows its text")
	}
	var retryable []schemas.Code
	for _, code := range schemas.Codes() {
		if code.Retryable() {
			retryable = append(retryable, code)
		}
	}
	if diff := cmp.Diff([]schemas.Code{schemas.RateLimited, schemas.Unavailable, schemas.Deadline, schemas.Internal}, retryable); diff != "" {
		t.Error(diff)
	}
}

func TestTotalsAddEveryField(t *testing.T) {
	t.Parallel()
	one := schemas.IngestTotals{
		Documents: schemas.DocumentCounts{Total: 1, Added: 1, Updated: 1, Unchanged: 1, Deleted: 1, Quarantined: 1},
		Chunks:    schemas.ChunkCounts{Total: 1, Embedded: 1, Reused: 1, Deleted: 1},
		Embedding: schemas.Embedding{Calls: 1, Inputs: 1, Tokens: 1},
	}
	want := schemas.IngestTotals{
		Documents: schemas.DocumentCounts{Total: 2, Added: 2, Updated: 2, Unchanged: 2, Deleted: 2, Quarantined: 2},
		Chunks:    schemas.ChunkCounts{Total: 2, Embedded: 2, Reused: 2, Deleted: 2},
		Embedding: schemas.Embedding{Calls: 2, Inputs: 2, Tokens: 2},
	}
	if diff := cmp.Diff(want, one.Add(one)); diff != "" {
		t.Error(diff)
	}
}

func TestRecipeHashTellsRecipesApart(t *testing.T) {
	t.Parallel()
	base := schemas.Recipe{Parser: 1, Chunk: schemas.ChunkSettings{MaxTokens: 320, OverlapTokens: 32, Tokenizer: "cl100k_base"}, Embedder: "local/lexical", Language: "auto"}
	seen := map[string]bool{base.Hash(): true}
	for _, change := range []func(*schemas.Recipe){
		func(r *schemas.Recipe) { r.Parser++ }, func(r *schemas.Recipe) { r.Chunk.MaxTokens++ },
		func(r *schemas.Recipe) { r.Chunk.OverlapTokens++ }, func(r *schemas.Recipe) { r.Chunk.Tokenizer = "o200k_base" },
		func(r *schemas.Recipe) { r.Embedder = "openai/x" }, func(r *schemas.Recipe) { r.Dimensions = 8 },
		func(r *schemas.Recipe) { r.Language = "de" },
	} {
		other := base
		change(&other)
		if seen[other.Hash()] {
			t.Errorf("%+v has the hash of another recipe", other)
		}
		seen[other.Hash()] = true
	}
	if err := base.Check(); err != nil {
		t.Error(err)
	}
}
