package vector

import (
	"math"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/schemas/weaviate"
)

// Names as Weaviate takes them: https://docs.weaviate.io/weaviate/config-refs/collections and, for tenants,
// https://docs.weaviate.io/weaviate/manage-collections/multi-tenancy. They also hold nothing that a query language could read.
var (
	classPattern  = regexp.MustCompile(`^[A-Z][A-Za-z0-9_]{0,254}$`)
	tenantPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	idPattern     = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

const (
	maxLimit      = 10_000 // results of one query: Weaviate's QUERY_MAXIMUM_RESULTS
	maxDimensions = 65_535 // of a vector
)

func withDefaults(spec Spec) Spec {
	if spec.BM25 == (BM25{}) {
		spec.BM25 = BM25{K1: weaviate.K1, B: weaviate.B}
	}
	return spec
}

func checkSpec(spec Spec) error {
	if err := checkTarget(Target{Class: spec.Class, Tenant: spec.Tenant}); err != nil {
		return err
	}
	if spec.Alias != "" && !classPattern.MatchString(spec.Alias) {
		return schemas.Errorf(schemas.Invalid, "the alias %q cannot name an index: %s", clip(spec.Alias), classRule)
	}
	if !(spec.BM25.K1 >= 0 && spec.BM25.B >= 0 && spec.BM25.B <= 1 && !math.IsInf(spec.BM25.K1, 1)) {
		return schemas.Errorf(schemas.Invalid, "BM25 with k1 %v and b %v: k1 is 0 or more, b from 0 to 1", spec.BM25.K1, spec.BM25.B)
	}
	return nil
}

const classRule = "start with a capital letter and use at most 255 letters, digits and underscores"

func checkTarget(target Target) error {
	if !classPattern.MatchString(target.Class) {
		return schemas.Errorf(schemas.Invalid, "the class %q cannot name an index: %s", clip(target.Class), classRule)
	}
	if !tenantPattern.MatchString(target.Tenant) {
		return schemas.Errorf(schemas.Invalid, "tenant %q: use 1 to 64 letters, digits, hyphens and underscores", clip(target.Tenant))
	}
	return nil
}

func checkIDs(target Target, ids []string) error {
	if err := checkTarget(target); err != nil {
		return err
	}
	for _, id := range ids {
		if !idPattern.MatchString(id) {
			return schemas.Errorf(schemas.Invalid, "chunk id %q is not a UUID in lower case", clip(id))
		}
	}
	return nil
}

func checkObjects(objects []Object) error {
	for _, o := range objects {
		if !idPattern.MatchString(o.ID) {
			return schemas.Errorf(schemas.Invalid, "chunk id %q is not a UUID in lower case", clip(o.ID))
		}
		if err := checkVector(o.Vector); err != nil {
			return schemas.Wrap(schemas.Invalid, err, "chunk %s cannot be indexed: %s", o.ID, schemas.SafeMessage(err))
		}
		if len(o.Vector) != len(objects[0].Vector) {
			return schemas.Errorf(schemas.Invalid, "chunk %s has a vector of %d dimensions where others have %d",
				o.ID, len(o.Vector), len(objects[0].Vector))
		}
		if field := invalidText(o); field != "" {
			return schemas.Errorf(schemas.Invalid, "chunk %s: its %s is not valid UTF-8", o.ID, field)
		}
	}
	return nil
}

// checkVector refuses what would spoil an index: one NaN in a graph makes all comparisons with it false.
func checkVector(vector []float32) error {
	if len(vector) == 0 || len(vector) > maxDimensions {
		return schemas.Errorf(schemas.Invalid, "its vector has %d dimensions, and 1 to %d can be stored", len(vector), maxDimensions)
	}
	for _, v := range vector {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return schemas.Errorf(schemas.Invalid, "its vector holds a value that is no number")
		}
	}
	return nil
}

// invalidText names the first property of o that is not UTF-8: protobuf would refuse the whole batch for it.
func invalidText(o Object) string {
	fields := []struct{ name, value string }{
		{"document", o.Document},
		{"source", o.Source},
		{"title", o.Title},
		{"section", o.Section},
		{"text", o.Text},
		{"terms", o.Terms},
		{"chunk hash", o.ChunkHash},
	}
	for _, f := range fields {
		if !utf8.ValidString(f.value) {
			return f.name
		}
	}
	if !validMetadata(o.Metadata) {
		return "metadata"
	}
	return ""
}

func validMetadata(metadata map[string][]string) bool {
	for key, values := range metadata {
		if !utf8.ValidString(key) || slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }) {
			return false
		}
	}
	return true
}

func checkQuery(target Target, q Query) error {
	if err := checkTarget(target); err != nil {
		return err
	}
	switch {
	case q.Mode != schemas.Hybrid && q.Mode != schemas.Vector && q.Mode != schemas.Keyword:
		return schemas.Errorf(schemas.Invalid, "search mode %q: use hybrid, vector or keyword", clip(string(q.Mode)))
	case q.Limit < 1 || q.Limit > maxLimit:
		return schemas.Errorf(schemas.Invalid, "limit %d: choose 1 to %d", q.Limit, maxLimit)
	case !(q.Alpha >= 0 && q.Alpha <= 1):
		return schemas.Errorf(schemas.Invalid, "alpha %v: the weight of the vector is from 0 to 1", q.Alpha)
	case !utf8.ValidString(q.Terms):
		return schemas.Errorf(schemas.Invalid, "the query is not valid UTF-8")
	}
	if err := checkFilter(q.Filter); err != nil || q.Mode == schemas.Keyword {
		return err
	}
	if err := checkVector(q.Vector); err != nil {
		return schemas.Wrap(schemas.Invalid, err, "the query cannot be searched for by vector: %s", schemas.SafeMessage(err))
	}
	return nil
}

func checkFilter(f *schemas.Filter) error {
	if f == nil {
		return nil
	}
	if !utf8.ValidString(f.Source) || !utf8.ValidString(f.Document) || !validMetadata(f.Metadata) {
		return schemas.Errorf(schemas.Invalid, "the filter is not valid UTF-8")
	}
	for key, values := range f.Metadata {
		if len(values) == 0 {
			return schemas.Errorf(schemas.Invalid, "the filter for metadata %q names no value", clip(key))
		}
	}
	return nil
}

func clip(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}
