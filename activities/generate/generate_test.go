package generate_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/generate"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// speaker answers with text, counts calls, and refuses schemas on request.
type speaker struct {
	text   string
	plain  bool
	calls  int
	prompt string
}

func (s *speaker) Embed(context.Context, model.EmbedRequest) (model.EmbedResponse, error) {
	return model.EmbedResponse{}, schemas.Errorf(schemas.NotFound, "it only speaks")
}

func (s *speaker) Limits(string) (model.Limits, error) { return model.Limits{}, nil }

func (s *speaker) Generate(_ context.Context, in model.Request) (model.Response, error) {
	s.calls++
	if s.plain && in.Schema != nil {
		return model.Response{}, schemas.Wrap(schemas.Invalid, model.ErrSchemaUnsupported, "no schemas here")
	}
	s.prompt = in.Messages[len(in.Messages)-1].Text
	return model.Response{Text: s.text, Model: in.Model, Finish: model.FinishStop, Usage: schemas.Usage{InputTokens: 10, OutputTokens: 2}}, nil
}

func setup(t *testing.T, s *speaker, hits ...schemas.Hit) (*generate.Activities, schemas.GenerateRequest) {
	t.Helper()
	models, err := model.NewSet(&model.Provider{Name: "say", Driver: s, Records: &modeltest.Memory{}})
	if err != nil {
		t.Fatal(err)
	}
	a := &generate.Activities{Store: blob.New(&memblob.Driver{}), Models: models}
	ref, err := blob.PutJSON(t.Context(), a.Store, "tenants/default/hits", hits)
	if err != nil {
		t.Fatal(err)
	}
	return a, schemas.GenerateRequest{
		Tenant: "default", RunID: "run-1", Step: "generate", Question: schemas.Content{Text: "What colour are apples?"},
		Context: []schemas.Ref{ref, ref}, Settings: schemas.GenerateSettings{Model: "say/it"},
	}
}

func answer(t *testing.T, a *generate.Activities, in schemas.GenerateRequest) schemas.Answer {
	t.Helper()
	out, err := a.Generate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := blob.GetJSON[schemas.Answer](t.Context(), a.Store, out.Answer)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

var apples = schemas.Hit{Document: "a.md", Section: "Fruit", Chunk: "c1", Text: "Apples are red. Bananas are yellow."}

func TestCitationsAreVerified(t *testing.T) {
	t.Parallel()
	s := &speaker{text: `{"answer":"They are red [1]. Pears are blue [2].","citations":[{"index":1,"quote":"Apples are red."},{"index":2,"quote":"Pears are blue."},{"index":1,"quote":"Apples are purple and cost nothing."}]}`}
	a, in := setup(t, s, apples)
	got := answer(t, a, in)
	want := []schemas.Citation{{Index: 1, Document: "a.md", Section: "Fruit", Chunk: "c1", Quote: "Apples are red"}} // without the full stop, which the comparison folds away
	if diff := cmp.Diff(want, got.Citations[:1]); diff != "" {
		t.Error(diff)
	}
	for _, c := range got.Citations {
		if !strings.Contains(apples.Text, c.Quote) || c.Index != 1 {
			t.Errorf("an unproven citation: %+v", c)
		}
	}
	if got.Dropped == 0 || strings.Contains(got.Text, "[2]") {
		t.Errorf("a citation of nothing stayed: %+v", got)
	}
}

func TestARepeatedCallIsReadBack(t *testing.T) {
	t.Parallel()
	s := &speaker{text: `{"answer":"Red [1].","citations":[{"index":1,"quote":"Apples are red."}]}`}
	a, in := setup(t, s, apples)
	first := answer(t, a, in)
	second := answer(t, a, in)
	if diff := cmp.Diff(first, second); diff != "" || s.calls != 1 {
		t.Errorf("%d calls, %s", s.calls, diff)
	}
	in.RunID = "run-2"
	if answer(t, a, in); s.calls != 2 {
		t.Errorf("another run was answered from the record of the first: %d calls", s.calls)
	}
}

func TestServersWithoutSchemas(t *testing.T) {
	t.Parallel()
	s := &speaker{text: "Apples are red [1].", plain: true}
	a, in := setup(t, s, apples)
	if got := answer(t, a, in); len(got.Citations) != 1 || !strings.HasPrefix(got.Citations[0].Quote, "Apples are red") {
		t.Errorf("%+v", got)
	}
	in.RunID = "run-2"
	answer(t, a, in)
	if s.calls != 3 {
		t.Errorf("%d calls: the refusal is to be remembered", s.calls)
	}
}

func TestTheContextIsBoundedAndWithoutDoubles(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 6000)
	s := &speaker{text: "Nothing."}
	a, in := setup(t, s, apples, schemas.Hit{Chunk: "c2", Text: long}, schemas.Hit{Chunk: "c3", Text: long}, schemas.Hit{Chunk: "c4", Text: "Short."})
	answer(t, a, in)
	if n := strings.Count(s.prompt, "Apples are red."); n != 1 {
		t.Errorf("the same passage stands %d times in the prompt", n)
	}
	if len(s.prompt) > 40<<10 || !strings.Contains(s.prompt, "Short.") {
		t.Errorf("the prompt has %d bytes", len(s.prompt))
	}
}

func TestFailuresKeepTheirCode(t *testing.T) {
	t.Parallel()
	a, in := setup(t, &speaker{}, apples)
	in.Settings.Model = "nobody/it"
	if _, err := a.Generate(t.Context(), in); schemas.CodeOf(err) != schemas.NotFound {
		t.Errorf("want not_found, got %v", err)
	}
}
