package object_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model/object"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestEditsLeaveTheRest(t *testing.T) {
	t.Parallel()
	const odd = "\n{ \"a\" : [1, {\"model\":\"inner\"}, \"}\\\"]\"],\t\"model\":\"x\" , \"n\":1e3,\"\\u0066\":null}\n"
	for name, test := range map[string]struct{ in, member, value, want string }{
		"replaced":        {odd, "model", `"y"`, strings.Replace(odd, `"x"`, `"y"`, 1)},
		"a number":        {odd, "n", `2`, strings.Replace(odd, `1e3`, `2`, 1)},
		"an escaped name": {odd, "f", `0`, strings.Replace(odd, `null`, `0`, 1)},
		"a list":          {odd, "a", `[]`, strings.Replace(odd, `[1, {"model":"inner"}, "}\"]"]`, `[]`, 1)},
		"added":           {odd, "new", `{}`, strings.Replace(odd, "null}", `null,"new":{}}`, 1)},
		"added to none":   {` { } `, "new", `1`, ` { "new":1} `},
		"added, quoted":   {`{}`, `a"`, `1`, `{"a\"":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := object.Parse([]byte(test.in))
			if err != nil {
				t.Fatal(err)
			}
			edited := o.With(test.member, json.RawMessage(test.value))
			if diff := cmp.Diff(test.want, string(edited.Bytes())); diff != "" {
				t.Error(diff)
			}
			if got := string(edited.Get(test.member)); got != test.value {
				t.Errorf("reads %s", got)
			}
			if string(o.Bytes()) != test.in || string(edited.Original()) != test.in {
				t.Error("the original has changed")
			}
		})
	}
}

func TestTwoEdits(t *testing.T) {
	t.Parallel()
	o, err := object.Parse([]byte(`{"b":1,"a":2}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(o.With("a", []byte("3")).With("b", []byte("4")).With("a", []byte("5")).Bytes()); got != `{"b":4,"a":5}` {
		t.Error(got)
	}
	if diff := cmp.Diff([]string{"b", "a"}, o.Names()); diff != "" || o.Get("c") != nil {
		t.Error(diff)
	}
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ in, says string }{
		"nothing":                 {"", "no valid JSON"},
		"a list":                  {"[]", "no JSON object"},
		"cut":                     {`{"a":`, "no valid JSON"},
		"two":                     {`{} {}`, "no valid JSON"},
		"not UTF-8":               {"{\"a\":\"\xff\"}", "not UTF-8"},
		"UTF-16":                  {"{\x00\"\x00a\x00\"\x00:\x001\x00}\x00", "no valid JSON"},
		"a name twice":            {`{"a":1,"b":2,"a":3}`, `"a" twice`},
		"a name twice, escaped":   {`{"a":1,"\u0061":3}`, `"a" twice`},
		"a name in another case":  {`{"model":1,"Model":3}`, `"Model" twice`},
		"a name with a long s":    {`{"stream":1,"\u017ftream":3}`, "twice"},
		"a name with a Kelvin":    {`{"k":1,"\u212a":3}`, "twice"},
		"a very long name, twice": {`{"` + strings.Repeat("a", 1000) + `":1,"` + strings.Repeat("a", 1000) + `":1}`, "twice"},
	} {
		_, err := object.Parse([]byte(test.in))
		if schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(err.Error(), test.says) || len(err.Error()) > 200 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParse compares with encoding/json: the same members, and edits that it reads back.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{}`, `{"model":"a","x":[{"y":"]"}]}`, ` {"\n":-1.5e+3 ,"b" : true}`, `{"a":"\\"}`, `{"a":{},"b":[]}`, `[1]`, `{"a":1,"A":2}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := object.Parse(data)
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("encoding/json refuses %q: %v", data, err)
		}
		got := map[string]json.RawMessage{}
		for _, name := range o.Names() {
			got[name] = o.Get(name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q: %s", data, diff)
		}
		want["model"], want["new"] = json.RawMessage(`"m"`), json.RawMessage(`[1]`)
		var edited map[string]json.RawMessage
		if err := json.Unmarshal(o.With("model", want["model"]).With("new", want["new"]).Bytes(), &edited); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		if diff := cmp.Diff(want, edited); diff != "" {
			t.Fatalf("%q: %s", data, diff)
		}
	})
}
