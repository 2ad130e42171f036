package model_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// quiet is a driver that knows no log probabilities, and says them unasked.
type quiet struct{ model.Driver }

func (quiet) Generate(context.Context, model.Request, model.Emit) (model.Response, error) {
	return model.Response{Text: "Hi.", Finish: model.FinishStop, LogProbs: []float64{-0.123456, -0.00001}}, nil
}

// talking is one that gives them.
type talking struct{ quiet }

func (talking) LogProbs(string) bool { return true }

// TestLogProbs are kept to four decimals, and only where they were asked for; that they are is a part of a call's identity, and its absence is not.
func TestLogProbs(t *testing.T) {
	t.Parallel()
	records := &modeltest.Memory{}
	p := &model.Provider{Name: "fake", Driver: talking{}, Records: records}
	call := model.Call{Tenant: "acme", Attempt: "run/a/1", Request: model.Request{Model: "m", Messages: []model.Message{{Role: model.RoleUser, Text: "Hello"}}}}
	plain, err := p.Pay(t.Context(), call)
	if err != nil || plain.LogProbs != nil {
		t.Fatalf("%+v, %v", plain, err)
	}
	if want := "f8f974ca582a0d9793372f2c963283a3189b30b5f8f71d648f2f5a1c7481c128"; plain.Identity != want {
		t.Errorf("a call that asks for none is %s, and was %s", plain.Identity, want)
	}
	call.Request.LogProbs = true
	asked, err := p.Pay(t.Context(), call)
	if diff := cmp.Diff([]float64{-0.1235, 0}, asked.LogProbs); err != nil || diff != "" || asked.Recorded || asked.Identity == plain.Identity {
		t.Errorf("%+v, %v: %s", asked, err, diff)
	}
	again, err := p.Pay(t.Context(), call)
	if diff := cmp.Diff(asked.Response, again.Response); err != nil || diff != "" || !again.Recorded {
		t.Errorf("%+v, %v: %s", again, err, diff)
	}
	silent := &model.Provider{Name: "fake", Driver: quiet{}}
	_, paid := silent.Pay(t.Context(), call)
	_, err = silent.BatchRow(call)
	for _, err := range []error{paid, err} {
		if schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(schemas.SafeMessage(err), "model m") {
			t.Errorf("%v", err)
		}
	}
}
