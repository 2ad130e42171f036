package vector_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/activities/provider/vector/memvector"
	"github.com/tenuto-dev/tenuto/schemas"
)

var here = vector.Target{Class: "Docs_v1", Tenant: "alice"}

func chunk(n int) vector.Object {
	return vector.Object{
		ID:       schemas.ChunkID("docs", "s", fmt.Sprint(n), "r", "", 0),
		Document: fmt.Sprint(n), Terms: "word", ChunkHash: "hash", Vector: []float32{1, float32(n)},
	}
}

// spy counts what reaches the driver and can be told to fail.
type spy struct {
	vector.Driver
	sizes []int
	fail  func(batch []vector.Object) error
}

func (s *spy) Upsert(ctx context.Context, target vector.Target, objects []vector.Object) error {
	s.sizes = append(s.sizes, len(objects))
	if s.fail != nil {
		if err := s.fail(objects); err != nil {
			return err
		}
	}
	return s.Driver.Upsert(ctx, target, objects)
}

func setup(t *testing.T) (*vector.Index, *spy) {
	t.Helper()
	driver := &spy{Driver: &memvector.Driver{}}
	index := vector.New(driver)
	if err := index.Ensure(t.Context(), vector.Spec{Class: here.Class, Tenant: here.Tenant}); err != nil {
		t.Fatal(err)
	}
	return index, driver
}

func TestUpsertSplits(t *testing.T) {
	t.Parallel()
	large := func(n int) vector.Object {
		o := chunk(n)
		o.Text = strings.Repeat("x", 5<<20)
		return o
	}
	huge := chunk(1000)
	huge.Metadata = map[string][]string{"k": {strings.Repeat("x", 9<<20)}}
	cases := map[string]struct {
		objects []vector.Object
		want    []int
	}{
		"none":               {nil, nil},
		"by count":           {sequence(600), []int{256, 256, 88}},
		"exactly one batch":  {sequence(256), []int{256}},
		"by size":            {[]vector.Object{large(1), large(2), chunk(3), large(4)}, []int{1, 2, 1}},
		"one that is larger": {[]vector.Object{chunk(1), huge, chunk(2)}, []int{1, 1, 1}},
		"the same twice":     {[]vector.Object{chunk(1), chunk(2), chunk(1)}, []int{2}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			index, driver := setup(t)
			if err := index.Upsert(t.Context(), here, c.objects); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, driver.sizes); diff != "" {
				t.Errorf("batches (-want +got):\n%s", diff)
			}
		})
	}
}

func sequence(n int) []vector.Object {
	objects := make([]vector.Object, n)
	for i := range objects {
		objects[i] = chunk(i)
	}
	return objects
}

func TestUpsertReportsEveryRefusal(t *testing.T) {
	t.Parallel()
	index, driver := setup(t)
	busy := schemas.Errorf(schemas.Unavailable, "busy")
	full := schemas.Errorf(schemas.OverBudget, "full")
	driver.fail = func(batch []vector.Object) error {
		reason := busy
		if len(batch) < 256 {
			reason = full
		}
		return vector.Reject([]vector.Failure{{ID: batch[0].ID, Reason: reason}}, len(batch))
	}
	objects := sequence(300)
	err := index.Upsert(t.Context(), here, objects)
	var rejected *vector.RejectedError
	if !errors.As(err, &rejected) || len(driver.sizes) != 2 {
		t.Fatalf("got %v after %v batches, want both batches tried and a *RejectedError", err, driver.sizes)
	}
	got := []string{rejected.Failures[0].ID, rejected.Failures[1].ID}
	if diff := cmp.Diff([]string{objects[0].ID, objects[256].ID}, got); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
	if code := schemas.CodeOf(err); code != schemas.OverBudget {
		t.Errorf("code %s, want that of the failure that does not heal, %s", code, schemas.OverBudget)
	}
	if want := "2 of 300 chunks could not be written to the search index"; schemas.SafeMessage(err) != want {
		t.Errorf("message %q, want %q", schemas.SafeMessage(err), want)
	}
}

func TestErrorsHaveCodes(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		fail error
		want schemas.Code
	}{
		"coded":    {fmt.Errorf("around: %w", schemas.Errorf(schemas.RateLimited, "slow down")), schemas.RateLimited},
		"deadline": {fmt.Errorf("around: %w", context.DeadlineExceeded), schemas.Deadline},
		"unknown":  {errors.New("boom"), schemas.Internal},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			index, driver := setup(t)
			driver.fail = func([]vector.Object) error { return c.fail }
			err := index.Upsert(t.Context(), here, sequence(1))
			if schemas.CodeOf(err) != c.want || !errors.Is(err, errors.Unwrap(c.fail)) && !errors.Is(err, c.fail) {
				t.Errorf("got %v with code %s, want %s", err, schemas.CodeOf(err), c.want)
			}
			if strings.Contains(schemas.SafeMessage(err), "boom") {
				t.Errorf("the cause is in the safe message %q", schemas.SafeMessage(err))
			}
		})
	}
}

func TestCancellationStaysWhatItIs(t *testing.T) {
	t.Parallel()
	index, driver := setup(t)
	driver.fail = func([]vector.Object) error { return context.Canceled }
	var coded *schemas.Error
	if err := index.Upsert(t.Context(), here, sequence(1)); !errors.Is(err, context.Canceled) || errors.As(err, &coded) {
		t.Errorf("got %v, want context.Canceled without a code", err)
	}
}

func TestRefusesBadObjects(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*vector.Object){
		"no id":               func(o *vector.Object) { o.ID = "" },
		"id in upper case":    func(o *vector.Object) { o.ID = strings.ToUpper(o.ID) },
		"id with more":        func(o *vector.Object) { o.ID += "\n" },
		"no vector":           func(o *vector.Object) { o.Vector = nil },
		"other dimensions":    func(o *vector.Object) { o.Vector = []float32{1} },
		"not a number":        func(o *vector.Object) { o.Vector = []float32{1, float32(math.NaN())} },
		"infinite":            func(o *vector.Object) { o.Vector = []float32{1, float32(math.Inf(-1))} },
		"text not UTF-8":      func(o *vector.Object) { o.Text = "a\xff" },
		"terms not UTF-8":     func(o *vector.Object) { o.Terms = "a\xff" },
		"key not UTF-8":       func(o *vector.Object) { o.Metadata = map[string][]string{"\xff": {"v"}} },
		"value not UTF-8":     func(o *vector.Object) { o.Metadata = map[string][]string{"k": {"v", "\xff"}} },
		"too many dimensions": func(o *vector.Object) { o.Vector = make([]float32, 65_536) },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			index, driver := setup(t)
			objects := sequence(3)
			spoil(&objects[1])
			err := index.Upsert(t.Context(), here, objects)
			if err == nil || schemas.CodeOf(err) != schemas.Invalid || len(driver.sizes) != 0 {
				t.Errorf("got %v, %d batches reached the driver; want invalid, and none", err, len(driver.sizes))
			}
		})
	}
}

func TestRefusesBadTargets(t *testing.T) {
	t.Parallel()
	targets := map[string]vector.Target{
		"no class":            {Class: "", Tenant: "alice"},
		"small letter":        {Class: "docs", Tenant: "alice"},
		"hyphen":              {Class: "Docs-v1", Tenant: "alice"},
		"path":                {Class: "Docs/../Other", Tenant: "alice"},
		"query":               {Class: "Docs?x=y", Tenant: "alice"},
		"GraphQL":             {Class: "Docs(tenant:\"bob\")", Tenant: "alice"},
		"line":                {Class: "Docs\n", Tenant: "alice"},
		"too long":            {Class: strings.Repeat("D", 256), Tenant: "alice"},
		"no tenant":           {Class: "Docs", Tenant: ""},
		"tenant with path":    {Class: "Docs", Tenant: "../bob"},
		"tenant with quote":   {Class: "Docs", Tenant: `alice") {`},
		"tenant with newline": {Class: "Docs", Tenant: "alice\n"},
		"tenant too long":     {Class: "Docs", Tenant: strings.Repeat("a", 65)},
	}
	for name, target := range targets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			index := vector.New(nil) // a call that gets through panics
			ctx := t.Context()
			_, searched := index.Search(ctx, target, vector.Query{Mode: schemas.Keyword, Terms: "x", Limit: 1})
			_, fetched := index.Fetch(ctx, target, []string{chunk(1).ID})
			_, deleted := index.Delete(ctx, target, vector.Selection{All: true})
			_, some := index.Delete(ctx, target, vector.Selection{IDs: []string{chunk(1).ID}})
			_, status := index.Status(ctx, target)
			ensured := index.Ensure(ctx, vector.Spec{Class: target.Class, Tenant: target.Tenant})
			for _, err := range []error{searched, fetched, deleted, some, status, ensured, index.Upsert(ctx, target, sequence(1))} {
				if err == nil || schemas.CodeOf(err) != schemas.Invalid {
					t.Errorf("got %v, want invalid", err)
				}
			}
		})
	}
}

func TestRefusesBadQueries(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*vector.Query){
		"no mode":          func(q *vector.Query) { q.Mode = "" },
		"unknown mode":     func(q *vector.Query) { q.Mode = "fuzzy" },
		"no limit":         func(q *vector.Query) { q.Limit = 0 },
		"negative limit":   func(q *vector.Query) { q.Limit = -1 },
		"too high a limit": func(q *vector.Query) { q.Limit = 10_001 },
		"alpha below":      func(q *vector.Query) { q.Alpha = -0.1 },
		"alpha above":      func(q *vector.Query) { q.Alpha = 1.1 },
		"alpha no number":  func(q *vector.Query) { q.Alpha = math.NaN() },
		"no vector":        func(q *vector.Query) { q.Vector = nil },
		"vector no number": func(q *vector.Query) { q.Vector = []float32{float32(math.NaN())} },
		"terms not UTF-8":  func(q *vector.Query) { q.Terms = "\xff" },
		"filter not UTF-8": func(q *vector.Query) { q.Filter = &schemas.Filter{Source: "\xff"} },
		"key not UTF-8":    func(q *vector.Query) { q.Filter = &schemas.Filter{Metadata: map[string][]string{"\xff": {"v"}}} },
		"no value":         func(q *vector.Query) { q.Filter = &schemas.Filter{Metadata: map[string][]string{"k": {}}} },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			query := vector.Query{Mode: schemas.Hybrid, Terms: "word", Vector: []float32{1, 0}, Alpha: 0.5, Limit: 10}
			spoil(&query)
			_, err := vector.New(nil).Search(t.Context(), here, query)
			if err == nil || schemas.CodeOf(err) != schemas.Invalid {
				t.Errorf("got %v, want invalid", err)
			}
		})
	}
}

func TestRefusesBadSpecs(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]vector.Spec{
		"alias":      {Alias: "docs x", Class: "Docs_v1", Tenant: "alice"},
		"k1":         {Class: "Docs_v1", Tenant: "alice", BM25: vector.BM25{K1: -1}},
		"k1 no real": {Class: "Docs_v1", Tenant: "alice", BM25: vector.BM25{K1: math.NaN()}},
		"b":          {Class: "Docs_v1", Tenant: "alice", BM25: vector.BM25{K1: 1, B: 1.5}},
	} {
		if err := vector.New(nil).Ensure(t.Context(), spec); err == nil || schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("%s: got %v, want invalid", name, err)
		}
	}
}

func TestPassagesAreChecked(t *testing.T) {
	t.Parallel()
	index, _ := setup(t)
	for name, p := range map[string]vector.Passage{
		"no source":   {Document: "d"},
		"no document": {Source: "s"},
		"not UTF-8":   {Source: "s", Document: "\xff"},
		"negative":    {Source: "s", Document: "d", First: -1},
		"backwards":   {Source: "s", Document: "d", First: 2, Last: 1},
		"too many":    {Source: "s", Document: "d", Last: 1000},
	} {
		if _, err := index.Passage(t.Context(), here, p); err == nil || schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := index.Search(t.Context(), here, vector.Query{Mode: vector.Listing, Limit: 1})
	if err == nil || schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("a search in the mode that only passages have: %v", err)
	}
}
