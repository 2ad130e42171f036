package vector

import (
	"cmp"
	"context"
	"slices"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Listing is the mode of a query that searches for nothing: a driver returns what the filter matches and has an ordinal from First to
// Last, in any order, with score 0. Of a document with more than 10,000 chunks it may leave some out. Only Passage asks it.
const Listing schemas.SearchMode = "listing"

// Passage is a run of chunks of one document.
type Passage struct {
	Source   string
	Document string // exact
	First    int    // ordinal
	Last     int    // ordinal, included
}

// Passage returns the chunks of a passage that exist, by ordinal, without their vectors and terms. While a document is published anew
// there may be two of one ordinal. Codes: invalid, not_found (no such class or tenant), unauthorized, unavailable, deadline.
func (x *Index) Passage(ctx context.Context, target Target, p Passage) ([]Object, error) {
	if err := checkPassage(target, p); err != nil {
		return nil, err
	}
	found, err := x.driver.Search(ctx, target, Query{
		Mode: Listing, Limit: maxLimit, Filter: &schemas.Filter{Source: p.Source, Document: p.Document}, First: p.First, Last: p.Last,
	})
	if err != nil {
		return nil, coded(err, "reading a passage from %s", target.Class)
	}
	var objects []Object
	for _, f := range found {
		if f.Source == p.Source && f.Document == p.Document && f.Ordinal >= p.First && f.Ordinal <= p.Last { // a filter may read a wildcard
			objects = append(objects, f.Object)
		}
	}
	slices.SortFunc(objects, func(a, b Object) int { return cmp.Or(cmp.Compare(a.Ordinal, b.Ordinal), cmp.Compare(a.ID, b.ID)) })
	return objects, nil
}

func checkPassage(target Target, p Passage) error {
	if err := checkTarget(target); err != nil {
		return err
	}
	switch {
	case p.Source == "" || p.Document == "" || !utf8.ValidString(p.Source) || !utf8.ValidString(p.Document):
		return schemas.Errorf(schemas.Invalid, "a passage needs the names of a source and a document, in UTF-8")
	case p.First < 0 || p.Last < p.First || p.Last-p.First >= maxIDs:
		return schemas.Errorf(schemas.Invalid, "chunks %d to %d: ask for 1 to %d of them, counted from 0", p.First, p.Last, maxIDs)
	}
	return nil
}
