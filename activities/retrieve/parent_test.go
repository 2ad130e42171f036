package retrieve_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/internal/analyze"
	"github.com/tenuto-dev/tenuto/activities/internal/chunk"
	"github.com/tenuto-dev/tenuto/activities/internal/token"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/activities/provider/vector/memvector"
	"github.com/tenuto-dev/tenuto/activities/retrieve"
	"github.com/tenuto-dev/tenuto/schemas"
)

// pieces of a document: the section and where the text begins and ends.
type piece struct {
	section    string
	start, end int
}

// write indexes pieces of a text as the chunks of a document.
func write(t *testing.T, a *retrieve.Activities, name, text string, pieces ...piece) {
	t.Helper()
	analyzer, err := analyze.New("auto")
	if err != nil {
		t.Fatal(err)
	}
	var objects []vector.Object
	for i, p := range pieces {
		part := text[p.start:p.end]
		objects = append(objects, vector.Object{
			ID: schemas.ChunkID("docs", "src", name, "", "", i), Document: name, Source: "src", Section: p.section, Text: part, Terms: analyzer.Terms(part),
			ChunkHash: part, Ordinal: i, Start: p.start, End: p.end, Vector: []float32{1, 1},
		})
	}
	if err := a.Index.Upsert(t.Context(), vector.Target{Class: "Docs_v1", Tenant: "default"}, objects); err != nil {
		t.Fatal(err)
	}
}

func parents(text string) retrieve.Query {
	q := ask(text, schemas.RetrieveSettings{Mode: schemas.Keyword})
	q.Parents = true
	return q
}

func TestParents(t *testing.T) {
	t.Parallel()
	a, _ := setup(t)
	//       0         10        20        30        40        50
	text := "intro zero. alpha one. bravo two.\n\ncharlie three. delta four."
	write(t, a, "d", text,
		piece{"Top", 0, 11}, piece{"Top > A", 12, 22}, piece{"Top > A", 18, 33}, piece{"Top > A", 35, 49}, piece{"Top > B", 50, 61})
	for question, want := range map[string]struct {
		start, end int
		text       string
	}{
		"bravo":   {12, 49, "alpha one. bravo two.\n\ncharlie three."},
		"charlie": {12, 49, "alpha one. bravo two.\n\ncharlie three."},
		"alpha":   {12, 49, "alpha one. bravo two.\n\ncharlie three."},
		"intro":   {0, 11, "intro zero."},
		"delta":   {50, 61, "delta four."},
	} {
		hits := find(t, a, parents(question)).Hits
		if len(hits) != 1 || hits[0].Start != want.start || hits[0].End != want.end || hits[0].Text != want.text {
			t.Errorf("%s: %+v", question, hits)
		}
	}
	hits := find(t, a, parents("charlie alpha delta")).Hits
	if got := len(hits); got != 2 {
		t.Errorf("%d hits, want one for each section: %+v", got, hits)
	}
}

func TestParentsAreBounded(t *testing.T) {
	t.Parallel()
	a, _ := setup(t)
	var text strings.Builder
	var pieces []piece
	for i := range 100 {
		start := text.Len()
		fmt.Fprintf(&text, "word%d %s", i, strings.Repeat("x", 300))
		pieces = append(pieces, piece{"", start, text.Len()})
		text.WriteByte(' ')
	}
	write(t, a, "long", text.String(), pieces...)
	hit := find(t, a, parents("word50")).Hits[0]
	if len(hit.Text) > retrieve.MaxParent || len(hit.Text) < retrieve.MaxParent-400 || hit.Text != text.String()[hit.Start:hit.End] {
		t.Errorf("%d bytes from %d to %d", len(hit.Text), hit.Start, hit.End)
	}
	if before, after := pieces[50].start-hit.Start, hit.End-pieces[50].end; before < 3000 || after < 3000 {
		t.Errorf("%d bytes before and %d after the hit", before, after)
	}
	whole := strings.Repeat("whale ", 2000)
	write(t, a, "huge", whole, piece{"", 0, len(whole) - 1})
	if hit := find(t, a, parents("whale")).Hits[0]; hit.Text != whole[:len(whole)-1] {
		t.Errorf("a hit that is longer than the bound was cut to %d bytes", len(hit.Text))
	}
}

// TestAChunkThatDoesNotFit is what a search may see while a document is published anew.
func TestAChunkThatDoesNotFit(t *testing.T) {
	t.Parallel()
	a, _ := setup(t)
	write(t, a, "d", "alpha bravo", piece{"S", 0, 8}, piece{"S", 6, 11})
	other := vector.Object{
		ID: schemas.ChunkID("docs", "src", "d", "", "new", 1), Document: "d", Source: "src", Section: "S", Text: "zulu!", ChunkHash: "z",
		Ordinal: 1, Start: 6, End: 11, Vector: []float32{1, 1},
	}
	target := vector.Target{Class: "Docs_v1", Tenant: "default"}
	if _, err := a.Index.Delete(t.Context(), target, vector.Selection{IDs: []string{schemas.ChunkID("docs", "src", "d", "", "", 1)}}); err != nil {
		t.Fatal(err)
	}
	if err := a.Index.Upsert(t.Context(), target, []vector.Object{other}); err != nil {
		t.Fatal(err)
	}
	if hit := find(t, a, parents("alpha")).Hits[0]; hit.Text != "alpha br" {
		t.Errorf("became %q", hit.Text)
	}
}

// ordering is a reranker that prefers short texts.
type ordering struct {
	embedder
	got model.RerankRequest
}

func (o *ordering) Rerank(_ context.Context, in model.RerankRequest) (model.RerankResponse, error) {
	o.got = in
	var order []model.Ranked
	for i, text := range in.Documents {
		order = append(order, model.Ranked{Index: i, Score: -float64(len(text))})
	}
	slices.SortFunc(order, func(a, b model.Ranked) int { return int(b.Score - a.Score) })
	if in.Top > 0 {
		order = order[:in.Top]
	}
	return model.RerankResponse{Results: order, Model: "exact", Tokens: 9}, nil
}

func TestRerank(t *testing.T) {
	t.Parallel()
	driver := &ordering{}
	provider := &model.Provider{Name: "p", Driver: driver}
	hits := []schemas.Hit{{Rank: 1, Score: 9, Text: "longest"}, {Rank: 2, Score: 8, Text: "mid"}, {Rank: 3, Score: 7, Text: "s"}}
	got, response, err := new(retrieve.Activities).Rerank(t.Context(), provider, "m", "default", "q", hits, 2)
	if err != nil || response.Model != "exact" || response.Tokens != 9 {
		t.Fatal(response, err)
	}
	if diff := cmp.Diff([]schemas.Hit{{Rank: 1, Score: -1, Text: "s"}, {Rank: 2, Score: -3, Text: "mid"}}, got); diff != "" {
		t.Error(diff)
	}
	want := model.RerankRequest{Model: "m", Query: "q", Documents: []string{"longest", "mid", "s"}, Top: 2}
	if diff := cmp.Diff(want, driver.got); diff != "" {
		t.Error(diff)
	}
	if all, _, err := new(retrieve.Activities).Rerank(t.Context(), provider, "m", "default", "q", hits, 0); err != nil || len(all) != 3 {
		t.Errorf("%d of 3 hits, %v", len(all), err)
	}
	driver.got = model.RerankRequest{}
	if none, _, err := new(retrieve.Activities).Rerank(t.Context(), provider, "m", "default", "q", nil, 2); err != nil || none != nil || driver.got.Model != "" {
		t.Errorf("without hits: %v, %v, asked for %+v", none, err, driver.got)
	}
	_, _, err = new(retrieve.Activities).Rerank(t.Context(), &model.Provider{Name: "p", Driver: &embedder{}}, "m", "default", "q", hits, 2)
	if err == nil || schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("a provider without a reranker: %v", err)
	}
}

// TestParentsOfRealChunks splits a document as ingestion does and finds each chunk's section again, as it was but for white space.
func TestParentsOfRealChunks(t *testing.T) {
	t.Parallel()
	a, _ := setup(t)
	counter, err := token.New("cl100k_base")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	var blocks []chunk.Block
	add := func(kind chunk.Kind, level int, heading []string, words string) {
		start := text.Len()
		text.WriteString(words)
		blocks = append(blocks, chunk.Block{Kind: kind, Level: level, Start: start, End: text.Len(), Heading: heading})
		text.WriteString("\n\n")
	}
	for i := range 6 {
		heading := []string{"Guide", fmt.Sprintf("Part %d", i)}
		add(chunk.Heading, 2, heading, "Part "+strings.Repeat("I", i+1))
		for j := range 4 {
			add(chunk.Paragraph, 0, heading, strings.Repeat(fmt.Sprintf("Sentence part%d number%d about whales.  It is\tlong enough. ", i, j), 6))
		}
	}
	chunks := chunk.Split(chunk.Doc{Text: text.String(), Blocks: blocks}, counter, chunk.Settings{MaxTokens: 64, OverlapTokens: 16})
	var pieces []piece
	for _, c := range chunks {
		pieces = append(pieces, piece{c.Section, c.Start, c.End})
	}
	write(t, a, "guide", text.String(), pieces...)
	for i := range 6 {
		hits := find(t, a, parents(fmt.Sprintf("part%d", i))).Hits
		if len(hits) != 1 {
			t.Errorf("%d hits in part %d, want its section alone", len(hits), i)
		}
		for _, hit := range hits {
			original := text.String()[hit.Start:hit.End]
			if diff := cmp.Diff(strings.Fields(original), strings.Fields(hit.Text)); diff != "" {
				t.Errorf("%s: %s", hit.Section, diff)
			}
			if strings.Contains(hit.Section, " > ") && len(hit.Text) < 1200 {
				t.Errorf("%s grew to %d bytes only", hit.Section, len(hit.Text))
			}
		}
	}
}

// counting is an index that counts what it is asked.
type counting struct {
	memvector.Driver
	listings atomic.Int64
}

func (c *counting) Search(ctx context.Context, target vector.Target, query vector.Query) ([]vector.Found, error) {
	if query.Mode == vector.Listing {
		c.listings.Add(1)
	}
	return c.Driver.Search(ctx, target, query)
}

func TestHitsOfADocumentAreReadTogether(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		second   int // ordinal of the second hit
		readings int64
	}{"near": {100, 1}, "far": {300, 2}} {
		a, _ := setup(t)
		driver := &counting{}
		a.Index = vector.New(driver)
		if err := a.Index.Ensure(t.Context(), vector.Spec{Alias: "Docs", Class: "Docs_v1", Tenant: "default"}); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		var pieces []piece
		for i := range 400 {
			start := text.Len()
			text.WriteString("filler text " + strings.Repeat("y", 90))
			if i == 10 || i == test.second {
				text.WriteString(" whale")
			}
			pieces = append(pieces, piece{fmt.Sprint(i / 5), start, text.Len()})
			text.WriteByte('\n')
		}
		write(t, a, "d", text.String(), pieces...)
		hits := find(t, a, parents("whale")).Hits
		if n := driver.listings.Load(); len(hits) != 2 || n != test.readings {
			t.Errorf("%s: %d hits with %d readings, want 2 with %d", name, len(hits), n, test.readings)
		}
		for _, hit := range hits {
			if !strings.Contains(hit.Text, "whale") || strings.Count(hit.Text, "filler") != 5 {
				t.Errorf("%s: chunk %d grew to %q", name, hit.Ordinal, hit.Text)
			}
		}
	}
}
