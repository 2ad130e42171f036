package route_test

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/internal/expr"
	"github.com/tenuto-dev/tenuto/activities/internal/route"
	"github.com/tenuto-dev/tenuto/schemas"
)

func when(t *testing.T, src string) route.Condition {
	t.Helper()
	p, err := expr.Condition(src, route.WhenNames())
	if err != nil {
		t.Fatal(err)
	}
	return p.Test
}

func escalate(t *testing.T, src string) route.Condition {
	t.Helper()
	p, err := expr.Condition(src, route.EscalateNames())
	if err != nil {
		t.Fatal(err)
	}
	return p.Test
}

func models(plan []route.Attempt) []string {
	var names []string
	for _, a := range plan {
		names = append(names, a.Model)
	}
	return names
}

func TestConditionsChoose(t *testing.T) {
	t.Parallel()
	r := route.Route{Name: "r", Targets: []route.Target{
		{Model: "german", When: when(t, `input.lang == "de"`)},
		{Model: "private", When: when(t, `run.tenant == "acme" && run.chain.startsWith("qa")`)},
		{Model: "long", When: when(t, `size(input.text) > 5`)},
		{Model: "any", When: when(t, `input.lang != "xx"`)},
	}}
	for name, c := range map[string]struct {
		in   route.Input
		want []string
	}{
		"German":  {route.Input{Input: map[string]any{"lang": "de", "text": ""}}, []string{"german", "any"}},
		"private": {route.Input{Input: map[string]any{"lang": "en", "text": ""}, Tenant: "acme", Chain: "qa-docs"}, []string{"private", "any"}},
		"long":    {route.Input{Input: map[string]any{"lang": "en", "text": "123456"}}, []string{"long", "any"}},
		"none":    {route.Input{Input: map[string]any{"lang": "xx", "text": ""}}, nil},
		"broken":  {route.Input{Input: map[string]any{"text": ""}}, nil},
	} {
		plan, err := route.Plan(r, c.in, "seed")
		if diff := cmp.Diff(c.want, models(plan)); diff != "" || (err != nil) != (c.want == nil) {
			t.Errorf("%s: %v %s", name, err, diff)
		}
		if err != nil && schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWeightsAreKept(t *testing.T) {
	t.Parallel()
	r := route.Route{Targets: []route.Target{{Model: "first"}, {Model: "a", Weight: 6}, {Model: "b", Weight: 3}, {Model: "c", Weight: 1}, {Model: "last"}}}
	const draws = 20_000
	seconds, thirds := map[string]int{}, map[string]int{}
	for i := range draws {
		seed := fmt.Sprint("run/", i)
		plan, err := route.Plan(r, route.Input{}, seed)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := route.Plan(r, route.Input{}, seed); err != nil || !cmp.Equal(plan, again) {
			t.Fatal("the same seed drew another order")
		}
		if plan[0].Model != "first" || plan[4].Model != "last" || len(plan) != 5 {
			t.Fatal(models(plan))
		}
		seconds[plan[1].Model]++
		thirds[plan[2].Model]++
	}
	for model, share := range map[string]float64{"a": 0.6, "b": 0.3, "c": 0.1} {
		if got := float64(seconds[model]) / draws; math.Abs(got-share) > 0.015 {
			t.Errorf("%s was drawn first in %.3f, want %.1f", model, got, share)
		}
	}
	// In the second place b comes after a with 0.6·3/4, and after c with 0.1·3/9.
	if got := float64(thirds["b"]) / draws; math.Abs(got-(0.6*3/4+0.1*3/9)) > 0.015 {
		t.Errorf("b was drawn second in %.3f", got)
	}
}

func TestAnotherTargetMovesNoOther(t *testing.T) {
	t.Parallel()
	two := route.Route{Targets: []route.Target{{Model: "a", Weight: 1}, {Model: "b", Weight: 1}}}
	three := route.Route{Targets: append([]route.Target{{Model: "c", Weight: 1}}, two.Targets...)}
	for i := range 1000 {
		seed := fmt.Sprint(i)
		short, _ := route.Plan(two, route.Input{}, seed)
		long, _ := route.Plan(three, route.Input{}, seed)
		var without []string
		for _, m := range models(long) {
			if m != "c" {
				without = append(without, m)
			}
		}
		if diff := cmp.Diff(models(short), without); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestAModelIsTriedOnce(t *testing.T) {
	t.Parallel()
	r := route.Route{Targets: []route.Target{{Model: "a", When: when(t, "true")}, {Model: "b"}, {Model: "a"}}}
	plan, err := route.Plan(r, route.Input{}, "s")
	if diff := cmp.Diff([]string{"a", "b"}, models(plan)); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestWhatFallsBack(t *testing.T) {
	t.Parallel()
	falls := map[schemas.Code]bool{
		schemas.RateLimited: true, schemas.Unavailable: true, schemas.Deadline: true, schemas.OverBudget: true, schemas.Unauthorized: true,
		schemas.NotFound: true, schemas.MalformedOutput: true,
		schemas.Invalid: false, schemas.Conflict: false, schemas.Internal: false, schemas.Refused: false,
	}
	r := route.Route{Targets: []route.Target{{Model: "a"}, {Model: "b"}}}
	plan, err := route.Plan(r, route.Input{}, "s")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range schemas.Codes() {
		want, known := falls[code]
		next, ok := route.Next(r, plan, []route.Tried{{Attempt: plan[0], Code: code}})
		if !known || ok != want || (ok && next != plan[1]) {
			t.Errorf("after %s: %v %v", code, next, ok)
		}
		if _, ok := route.Next(r, plan, []route.Tried{{Attempt: plan[0], Code: code}, {Attempt: plan[1], Code: code}}); ok {
			t.Errorf("after two %s there is a third", code)
		}
	}
	r.Refusals = true
	if _, ok := route.Next(r, plan, []route.Tried{{Attempt: plan[0], Code: schemas.Refused}}); !ok {
		t.Error("a refusal does not fall back though the route says so")
	}
	if next, ok := route.Next(r, plan, nil); !ok || next != plan[0] {
		t.Error("nothing comes first")
	}
	if _, ok := route.Next(r, plan, []route.Tried{{Attempt: plan[0]}}); ok {
		t.Error("a good answer is not the end")
	}
}

func TestTooLongGoesToALargerContext(t *testing.T) {
	t.Parallel()
	r := route.Route{Targets: []route.Target{
		{Model: "8k", Context: 8_000}, {Model: "4k", Context: 4_000}, {Model: "unknown"}, {Model: "32k", Context: 32_000}, {Model: "128k", Context: 128_000},
	}}
	plan, err := route.Plan(r, route.Input{}, "s")
	if err != nil {
		t.Fatal(err)
	}
	tried := []route.Tried{{Attempt: plan[0], Code: schemas.Invalid, TooLong: true}}
	next, _ := route.Next(r, plan, tried)
	tried = append(tried, route.Tried{Attempt: next, Code: schemas.Unavailable})
	last, _ := route.Next(r, plan, tried)
	if next.Model != "32k" || last.Model != "128k" {
		t.Errorf("%s, then %s", next.Model, last.Model)
	}
	if _, ok := route.Next(r, plan, append(tried, route.Tried{Attempt: last, Code: schemas.Invalid, TooLong: true})); ok {
		t.Error("there is a larger one still")
	}
}

func TestCascade(t *testing.T) {
	t.Parallel()
	r := route.Route{Targets: []route.Target{
		{Model: "cheap", Escalate: escalate(t, `output.confidence < 0.7 || size(output.text) == 0 || finish == "length"`)},
		{Model: "dear"},
	}}
	plan, err := route.Plan(r, route.Input{}, "s")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		out  route.Output
		want bool
	}{
		{route.Output{Output: map[string]any{"confidence": 0.9, "text": "x"}, Finish: "stop"}, false},
		{route.Output{Output: map[string]any{"confidence": 0.5, "text": "x"}, Finish: "stop"}, true},
		{route.Output{Output: map[string]any{"confidence": 1.0, "text": ""}, Finish: "stop"}, true},
		{route.Output{Output: map[string]any{"confidence": 1.0, "text": "x"}, Finish: "length"}, true},
	} {
		got, err := route.Escalates(r, plan[0], route.Input{}, c.out)
		if got != c.want || err != nil {
			t.Errorf("%+v: %v %v", c.out, got, err)
		}
	}
	if got, err := route.Escalates(r, plan[1], route.Input{}, route.Output{}); got || err != nil {
		t.Error("a target without a check escalates")
	}
	if _, err := route.Escalates(r, plan[0], route.Input{}, route.Output{}); schemas.CodeOf(err) != schemas.Invalid {
		t.Error(err)
	}
	cheap := route.Tried{Attempt: plan[0], Escalated: true}
	next, ok := route.Next(r, plan, []route.Tried{cheap})
	if !ok || next.Model != "dear" {
		t.Error(next, ok)
	}
	// The dear one fails: the answer of the cheap one is what there is.
	if got := route.Final(r, []route.Tried{cheap, {Attempt: plan[1], Code: schemas.Unavailable}}); got != 0 {
		t.Error(got)
	}
}

func TestFinal(t *testing.T) {
	t.Parallel()
	var r route.Route
	for name, c := range map[string]struct {
		tried []route.Tried
		want  int
	}{
		"the last answer":         {[]route.Tried{{Escalated: true}, {Escalated: true}}, 1},
		"the soonest":             {[]route.Tried{{Code: schemas.RateLimited, RetryAfter: time.Minute}, {Code: schemas.Unavailable, RetryAfter: time.Second}, {Code: schemas.Unauthorized}}, 1},
		"nothing to repeat":       {[]route.Tried{{Code: schemas.Unauthorized}, {Code: schemas.NotFound}}, 1},
		"what ends by itself":     {[]route.Tried{{Code: schemas.Unavailable}, {Code: schemas.Invalid}}, 1},
		"too long for all":        {[]route.Tried{{Code: schemas.Invalid, TooLong: true}}, 0},
		"refused after a failure": {[]route.Tried{{Code: schemas.Unavailable}, {Code: schemas.Refused}}, 1},
	} {
		if got := route.Final(r, c.tried); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	always := func(map[string]any) (bool, error) { return true, nil }
	for name, c := range map[string]struct {
		targets []route.Target
		ok      bool
	}{
		"good":           {[]route.Target{{Model: "a"}, {Model: "b", Weight: 2}}, true},
		"none":           {nil, false},
		"no model":       {[]route.Target{{}}, false},
		"weight":         {[]route.Target{{Model: "a", Weight: -1}}, false},
		"twice":          {[]route.Target{{Model: "a"}, {Model: "a"}}, false},
		"twice, at will": {[]route.Target{{Model: "a", When: always}, {Model: "b"}, {Model: "a"}}, true},
	} {
		if err := (route.Route{Targets: c.targets}).Check(); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzPlan(f *testing.F) {
	f.Add("seed", 3, 1, 0, byte(5))
	f.Fuzz(func(t *testing.T, seed string, a, b, c int, fails byte) {
		failing := func(vars map[string]any) (bool, error) {
			if fails&1 == 1 {
				return false, errors.New("x")
			}
			return fails&2 == 0, nil
		}
		r := route.Route{Targets: []route.Target{{Model: "a", Weight: a}, {Model: "b", Weight: b, When: failing}, {Model: "c", Weight: c}}}
		plan, err := route.Plan(r, route.Input{}, seed)
		if (err != nil) != (fails&1 == 1) {
			t.Fatal(err)
		}
		var tried []route.Tried
		for next, ok := route.Next(r, plan, tried); ok; next, ok = route.Next(r, plan, tried) {
			tried = append(tried, route.Tried{Attempt: next, Code: schemas.Unavailable})
		}
		if len(tried) != len(plan) {
			t.Errorf("tried %d of %d", len(tried), len(plan))
		}
	})
}
