package modeltest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// givesLogProbs asks for log probabilities, whole and streamed. A driver that has none is not asked. The server gives none unasked.
func givesLogProbs(t *testing.T, target Target) {
	p := &model.Provider{Name: "target", Driver: target.Driver}
	call := model.Call{Tenant: "acme", Attempt: "run/answer/1", Request: askRequest(target)}
	plain, err := target.Driver.Generate(t.Context(), call.Request, nil)
	if err != nil || plain.LogProbs != nil {
		t.Errorf("not asked for: %v, %v", plain.LogProbs, err)
	}
	call.Request.LogProbs = true
	whole, err := p.Pay(t.Context(), call)
	if !p.LogProbs(target.Generator) {
		if schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("%v, want code invalid", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(whole.LogProbs) == 0 || slices.Max(whole.LogProbs) > 0 || whole.Text != plain.Text {
		t.Errorf("%v of %q", whole.LogProbs, whole.Text)
	}
	call.Emit = func(model.Delta) {}
	streamed, err := p.Pay(t.Context(), call)
	if diff := cmp.Diff(whole.LogProbs, streamed.LogProbs); diff != "" || err != nil {
		t.Errorf("streamed: %v, -whole +streamed:\n%s", err, diff)
	}
}
