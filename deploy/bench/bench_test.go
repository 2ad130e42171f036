package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		values []float64
		q      float64
		want   float64
	}{
		{nil, 0.5, 0},
		{[]float64{7}, 0.95, 7},
		{[]float64{3, 1, 2}, 0.5, 2},
		{[]float64{4, 3, 2, 1}, 0.5, 2},
		{[]float64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, 0.95, 10},
		{[]float64{2, 1}, 0, 1},
	} {
		if got := quantile(test.values, test.q); got != test.want {
			t.Errorf("quantile(%v, %g) = %g, want %g", test.values, test.q, got, test.want)
		}
	}
}

func TestMissedBoundIsRememberedAndPrinted(t *testing.T) {
	t.Parallel()
	second := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	for _, test := range []struct {
		product []float64
		ratio   float64
		missed  []string
	}{
		{[]float64{2, 9, 3}, 1.5, nil}, // the median counts, not the worst
		{[]float64{4, 9, 3}, 2, []string{"ingest"}},
	} {
		var out bytes.Buffer
		b := &bench{options: options{ingestBound: 1.5}, stdout: &out}
		var pairs []pair
		for _, s := range test.product {
			pairs = append(pairs, pair{product: second(s), raw: second(2), report: rest.Report{}})
		}
		if err := b.print(b.judgeIngest("generated", pairs, 0)); err != nil {
			t.Fatal(err)
		}
		var got measurement
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got.Ratio != test.ratio || got.Holds != (test.missed == nil) {
			t.Errorf("%v s against 2 s: ratio %g, holds %v", test.product, got.Ratio, got.Holds)
		}
		if diff := cmp.Diff(test.missed, b.missed); diff != "" {
			t.Errorf("%v s against 2 s: missed (-want +got):\n%s", test.product, diff)
		}
	}
}

func TestAskRatioIsOfMedians(t *testing.T) {
	t.Parallel()
	b := &bench{options: options{askBound: 3}}
	got := b.judgeAsk(timings{whole: []float64{30, 31, 90}, overhead: []float64{10, 11, 70}, empty: []float64{5, 4, 6}})
	if got.Ratio != 2.2 || !got.Holds {
		t.Errorf("ratio %g, holds %v", got.Ratio, got.Holds)
	}
}

func TestGeneratedCorpusRepeats(t *testing.T) {
	t.Parallel()
	first, second := generate(300, 60), generate(300, 60)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("two calls differ: %s", diff)
	}
	seen := map[string]bool{}
	for _, d := range first {
		if n := len(bytes.Fields([]byte(d.Text))); n != 60 {
			t.Errorf("%s has %d words", d.ID, n)
		}
		seen[d.Text] = true
	}
	if len(seen) != len(first) {
		t.Errorf("%d of %d texts differ", len(seen), len(first))
	}
}
