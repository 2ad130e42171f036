package project

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/tools/txtar"

	"github.com/tenuto-dev/tenuto/activities/project/internal/yamldoc"
	"github.com/tenuto-dev/tenuto/schemas"
	files "github.com/tenuto-dev/tenuto/schemas/jsonschema"
)

func readSchema(t *testing.T, name string) map[string]any {
	t.Helper()
	data, err := files.Files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	return schema
}

// TestSchemasKnowTheKeys walks the Go vocabulary and the JSON Schemas side by side: each knows the keys of the other.
func TestSchemasKnowTheKeys(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]reflect.Type{
		"tenuto.json": reflect.TypeFor[Settings](), "models.json": reflect.TypeFor[schemas.Models](), "chain.json": reflect.TypeFor[schemas.ChainDef](),
	} {
		root := readSchema(t, name)
		sameKeys(t, name, root, root, kind)
	}
	keys := slices.Collect(func(yield func(string) bool) {
		for key := range readSchema(t, "prompt.json")["properties"].(map[string]any) {
			if !slices.Contains([]string{"toolDefs", "ext", "raw", "maxTurns"}, key) && !yield(key) { // without use here
				return
			}
		}
	})
	slices.Sort(keys)
	if diff := cmp.Diff(slices.Sorted(slices.Values(promptKeys)), keys); diff != "" {
		t.Errorf("prompt.json (-Go +schema):\n%s", diff)
	}
}

func sameKeys(t *testing.T, at string, root, schema map[string]any, kind reflect.Type) {
	t.Helper()
	if name, ok := schema["$ref"].(string); ok {
		schema, _ = root["$defs"].(map[string]any)[strings.TrimPrefix(name, "#/$defs/")].(map[string]any)
	}
	if choice, ok := schema["oneOf"].([]any); ok && schema["properties"] == nil {
		sameKeys(t, at, root, choice[1].(map[string]any), kind)
		return
	}
	switch kind.Kind() {
	case reflect.Pointer:
		sameKeys(t, at, root, schema, kind.Elem())
	case reflect.Slice:
		if kind != reflect.TypeFor[json.RawMessage]() {
			sameKeys(t, at+"[]", root, schema["items"].(map[string]any), kind.Elem())
		}
	case reflect.Map:
		sameKeys(t, at+".*", root, schema["additionalProperties"].(map[string]any), kind.Elem())
	case reflect.Struct:
		properties, _ := schema["properties"].(map[string]any)
		if diff := cmp.Diff(slices.Sorted(slices.Values(keysOf(kind))), sortedKeys(properties)); diff != "" || schema["additionalProperties"] != false {
			t.Errorf("%s, additional properties %v (-Go +schema):\n%s", at, schema["additionalProperties"], diff)
			return
		}
		for i, key := range keysOf(kind) {
			property := properties[key].(map[string]any)
			if property["description"] == nil && property["$ref"] == nil {
				t.Errorf("%s.%s has no description", at, key)
			}
			sameKeys(t, at+"."+key, root, property, kind.Field(i).Type)
		}
	}
}

// TestFilesSatisfyTheSchemas holds the files of good projects, and of the project that init writes, against the JSON Schemas; and files
// with an unknown key, which they must refuse.
func TestFilesSatisfyTheSchemas(t *testing.T) {
	t.Parallel()
	texts := map[string]string{}
	template := os.DirFS("../../starter/cli/template")
	err := fs.WalkDir(template, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			text, err := fs.ReadFile(template, name)
			texts["template/"+name] = string(text)
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	archives, _ := filepath.Glob("testdata/good/*.txtar")
	for _, file := range append(archives, "testdata/base.txtar") {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range a.Files {
			texts[filepath.Base(file)+"/"+f.Name] = string(f.Data)
		}
	}
	checked := map[string]int{}
	for name, text := range texts {
		kind, text := kindOfFile(name, text)
		if kind == "" {
			continue
		}
		checked[kind]++
		if err := satisfies(t, kind, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if kind != "prompt.json" && strings.Contains(name, "template/") && !strings.Contains(text, "yaml-language-server: $schema=") {
			t.Errorf("%s does not name its schema for editors", name)
		}
		if err := satisfies(t, kind, text+"\nunknown_key: 1\n"); err == nil {
			t.Errorf("%s takes an unknown key", kind)
		}
	}
	if len(checked) != 4 {
		t.Errorf("checked %v", checked)
	}
}

// kindOfFile is the schema of a file, and the text that it is for.
func kindOfFile(name, text string) (schema, part string) {
	switch {
	case strings.HasSuffix(name, fileProject):
		return "tenuto.json", text
	case strings.HasSuffix(name, fileModels):
		return "models.json", text
	case strings.Contains(name, "/chains/"):
		return "chain.json", text
	case strings.HasSuffix(name, ".prompt") && strings.HasPrefix(text, "---\n"):
		head, _, _ := strings.Cut(text[4:], "\n---")
		return "prompt.json", head
	}
	return "", ""
}

func satisfies(t *testing.T, name, text string) error {
	t.Helper()
	data, err := files.Files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := compileSchema(data)
	if err != nil {
		t.Fatal(err)
	}
	value, faults, _ := yamldoc.Parse(text)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	var w schemaText
	w.value(value)
	decoded, err := jsonschema.UnmarshalJSON(strings.NewReader(w.String()))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(decoded)
}

func TestInterpolation(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]Piece{
		"":                   nil,
		"plain":              {{Text: "plain"}},
		"a${b}c":             {{Text: "a"}, {Text: "b", Expression: true, Offset: 3}, {Text: "c", Offset: 5}},
		`${{"a": "}"}.a}`:    {{Text: `{"a": "}"}.a`, Expression: true, Offset: 2}},
		`${x.f("\"}")}y`:     {{Text: `x.f("\"}")`, Expression: true, Offset: 2}, {Text: "y", Offset: 13}},
		"$${a}${b}":          {{Text: "${a}"}, {Text: "b", Expression: true, Offset: 7}},
		"$5 and $ {x} {y} }": {{Text: "$5 and $ {x} {y} }"}},
	} {
		got, err := Interpolation(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
	for _, text := range []string{"${", "a${b", "${}", "${ }", `${"}`, "${{}"} {
		if _, err := Interpolation(text); schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

func FuzzInterpolation(f *testing.F) {
	for _, text := range []string{"a${b}c", `${{"a": "}"}.a}`, "$${a}${b}", "${'\\"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pieces, err := Interpolation(text)
		if err != nil {
			return
		}
		for _, piece := range pieces {
			if piece.Text == "" || piece.Offset > len(text) || piece.Expression && !strings.HasPrefix(text[piece.Offset:], piece.Text) {
				t.Errorf("%q: piece %+v", text, piece)
			}
		}
	})
}

func TestHosts(t *testing.T) {
	t.Parallel()
	for host, refused := range map[string]bool{
		"example.com": false, "*.example.com": false, "API.Example.com": false, "example.com:8443": false, "münchen.example": false, "*.münchen.example": false,
		"127.0.0.1": false, "10.0.0.5": false, "[::1]": false, "::1": false, "192.168.1.1:8080": false, "[fd00::1]:80": false, "93.184.215.14": false,
		"": true, "*": true, "*.": true, "*.*": true, "*.com": true, "localhost": true, "LOCALHOST": true, "a.localhost": true, "printer.local": true,
		"metadata.google.internal": true, "intranet": true, "http://example.com": true, "example.com/x": true, "10.0.0.0/8": true, "127.1": true,
		"0x7f.0.0.1": true, "2130706433": true, "169.254.169.254": true, "[fe80::1]": true, "::ffff:169.254.169.254": true, "0.0.0.0": true, "::": true,
		"224.0.0.1": true, "ex ample.com": true, "example.com:0": true, "*example.com": true, "a.*.com": true, "fd00:ec2::254": true, "user@example.com": true,
	} {
		if why := refuseHost(host); (why != "") != refused {
			t.Errorf("%q: %q", host, why)
		}
	}
	for _, test := range []struct {
		allowed, authority string
		want               bool
	}{
		{"example.com", "example.com", true},
		{"Example.com", "example.com.", true},
		{"example.com", "a.example.com", false},
		{"*.example.com", "a.example.com", true},
		{"*.example.com", "example.com", false},
		{"*.example.com", "evilexample.com", false},
		{"example.com", "example.com:443", true},
		{"example.com", "example.com:8443", false},
		{"example.com:8443", "example.com:8443", true},
		{"example.com:8443", "example.com", false},
		{"::1", "[0:0::1]", true},
		{"[::1]:99", "[::1]:99", true},
		{"127.0.0.1", "127.0.0.1", true},
		{"xn--mnchen-3ya.de", "münchen.de", true},
	} {
		host, port := splitPort(test.authority)
		if port == "" {
			port = "443"
		}
		if got := covers(test.allowed, host, port); got != test.want {
			t.Errorf("%s covers %s: %v", test.allowed, test.authority, got)
		}
	}
}
