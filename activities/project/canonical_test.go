package project_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/project"
	"github.com/tenuto-dev/tenuto/schemas"
)

// released is the canonical JSON of a chain's bundle.
func released(t testing.TB, fsys fs.FS, chain string) string {
	t.Helper()
	p, problems := project.Load(fsys)
	if len(problems) > 0 {
		t.Fatalf("%s", project.Describe(problems[0]))
	}
	bundle, err := p.Bundle(chain)
	if err != nil {
		t.Fatal(err)
	}
	return canonical(t, bundle)
}

func canonical(t testing.TB, bundle schemas.Bundle) string {
	t.Helper()
	same, err := project.Canonical(bundle)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(same)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// backwards lists folders in the opposite order.
type backwards struct{ fstest.MapFS }

func (b backwards) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := b.MapFS.ReadDir(name)
	slices.Reverse(list)
	return list, err
}

// shuffled writes the YAML of a file with the keys of every mapping in another order, as far as that means nothing.
func shuffled(t testing.TB, text string, random *rand.Rand) string {
	t.Helper()
	var doc any
	if err := yaml.UnmarshalWithOptions([]byte(text), &doc, yaml.UseOrderedMap()); err != nil {
		t.Fatal(err)
	}
	out, err := yaml.Marshal(shuffle(doc, random))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func shuffle(v any, random *rand.Rand) any {
	switch v := v.(type) {
	case yaml.MapSlice:
		v = slices.Clone(v)
		for i, item := range v {
			if key := item.Key; key == "generate" || key == "tool" || key == "output" {
				v[i].Value = shuffleButSchema(item.Value, random)
				continue
			}
			v[i].Value = shuffle(item.Value, random)
		}
		random.Shuffle(len(v), func(i, j int) { v[i], v[j] = v[j], v[i] })
		return v
	case []any:
		for i, item := range v {
			v[i] = shuffle(item, random)
		}
	}
	return v
}

// shuffleButSchema leaves alone what a model is told to write.
func shuffleButSchema(v any, random *rand.Rand) any {
	m, ok := v.(yaml.MapSlice)
	if !ok {
		return v
	}
	m = slices.Clone(m)
	for i, item := range m {
		if item.Key != "schema" && item.Key != "input" {
			m[i].Value = shuffle(item.Value, random)
		}
	}
	random.Shuffle(len(m), func(i, j int) { m[i], m[j] = m[j], m[i] })
	return m
}

func shuffledFile(t testing.TB, name, text string, random *rand.Rand) string {
	t.Helper()
	if strings.HasSuffix(name, ".yaml") {
		return shuffled(t, text, random)
	}
	if head, body, ok := strings.Cut(strings.TrimPrefix(text, "---\n"), "---\n"); ok && strings.HasPrefix(text, "---\n") {
		return "# a comment\n---\n" + shuffled(t, head, random) + "---\n\n" + body
	}
	return text
}

// TestTheSameContentIsTheSameRelease spells one project in many ways.
func TestTheSameContentIsTheSameRelease(t *testing.T) {
	t.Parallel()
	plain := folder(archive(t, "base.txtar"), archive(t, "good/every-kind.txtar"))
	random := rand.New(rand.NewPCG(1, 2))
	for _, chain := range []string{"qa", "every", "other"} {
		want := released(t, plain, chain)
		if got := released(t, backwards{plain}, chain); got != want {
			t.Errorf("%s: the order of files counts:\n%s", chain, cmp.Diff(want, got))
		}
		windows := fstest.MapFS{}
		for name, file := range plain {
			windows[name] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(string(file.Data), "\n", "\r\n")), Mode: 0o644}
		}
		if got := released(t, windows, chain); got != want {
			t.Errorf("%s: the ends of lines count:\n%s", chain, cmp.Diff(want, got))
		}
		for range 20 {
			other := fstest.MapFS{"README.md": {Data: []byte("Something else."), Mode: 0o644}}
			for name, file := range plain {
				other[name] = &fstest.MapFile{Data: []byte(shuffledFile(t, name, string(file.Data), random)), Mode: 0o644}
			}
			if got := released(t, other, chain); got != want {
				t.Fatalf("%s: the order of keys counts:\n%s", chain, cmp.Diff(want, got))
			}
		}
	}
}

// TestAnotherContentIsAnotherRelease changes one thing at a time.
func TestAnotherContentIsAnotherRelease(t *testing.T) {
	t.Parallel()
	plain := folder(archive(t, "base.txtar"), archive(t, "good/every-kind.txtar"))
	seen := map[string]string{released(t, plain, "every"): "nothing"}
	for _, change := range []struct{ file, old, new string }{
		{"prompts/loop.prompt", "{{word}} {{tone}}", "{{word}}, {{tone}}"},
		{"prompts/loop.prompt", "tone: kind}", "tone: stern}"},
		{"prompts/loop.prompt", "input:\n", "config: {temperature: 0.5}\ninput:\n"},
		{"prompts/_style.prompt", "Be brief.", "Be long."},
		{"prompts/answer.prompt", "model: answer", "model: gpt"},
		{"models.yaml", "model: gpt-x", "model: gpt-y"},
		{"models.yaml", "weight: 3", "weight: 2"},
		{"models.yaml", "max_output: 1000", "max_output: 999"},
		{"models.yaml", "output: 4}", "output: 5}"},
		{"models.yaml", "refusals: true", "refusals: false"},
		{"models.yaml", "base_url: http://127.0.0.1:8000/v1", "base_url: http://127.0.0.1:8001/v1"},
		{"chains/every.yaml", "limit: 20", "limit: 21"},
		{"chains/every.yaml", "alpha: 0.3", "alpha: 0.4"},
		{"chains/every.yaml", "colour(enum): [red, green]", "colour(enum): [green, red]"},
		{"chains/every.yaml", "max_cost: 0.05", "max_cost: 0.06"},
		{"chains/every.yaml", "method: POST", "method: PUT"},
		{"chains/other.yaml", `"x"`, `"y"`},
		{"tenuto.yaml", "collection: docs", "collection: others"},
	} {
		other := maps.Clone(plain)
		text := string(plain[change.file].Data)
		if !strings.Contains(text, change.old) {
			t.Fatalf("%s does not hold %q", change.file, change.old)
		}
		other[change.file] = &fstest.MapFile{Data: []byte(strings.Replace(text, change.old, change.new, 1)), Mode: 0o644}
		got := released(t, other, "every")
		if before, ok := seen[got]; ok {
			t.Errorf("%s: %q is the same release as after %s", change.file, change.new, before)
		}
		seen[got] = change.new
	}
	// What the chain does not use is not of it.
	other := maps.Clone(plain)
	other["prompts/more.prompt"] = &fstest.MapFile{Data: []byte("More."), Mode: 0o644}
	if seen[released(t, other, "every")] != "nothing" {
		t.Error("a prompt that the chain does not use makes another release of it")
	}
}

// TestCanonicalSchemas tells apart what models write in order and what is only checked.
func TestCanonicalSchemas(t *testing.T) {
	t.Parallel()
	bundle := func(schema string, place func(*schemas.ChainDef, json.RawMessage)) schemas.Bundle {
		def := schemas.ChainDef{Steps: []schemas.StepDef{{ID: "a", Generate: &schemas.GenerateDef{}}, {ID: "b", Tool: &schemas.ToolDef{}}}}
		place(&def, json.RawMessage(schema))
		return schemas.Bundle{Chain: "c", Chains: map[string]schemas.ChainDef{"c": def}}
	}
	const one = `{"type":["object","null"],"properties":{"why":{"type":"string"},"say":{"enum":["b","a"]}},"required":["why","say"],"default":{"required":["z","y"],"k":1.50}}`
	keywords := `{ "default":{"k":1.50,"required":["z","y"]},"required":["say","why"],"properties":{"why":{"type":"string"},"say":{"enum":["b","a"]}},"type":["null","object"]}`
	properties := strings.Replace(keywords, `"why":{"type":"string"},"say":{"enum":["b","a"]}`, `"say":{"enum":["b","a"]},"why":{"type":"string"}`, 1)
	values := strings.Replace(one, `["b","a"]`, `["a","b"]`, 1)
	data := strings.Replace(one, `["z","y"]`, `["y","z"]`, 1)
	for name, test := range map[string]struct {
		place   func(*schemas.ChainDef, json.RawMessage)
		ordered bool
	}{
		"input":    {func(d *schemas.ChainDef, s json.RawMessage) { d.Input = s }, false},
		"output":   {func(d *schemas.ChainDef, s json.RawMessage) { d.Schema = s }, false},
		"generate": {func(d *schemas.ChainDef, s json.RawMessage) { d.Steps[0].Generate.Schema = s }, true},
		"tool":     {func(d *schemas.ChainDef, s json.RawMessage) { d.Steps[1].Tool.Input = s }, true},
	} {
		want := canonical(t, bundle(one, test.place))
		if got := canonical(t, bundle(keywords, test.place)); got != want {
			t.Errorf("%s: the order of keywords counts:\n%s", name, cmp.Diff(want, got))
		}
		if got := canonical(t, bundle(properties, test.place)); (got != want) != test.ordered {
			t.Errorf("%s: properties in another order are another release: %v", name, got != want)
		}
		for _, other := range []string{values, data} {
			if canonical(t, bundle(other, test.place)) == want {
				t.Errorf("%s: %s is the same release", name, other)
			}
		}
	}
	if _, err := project.Canonical(bundle(`{"a":`, func(d *schemas.ChainDef, s json.RawMessage) { d.Input = s })); schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("half a schema: %v", err)
	}
	broken := schemas.Bundle{Prompts: map[string]string{"p": "---\n"}}
	if _, err := project.Canonical(broken); schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("half a prompt: %v", err)
	}
}

// FuzzCanonicalSchema requires that a schema keeps what it says, and is its own canonical form.
func FuzzCanonicalSchema(f *testing.F) {
	f.Add(`{"type":["object","null"],"properties":{"b":{"required":["y","x"]},"a":{"default":{"b":[2,1],"a":1e400}}},"required":["b","a"]}`)
	f.Add(`[{"$defs":{"z":true,"a":{"items":[{"b":1,"a":"<\u2028"}]}}},null]`)
	f.Fuzz(func(t *testing.T, schema string) {
		if !json.Valid([]byte(schema)) {
			return
		}
		def := schemas.ChainDef{Input: json.RawMessage(schema), Steps: []schemas.StepDef{{ID: "a", Tool: &schemas.ToolDef{Input: json.RawMessage(schema)}}}}
		once, err := project.Canonical(schemas.Bundle{Chains: map[string]schemas.ChainDef{"c": def}})
		if err != nil {
			t.Fatal(err)
		}
		def = once.Chains["c"]
		if canonical(t, once) == "" || !json.Valid(def.Input) || len(def.Input) > 0 && !sameSchema(t, schema, string(def.Input)) {
			t.Fatalf("%s became %s", schema, def.Input)
		}
		twice, err := project.Canonical(once)
		if diff := cmp.Diff(string(def.Input), string(twice.Chains["c"].Input)); diff != "" || err != nil {
			t.Fatalf("%v: not its own canonical form:\n%s", err, diff)
		}
	})
}

// sameSchema compares two JSON texts, lists without their order.
func sameSchema(t *testing.T, a, b string) bool {
	t.Helper()
	var read func(v any) any
	read = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for key := range v {
				v[key] = read(v[key])
			}
		case []any:
			texts := make([]string, len(v))
			for i, item := range v {
				data, _ := json.Marshal(read(item))
				texts[i] = string(data)
			}
			slices.Sort(texts)
			return texts
		}
		return v
	}
	values := make([]any, 2)
	for i, text := range []string{a, b} {
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&values[i]); err != nil {
			t.Fatal(err)
		}
		values[i] = read(values[i])
	}
	return cmp.Equal(values[0], values[1])
}
