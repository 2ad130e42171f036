package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/localmodel"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// pair is one ingestion and one raw import of its objects.
type pair struct {
	product, raw time.Duration
	recorded     time.Duration // of the same ingestion into another collection, when every vector is recorded
	report       rest.Report
	objects      int
}

// ingest compares "tenuto ingest" with a raw import of the same objects.
func (b *bench) ingest(ctx context.Context) error {
	p, err := b.open(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	name, documents, err := corpus()
	if err != nil {
		return err
	}
	var pairs []pair
	for i := range b.rounds {
		one, err := b.ingestOnce(ctx, p, documents, i)
		if err != nil {
			return err
		}
		b.say("ingest %d of %d: %.2f s, with recorded vectors %.2f s, raw import %.2f s",
			i+1, b.rounds, one.product.Seconds(), one.recorded.Seconds(), one.raw.Seconds())
		pairs = append(pairs, one)
	}
	embedding, err := embeddingTime(ctx, documents)
	if err != nil {
		return err
	}
	return b.print(b.judgeIngest(name, pairs, embedding))
}

func (b *bench) judgeIngest(corpus string, pairs []pair, embedding time.Duration) measurement {
	var products, recorded, raws, ratios, free []float64
	for _, p := range pairs {
		products, recorded, raws = append(products, seconds(p.product)), append(recorded, seconds(p.recorded)), append(raws, seconds(p.raw))
		ratios, free = append(ratios, p.product.Seconds()/p.raw.Seconds()), append(free, p.recorded.Seconds()/p.raw.Seconds())
	}
	last := pairs[len(pairs)-1]
	ratio := round(median(ratios))
	return measurement{
		Name: "ingest", N: len(pairs), Ratio: ratio, Bound: b.ingestBound, Holds: ratio <= b.ingestBound,
		Figures: map[string]any{
			"corpus": corpus, "documents": last.report.Documents.Total, "chunks": last.report.Chunks.Total, "seconds": products,
			"embedding_seconds_one_core": seconds(embedding),
			"seconds_embeddings_free":    recorded, "ratio_embeddings_free": round(median(free)),
		},
		Floor: map[string]any{"what": "raw import by weaviate-go-client", "objects": last.objects, "seconds": raws},
	}
}

func (b *bench) ingestOnce(ctx context.Context, p *platform, documents []document, round int) (pair, error) {
	dir, err := os.MkdirTemp("", "tenuto-bench-")
	if err != nil {
		return pair{}, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "corpus.jsonl")
	if err := write(file, documents, fmt.Sprintf(" %d", round+1)); err != nil {
		return pair{}, err
	}
	collection := fmt.Sprintf("bench-%d", round)
	var one pair
	start := time.Now()
	if err := p.run(ctx, &one.report, "ingest", file, "--collection", collection); err != nil {
		return one, err
	}
	one.product = time.Since(start)
	if one.report.Chunks.Embedded != one.report.Chunks.Total {
		return one, fmt.Errorf("%d of %d chunks were embedded: the corpus is not new", one.report.Chunks.Embedded, one.report.Chunks.Total)
	}
	if one.raw, one.objects, err = b.rawOnce(ctx, schemas.ClassName(collection, 1)); err != nil {
		return one, err
	}
	if one.objects != one.report.Chunks.Total {
		return one, fmt.Errorf("the index holds %d objects and the report says %d", one.objects, one.report.Chunks.Total)
	}
	start = time.Now()
	if err := p.run(ctx, nil, "ingest", file, "--collection", collection+"-again"); err != nil {
		return one, err
	}
	one.recorded = time.Since(start)
	if err := p.run(ctx, nil, "collections", "delete", collection+"-again", "--yes"); err != nil {
		return one, err
	}
	return one, p.run(ctx, nil, "collections", "delete", collection, "--yes")
}

// rawOnce imports what is in class into a new one.
func (b *bench) rawOnce(ctx context.Context, class string) (took time.Duration, objects int, err error) {
	x, err := openIndex()
	if err != nil {
		return 0, 0, err
	}
	all, err := x.objects(ctx, class)
	if err != nil {
		return 0, 0, fmt.Errorf("reading what was ingested: %w", err)
	}
	const name = "Raw_import"
	if err := x.like(ctx, class, name); err != nil {
		return 0, 0, fmt.Errorf("making a class like %s: %w", class, err)
	}
	took, err = x.load(ctx, name, all, b.weaviateBatchSize, b.weaviateInFlight)
	if err != nil {
		return 0, 0, fmt.Errorf("importing: %w", err)
	}
	return took, len(all), x.drop(ctx, name)
}

// embeddingTime is how long the local embedder takes for the texts on one core.
func embeddingTime(ctx context.Context, documents []document) (time.Duration, error) {
	start := time.Now()
	for _, d := range documents {
		if _, err := (localmodel.Driver{}).Embed(ctx, model.EmbedRequest{Model: "lexical", Inputs: []string{d.Title + "\n\n" + d.Text}}); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}
