package retrieve

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	// MaxParent is how many bytes of text a hit may grow to; one that is longer already stays as it is.
	MaxParent = 8 << 10
	// reach is how many chunks before and after a hit are looked at.
	reach = 32
	// together is how many chunks may lie between hits that are read at once.
	together = 128
)

// document names one document.
type document struct{ source, path string }

// grow makes each hit the part of its section that is around it. A hit whose text is then in a better one is left out.
func (a *Activities) grow(ctx context.Context, target vector.Target, found []schemas.Hit) ([]schemas.Hit, error) {
	byDocument := map[document][]*schemas.Hit{}
	for i := range found {
		name := document{found[i].Source, found[i].Document}
		byDocument[name] = append(byDocument[name], &found[i])
	}
	group, reading := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, hits := range byDocument {
		group.Go(func() error { return a.growAll(reading, target, hits) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(hit schemas.Hit) bool { return hit.Rank == 0 })
	for i := range found {
		found[i].Rank = i + 1
	}
	return found, nil
}

// growAll grows the hits of one document, the best first. It sets the rank of those that others hold to 0. Hits that are near one
// another share one reading: the index takes as long for one chunk of a document as for many.
func (a *Activities) growAll(ctx context.Context, target vector.Target, hits []*schemas.Hit) error {
	first, last := hits[0].Ordinal, hits[0].Ordinal
	for _, hit := range hits {
		first, last = min(first, hit.Ordinal), max(last, hit.Ordinal)
	}
	near := last-first <= together
	var around []vector.Object
	for i, hit := range hits {
		if slices.ContainsFunc(hits[:i], func(better *schemas.Hit) bool { return holds(better, hit) }) {
			hit.Rank = 0
			continue
		}
		if !near {
			first, last = hit.Ordinal, hit.Ordinal
		}
		if !near || i == 0 {
			var err error
			around, err = a.Index.Passage(ctx, target, vector.Passage{
				Source: hit.Source, Document: hit.Document, First: max(0, first-reach), Last: last + reach,
			})
			if err != nil {
				return fmt.Errorf("reading around chunk %s: %w", hit.Chunk, err)
			}
		}
		widen(hit, around)
	}
	return nil
}

func holds(outer, inner *schemas.Hit) bool {
	return outer.Rank > 0 && outer.Start <= inner.Start && inner.End <= outer.End
}

// widen adds neighbours to the hit, in turn before and after it, as long as they continue its section and there is room.
func widen(hit *schemas.Hit, around []vector.Object) {
	neighbours := map[int]span{}
	for _, o := range around {
		if o.Section == hit.Section && o.Ordinal != hit.Ordinal {
			neighbours[o.Ordinal] = span{o.Start, o.End, o.Text}
		}
	}
	grown := span{hit.Start, hit.End, hit.Text}
	before, after := true, true
	for i := 1; before || after; i++ {
		if before {
			grown, before = neighbours[hit.Ordinal-i].join(grown, grown)
		}
		if after {
			grown, after = grown.join(neighbours[hit.Ordinal+i], grown)
		}
	}
	hit.Start, hit.End, hit.Text = grown.start, grown.end, grown.text
}

// span is a part of a document's text.
type span struct {
	start, end int // byte offsets
	text       string
}

// maxGap is how much white space may be between two chunks.
const maxGap = 64

// join makes one span of s and next, which begins in it or soon after it. Between chunks there is nothing but white space, which no
// chunk has: it is a space or line feeds here. It returns otherwise and false if the two do not fit together, which is so while a
// document is published anew, or would be longer than MaxParent.
func (s span) join(next, otherwise span) (span, bool) {
	overlap := s.end - next.start
	switch {
	case !s.whole(), !next.whole(), next.start < s.start, next.end < s.end, overlap < -maxGap, next.end-s.start > MaxParent:
		return otherwise, false
	case overlap == -1:
		return span{s.start, next.end, s.text + " " + next.text}, true
	case overlap < 0:
		return span{s.start, next.end, s.text + strings.Repeat("\n", -overlap) + next.text}, true
	case !strings.HasPrefix(next.text, s.text[len(s.text)-overlap:]):
		return otherwise, false
	}
	return span{s.start, next.end, s.text + next.text[overlap:]}, true
}

// whole reports whether s is there, with as much text as its offsets say.
func (s span) whole() bool { return s.text != "" && len(s.text) == s.end-s.start }
