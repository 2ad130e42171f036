package transport_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestAnswerCollects(t *testing.T) {
	t.Parallel()
	var pieces []string
	answer := transport.Answer{Emit: func(d model.Delta) { pieces = append(pieces, d.Text) }}
	for _, piece := range []string{"a", "", "bc"} {
		if err := answer.Add(piece); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		index               int
		id, name, arguments string
	}{{1, "one", "f", ""}, {0, "zero", "", ""}, {1, "", "", `{"x"`}, {0, "", "g", ""}, {1, "other", "other", `:1}`}} {
		if err := answer.Call(c.index, c.id, c.name, c.arguments); err != nil {
			t.Fatal(err)
		}
	}
	calls, err := answer.Calls()
	want := []model.ToolCall{
		{ID: "one", Name: "f", Arguments: json.RawMessage(`{"x":1}`)}, {ID: "zero", Name: "g", Arguments: json.RawMessage(`{}`)},
	}
	if diff := cmp.Diff(want, calls); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if diff := cmp.Diff([]string{"a", "bc"}, pieces); diff != "" || answer.Text() != "abc" {
		t.Errorf("%q\n%s", answer.Text(), diff)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	mega := strings.Repeat("x", 1<<20)
	for name, add := range map[string]func(*transport.Answer) error{
		"text":      func(a *transport.Answer) error { return a.Add(mega) },
		"arguments": func(a *transport.Answer) error { return a.Call(0, "", "f", mega) },
		"reasoning": func(a *transport.Answer) error { return a.Grow(1 << 20) },
	} {
		var answer transport.Answer
		var err error
		adds := 0
		for ; err == nil && adds < 20; adds++ {
			err = add(&answer)
		}
		if schemas.CodeOf(err) != schemas.MalformedOutput || adds < 16 {
			t.Errorf("%s: %v after %d MB", name, err, adds)
		}
	}
}

func TestNewCall(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		id, tool, arguments string
		want                model.ToolCall
	}{
		"whole":        {"a", "f", `{"x": 1}`, model.ToolCall{ID: "a", Name: "f", Arguments: json.RawMessage(`{"x": 1}`)}},
		"no arguments": {"a", "f", " ", model.ToolCall{ID: "a", Name: "f", Arguments: json.RawMessage(`{}`)}},
		"null":         {"a", "f", "null", model.ToolCall{ID: "a", Name: "f", Arguments: json.RawMessage(`{}`)}},
		"no id":        {"", "f", "{}", model.ToolCall{ID: "call_3_f", Name: "f", Arguments: json.RawMessage(`{}`)}},
		"no name":      {"a", "", "{}", model.ToolCall{}},
		"cut":          {"a", "f", `{"x":`, model.ToolCall{}},
		"two":          {"a", "f", `{} {}`, model.ToolCall{}},
		"a list":       {"a", "f", `[]`, model.ToolCall{}},
	} {
		got, err := transport.NewCall(2, test.id, test.tool, test.arguments)
		bad := test.want.Name == ""
		if diff := cmp.Diff(test.want, got); diff != "" || bad != (schemas.CodeOf(err) == schemas.MalformedOutput && err != nil) {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}
