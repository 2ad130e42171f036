package evaluate

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestMessagesOf(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		input, system string
		want          []message
		fails         string
	}{
		"text":            {"Say hello", "", []message{{Role: "user", Text: "Say hello"}}, ""},
		"instructions":    {"Say hello", "Be brief", []message{{Role: "system", Text: "Be brief"}, {Role: "user", Text: "Say hello"}}, ""},
		"no chat":         {`["a", "b"]`, "", []message{{Role: "user", Text: `["a", "b"]`}}, ""},
		"a list of facts": {`[{"fact": 1}]`, "", []message{{Role: "user", Text: `[{"fact": 1}]`}}, ""},
		"chat": {
			` [{"role": "developer", "content": "Be brief"}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]`, "",
			[]message{{Role: "system", Text: "Be brief"}, {Role: "user", Text: "Hi"}, {Role: "assistant", Text: "Yes?"}},
			"",
		},
		"pictures": {
			`[{"role": "user", "content": [{"type": "text", "text": "What is "}, {"type": "input_text", "text": "this?"},
			{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, {"type": "input_image", "image_url": "data:image/png;base64,AA=="}]}]`, "",
			[]message{{Role: "user", Text: "What is this?", Media: []string{"https://example.com/a.png", "data:image/png;base64,AA=="}}},
			"",
		},
		"no role":      {`[{"role": "user", "content": "a"}, {"content": "b"}]`, "", nil, "message 2 of the prompt has no role"},
		"bad content":  {`[{"role": "user", "content": 5}]`, "", nil, "message 1 of the prompt: its content must be text or a list of parts"},
		"another part": {`[{"role": "user", "content": [{"type": "audio"}]}]`, "", nil, `a part of type "audio" is not sent`},
		"no url":       {`[{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]`, "", nil, "image_url has no url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := messagesOf(test.input, test.system)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if (err != nil) != (test.fails != "") || err != nil && (schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(schemas.SafeMessage(err), test.fails)) {
				t.Errorf("error %v, want %q", err, test.fails)
			}
		})
	}
}

func TestSaid(t *testing.T) {
	t.Parallel()
	for output, want := range map[string]string{
		`"plain"`:                            `"plain"`,
		`{"text":"a"}`:                       `"a"`,
		`{"text":{"b":1}}`:                   `{"text":{"b":1}}`,
		`{"text":"a","more":1}`:              `{"text":"a","more":1}`,
		`{"answer":"a","citations":[]}`:      `"a"`,
		`{"answer":"a"}`:                     `{"answer":"a"}`,
		`{"answer":["a"],"citations":["x"]}`: `{"answer":["a"],"citations":["x"]}`,
		`[1,2]`:                              `[1,2]`,
	} {
		if got := said(json.RawMessage(output)); string(got) != want {
			t.Errorf("%s says %s, want %s", output, got, want)
		}
	}
}

func TestRetrieved(t *testing.T) {
	t.Parallel()
	documents, texts := retrieved(json.RawMessage(`{"hits":[{"document":"a.md","text":"first"},{"document":"b.md","text":"second"}]}`))
	if diff := cmp.Diff([][]string{{"a.md", "b.md"}, {"first", "second"}}, [][]string{documents, texts}); diff != "" {
		t.Error(diff)
	}
	if documents, texts := retrieved(nil); documents != nil || texts != nil {
		t.Errorf("a step without output found %v, %v", documents, texts)
	}
}

func TestReadSettings(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config, want, schema, instructions, url string
		unknown                                 []string
		fails                                   string
	}{
		"none":        {want: `{}`},
		"spellings":   {config: `{"temperature":0.5,"max_tokens":9,"top_p":0.1,"stop":"END"}`, want: `{"temperature":0.5,"maxOutputTokens":9,"topP":0.1,"stopSequences":["END"]}`},
		"stops":       {config: `{"stop_sequences":["a","b"]}`, want: `{"stopSequences":["a","b"]}`},
		"nested":      {config: `{"generationConfig":{"maxOutputTokens":7,"topK":3}}`, want: `{"maxOutputTokens":7,"topK":3}`},
		"said before": {config: `{"systemInstruction":"Be brief","apiBaseUrl":"http://x/v1"}`, want: `{}`, instructions: "Be brief", url: "http://x/v1"},
		"unknown":     {config: `{"wat":1,"seeds":2,"cost":3}`, want: `{}`, unknown: []string{"seeds", "wat"}},
		"schema":      {config: `{"response_format":{"type":"json_schema","json_schema":{"schema":{"type":"object"}}}}`, want: `{}`, schema: `{"type":"object"}`},
		"any object":  {config: `{"response_format":{"type":"json_object"}}`, want: `{}`, schema: `{"type":"object"}`},
		"text":        {config: `{"response_format":{"type":"text"}}`, want: `{}`},
		"no schema":   {config: `{"response_format":{"type":"json_schema"}}`, fails: "has no schema"},
		"no object":   {config: `[1]`, fails: "must be an object"},
		"no text":     {config: `{"instructions":5}`, fails: "instructions of a provider must be text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := readSettings(json.RawMessage(test.config))
			if test.fails != "" {
				if err == nil || schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(schemas.SafeMessage(err), test.fails) {
					t.Errorf("error %v, want %q", err, test.fails)
				}
				return
			}
			var want map[string]any
			if json.Unmarshal([]byte(test.want), &want) != nil {
				t.Fatal(test.want)
			}
			if diff := cmp.Diff(want, s.config); err != nil || diff != "" {
				t.Errorf("%v %s", err, diff)
			}
			if string(s.schema) != test.schema || s.instructions != test.instructions || s.baseURL != test.url || !cmp.Equal(s.unknown, test.unknown) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestDeciding leaves out of an identity what models cost and how often they may be asked.
func TestDeciding(t *testing.T) {
	t.Parallel()
	models := func(url string, input float64, concurrency int) schemas.Models {
		return schemas.Models{
			Providers: map[string]schemas.ProviderDef{"p": {Driver: schemas.DriverOpenAI, BaseURL: url, Limits: schemas.RateDef{Concurrency: concurrency}}},
			Models:    map[string]schemas.ModelDef{"m": {Provider: "p", Model: "x", Prices: &schemas.PriceDef{Input: input}}},
		}
	}
	base := digestOf(deciding(models("http://a", 1, 2)))
	if digestOf(deciding(models("http://a", 9, 7))) != base {
		t.Error("a price or a limit changes an identity")
	}
	if digestOf(deciding(models("http://b", 1, 2))) == base {
		t.Error("another server has the same identity")
	}
}

func TestDistinct(t *testing.T) {
	t.Parallel()
	err := distinct([]suite.Provider{{ID: "model:a"}, {ID: "model:b"}, {ID: "model:a"}})
	if schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(schemas.SafeMessage(err), "label") {
		t.Errorf("two providers of one name: %v", err)
	}
	if err := distinct([]suite.Provider{{ID: "model:a"}, {ID: "model:a", Label: "again"}}); err != nil {
		t.Errorf("one has a label: %v", err)
	}
}
