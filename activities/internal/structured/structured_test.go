package structured_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/internal/structured"
	"github.com/tenuto-dev/tenuto/schemas"
)

const person = `{"type":"object","required":["name"],"additionalProperties":false,
	"properties":{"name":{"type":"string"},"age":{"type":"integer"},"adult":{"type":"boolean"},"note":{},"tags":{"type":"array","items":{"type":"string"}}}}`

func TestRead(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text, want string
		repairs    []string
	}{
		"as it is":             {" {\"name\" :\n \"Ada\", \"age\": 3.60e1}\n", " {\"name\" :\n \"Ada\", \"age\": 3.60e1}\n", nil},
		"code fence":           {"```json\n{\"name\": \"Ada\"}\n```", `{"name":"Ada"}`, []string{"taken out of a code fence"}},
		"fence in prose":       {"Sure:\n```\n{\"name\": \"Ada\"}\n```\nHope [that] helps {you}!", `{"name":"Ada"}`, []string{"taken out of a code fence"}},
		"fence that is open":   {"```json\n{\"name\": \"Ada\"}", `{"name":"Ada"}`, []string{"taken out of a code fence"}},
		"fences in a string":   {"```json\n{\"name\": \"```go\\nx\\n```\"}\n```", "{\"name\":\"```go\\nx\\n```\"}", []string{"taken out of a code fence"}},
		"prose":                {`As [1] says, {see below} it is {"name":"Ada"} [2].`, `{"name":"Ada"}`, []string{"taken out of other text"}},
		"said twice":           {`{"name":"Ada"} and again {"name": "Ada"}`, `{"name":"Ada"}`, []string{"taken out of other text"}},
		"byte order mark":      {"\ufeff{\"name\":\"Ada\"}", `{"name":"Ada"}`, []string{"byte order mark removed"}},
		"trailing commas":      {`{"name":"Ada","tags":["a",],}`, `{"name":"Ada","tags":["a"]}`, []string{"trailing comma removed"}},
		"comments":             {"{ // who\n\"name\": /* here */ \"Ada // not # one\", # Python\n\"age\":1}", `{"name":"Ada // not # one","age":1}`, []string{"comment removed"}},
		"single quotes":        {`{'name': 'Ada\'s "son", it's', 'tags': []}`, `{"name":"Ada's \"son\", it's","tags":[]}`, []string{"single quotes replaced", "stray backslash doubled"}},
		"keys without quotes":  {`{name: "Ada", age: 1}`, `{"name":"Ada","age":1}`, []string{"key put in quotes"}},
		"Python":               {`{'name': 'Ada', 'adult': True, 'note': None}`, `{"name":"Ada","adult":true,"note":null}`, []string{"single quotes replaced", "Python literal replaced"}},
		"typographic quotes":   {`{“name”: “Ada “the first””}`, `{"name":"Ada “the first”"}`, []string{"typographic quotes replaced"}},
		"line feed":            {"{\"name\": \"A\n\tda\x01\"}", `{"name":"A\n\tda\u0001"}`, []string{"control character in a string escaped"}},
		"backslash":            {`{"name": "C:\dir \u12"}`, `{"name":"C:\\dir \\u12"}`, []string{"stray backslash doubled"}},
		"no-break space":       {"{\"name\":\u00a0\"Ada\"}", `{"name":"Ada"}`, []string{"unusual white space removed"}},
		"invalid UTF-8":        {"{\"name\":\"A\xff\"}", `{"name":"A` + "\ufffd" + `"}`, []string{"invalid UTF-8 replaced"}},
		"bracket missing":      {`{"name":"Ada","tags":["a","b"`, `{"name":"Ada","tags":["a","b"]}`, []string{"taken out of other text", "missing brackets added at the end"}},
		"cut in a string":      {`{"name":"Ada","note":{"a":[1 ,"un`, `{"name":"Ada","note":{"a":[1]}}`, []string{"taken out of other text", "unfinished end dropped", "missing brackets added at the end"}},
		"cut in a fence":       {"```json\n{\"name\":\"Ada\",\n```", `{"name":"Ada"}`, []string{"taken out of a code fence", "trailing comma removed", "missing brackets added at the end"}},
		"cut after a key":      {`{"name":"Ada","age":`, `{"name":"Ada"}`, []string{"taken out of other text", "unfinished end dropped", "missing brackets added at the end"}},
		"cut in a literal":     {`{"name":"Ada","adult":tr`, `{"name":"Ada"}`, []string{"taken out of other text", "unfinished end dropped", "missing brackets added at the end"}},
		"number in a string":   {`{ "name": "Ada", "age": "36" }`, `{ "name": "Ada", "age": 36 }`, []string{"/age: taken out of a string"}},
		"boolean in a string":  {`{"name":"Ada","adult":"true"}`, `{"name":"Ada","adult":true}`, []string{"/adult: taken out of a string"}},
		"number for a string":  {`{"name":"Ada","tags":["a", 1.50, true]}`, `{"name":"Ada","tags":["a", "1.50", "true"]}`, []string{"/tags/1: put into a string", "/tags/2: put into a string"}},
		"mended and converted": {`{name: 7}`, `{"name":"7"}`, []string{"key put in quotes", "/name: put into a string"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := structured.Read(test.text, json.RawMessage(person))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(got.Value)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.repairs, got.Repairs); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestScalars(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, schema, want string }{
		{"True", `{"type":"boolean"}`, "true"},
		{"```\n42\n```", `{"type":"integer"}`, "42"},
		{"'yes'", `{"enum":["yes","no"]}`, `"yes"`},
		{`"12"`, `{"anyOf":[{"type":"null"},{"type":"integer"}]}`, "12"},
		{" null ", ``, " null "},
		{`{"$ref":1,"a/b~":"2"}`, `{"properties":{"a/b~":{"type":"number"}}}`, `{"$ref":1,"a/b~":2}`},
	} {
		got, err := structured.Read(test.text, json.RawMessage(test.schema))
		if err != nil || string(got.Value) != test.want {
			t.Errorf("%s as %s: %s, %v", test.text, test.schema, got.Value, err)
		}
	}
}

func TestMismatch(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 513) + strings.Repeat("]", 513)
	for name, test := range map[string]struct{ text, schema, want string }{
		"property missing":   {`{"age":1}`, person, "the whole value: missing property 'name'"},
		"wrong type, deep":   {`{"name":"Ada","tags":["a",{}]}`, person, "/tags/1: got object, want string"},
		"not exact":          {`{"name":"Ada","age":"36.5"}`, person, "/age: got string, want integer"},
		"not a number":       {`{"name":"Ada","age":"036"}`, person, "/age: got string, want integer"},
		"alternatives":       {`[1]`, `{"anyOf":[{"type":"null"},{"type":"object"}]}`, "the whole value: fits none of the alternatives, where:"},
		"no JSON":            {"I cannot help with that.", person, `line 1, column 1: found "I" where a value should be`},
		"empty":              {"", `true`, "line 1, column 1: the JSON ends too early"},
		"syntax":             {"{\n \"name\": \"Ada\"\n \"age\": 1}", person, `line 3, column 2: found '"' where a comma or '}' should be`},
		"unclosed in middle": {`{"name":"Ada","tags":["a"}`, person, `line 1, column 26: found '}' where a comma or ']' should be`},
		"NaN":                {`{"name":"Ada","note":[NaN,{"name":"x"}]}`, person, "line 1, column 26: NaN and Infinity are not JSON: write null or a number"},
		"Infinity":           {`[-Infinity]`, `{}`, "line 1, column 11: NaN and Infinity are not JSON: write null or a number"},
		"huge exponent":      {`[1e999999999]`, `{}`, "line 1, column 13: a number is larger or has more digits than can be used"},
		"tiny exponent":      {`[0e-999999999]`, `{}`, "line 1, column 14: a number is larger or has more digits than can be used"},
		"two answers":        {`{"name":"Ada"} or {"name":"Bob"}`, person, "the output holds 2 different JSON values that fit: write only one"},
		"part of a broken":   {`{"note": {"name":"Ada"} "age": 1}`, person, `line 1, column 25: found '"' where a comma or '}' should be`},
		"draft, then broken": {`{"name":"Ada"} no: {"name":"Bob" x`, person, `line 1, column 34: found 'x' where a comma or '}' should be`},
		"cut in a number":    {`{"name":"Ada","age":3`, person, "line 1, column 22: the JSON ends within a number, which may lack digits"},
		"cut and not enough": {`{"age":3,"name":"A`, person, "the whole value: missing property 'name'"},
		"cut at the start":   {`{`, `{}`, "line 1, column 2: the JSON ends too early"},
		"too deep":           {deep, `{}`, "line 1, column 513: lists and objects are nested deeper than 512 levels"},
		"too many values":    {"[" + strings.Repeat("1,", 1<<18) + "1]", `{}`, "line 1, column 524288: there are more than 262144 values"},
		"too long":           {strings.Repeat(" ", 4<<20+1), `{}`, "the output has 4194305 bytes, and at most 4194304 are read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := structured.Read(test.text, json.RawMessage(test.schema))
			mismatch, ok := errors.AsType[*structured.Mismatch](err)
			if !ok || schemas.CodeOf(err) != schemas.MalformedOutput {
				t.Fatalf("read %s, %v", got.Value, err)
			}
			if mismatch.Problems[0] != test.want {
				t.Errorf("%q, want %q", mismatch.Problems, test.want)
			}
		})
	}
}

func TestProblemsAreBounded(t *testing.T) {
	t.Parallel()
	_, err := structured.Read("["+strings.Repeat(`"x",`, 1000)+`"x"]`, json.RawMessage(`{"items":{"type":"integer"}}`))
	mismatch, ok := errors.AsType[*structured.Mismatch](err)
	if !ok || len(mismatch.Problems) != 21 || mismatch.Problems[20] != "and 981 more" {
		t.Errorf("%v", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ schema, fault string }{
		"empty":             {``, ""},
		"within":            {`{"$ref":"#/$defs/a","$defs":{"a":{"type":"string"}}}`, ""},
		"metaschema":        {`{"$ref":"https://json-schema.org/draft/2020-12/schema"}`, ""},
		"no JSON":           {`{"type":`, "ends too early"},
		"nearly JSON":       {`{type: 'string'}`, "is not JSON"},
		"unknown type":      {`{"type":"text"}`, "/type"},
		"pattern":           {`{"pattern":"("}`, "pattern"},
		"remote":            {`{"$ref":"http://127.0.0.1:1/x.json"}`, "refers only to what is in it"},
		"file":              {`{"$ref":"file:///etc/passwd"}`, "refers only to what is in it"},
		"relative":          {`{"$ref":"other.json"}`, "refers only to what is in it"},
		"remote metaschema": {`{"$schema":"https://example.com/meta"}`, "refers only to what is in it"},
		"a loop":            {`{"$ref":"#"}`, "in a circle"},
		"dangling":          {`{"$ref":"#/$defs/none"}`, "none"},
		"deep":              {strings.Repeat(`{"not":`, 600) + "{}" + strings.Repeat("}", 600), "nested deeper"},
		"long":              {`{"title":"` + strings.Repeat("x", 1<<20) + `"}`, "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := structured.Check(json.RawMessage(test.schema))
			if test.fault == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if schemas.CodeOf(err) != schemas.Invalid || err == nil || !strings.Contains(err.Error(), test.fault) {
				t.Errorf("want %q, got %v", test.fault, err)
			}
			if _, read := structured.Read("{}", json.RawMessage(test.schema)); schemas.CodeOf(read) != schemas.Invalid {
				t.Errorf("reading with it: %v", read)
			}
		})
	}
}

// TestTimeIsLinear compares long texts with a quarter of them. Reading in quadratic time would take minutes.
func TestTimeIsLinear(t *testing.T) {
	t.Parallel()
	for name, unit := range map[string]string{
		"open lists": "[[", "lists that break": "[a", "members that break": "{a:", "open strings": `"a`, "single quotes": "['a",
		"quotes and space": "' ", "fences": "```{", "comments": "[/*", "escapes": `["\`, "lists": "[1] ", "smart": "{“",
	} {
		const length = 1 << 19
		read := func(n int) time.Duration {
			text := strings.Repeat(unit, n/len(unit))
			start := time.Now()
			if got, err := structured.Read(text, json.RawMessage(`{"type":"object"}`)); err == nil {
				t.Errorf("%s: read %s", name, got.Value)
			}
			return time.Since(start)
		}
		quarter, whole := min(read(length/4), read(length/4)), min(read(length), read(length))
		t.Logf("%s: %v, %v", name, quarter, whole)
		if whole > 10*quarter+2*time.Second {
			t.Errorf("%s: %v for a quarter, %v for the whole", name, quarter, whole)
		}
	}
}
