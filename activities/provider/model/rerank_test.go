package model_test

import (
	"context"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

type reranker struct {
	driver
	order []model.Ranked
}

func (r *reranker) Rerank(context.Context, model.RerankRequest) (model.RerankResponse, error) {
	r.calls.Add(1)
	return model.RerankResponse{Results: r.order}, r.err
}

func TestRerank(t *testing.T) {
	t.Parallel()
	three := model.RerankRequest{Model: "m", Query: "q", Documents: []string{"a", "b", "c"}}
	top := three
	top.Top = 2
	good := []model.Ranked{{Index: 2, Score: 0.9}, {Index: 0, Score: 0.1}, {Index: 1, Score: 0.1}}
	for name, test := range map[string]struct {
		request model.RerankRequest
		order   []model.Ranked
		err     error
		code    schemas.Code
		calls   int32
	}{
		"all":           {three, good, nil, "", 1},
		"top":           {top, good[:2], nil, "", 1},
		"too few":       {three, good[:2], nil, schemas.MalformedOutput, 1},
		"too many":      {top, good, nil, schemas.MalformedOutput, 1},
		"twice":         {top, []model.Ranked{{Index: 1, Score: 1}, {Index: 1}}, nil, schemas.MalformedOutput, 1},
		"beyond":        {top, []model.Ranked{{Index: 3, Score: 1}, {Index: 1}}, nil, schemas.MalformedOutput, 1},
		"rising":        {top, []model.Ranked{{Index: 0, Score: 0.1}, {Index: 1, Score: 0.2}}, nil, schemas.MalformedOutput, 1},
		"no number":     {top, []model.Ranked{{Index: 0, Score: math.NaN()}, {Index: 1}}, nil, schemas.MalformedOutput, 1},
		"driver's code": {three, good, schemas.Errorf(schemas.RateLimited, "slow"), schemas.RateLimited, 1},
		"no model":      {model.RerankRequest{Query: "q", Documents: []string{"a"}}, good, nil, schemas.Invalid, 0},
		"no query":      {model.RerankRequest{Model: "m", Documents: []string{"a"}}, good, nil, schemas.Invalid, 0},
		"no document":   {model.RerankRequest{Model: "m", Query: "q"}, good, nil, schemas.Invalid, 0},
		"empty":         {model.RerankRequest{Model: "m", Query: "q", Documents: []string{""}}, good, nil, schemas.Invalid, 0},
		"invalid UTF-8": {model.RerankRequest{Model: "m", Query: "q", Documents: []string{"\xff"}}, good, nil, schemas.Invalid, 0},
		"negative top":  {model.RerankRequest{Model: "m", Query: "q", Documents: []string{"a"}, Top: -1}, good, nil, schemas.Invalid, 0},
	} {
		d := &reranker{order: test.order}
		d.err = test.err
		resp, err := (&model.Provider{Name: "p", Driver: d}).Rerank(t.Context(), "acme", test.request)
		if (test.code == "") != (err == nil) || err != nil && schemas.CodeOf(err) != test.code || d.calls.Load() != test.calls {
			t.Errorf("%s: %v after %d calls, want code %q", name, err, d.calls.Load(), test.code)
		}
		if err == nil && !cmp.Equal(test.order, resp.Results) {
			t.Errorf("%s: %+v", name, resp)
		}
	}
	if _, err := (&model.Provider{Name: "p", Driver: &driver{}}).Rerank(t.Context(), "acme", three); schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("a driver without a reranker: %v", err)
	}
	if _, err := (&model.Provider{Name: "p", Driver: &reranker{}}).Rerank(t.Context(), "A/B", three); schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("a tenant that is none: %v", err)
	}
}
