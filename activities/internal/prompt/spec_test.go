package prompt

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// suite is a file of the format's specification: spec/**/*.yaml of github.com/google/dotprompt.
type suite []struct {
	Name             string
	Template         string
	Data             specData
	Schemas          map[string]any
	ResolverSchemas  map[string]any `yaml:"resolverSchemas"`
	Partials         map[string]string
	ResolverPartials map[string]string `yaml:"resolverPartials"`
	Tests            []struct {
		Desc    string
		Data    specData
		Options struct {
			Input struct{ Default map[string]any }
		}
		Expect map[string]any
	}
}

type specData struct {
	Input    map[string]any
	Messages []map[string]any
	Context  map[string]any
}

// The published cases are not copied into the project: TENUTO_DOTPROMPT_SPEC is the folder spec of a checkout of the format.
func TestPublishedCases(t *testing.T) {
	t.Parallel()
	root := os.Getenv("TENUTO_DOTPROMPT_SPEC")
	if root == "" {
		t.Skip("TENUTO_DOTPROMPT_SPEC does not name the folder of the format's specification cases")
	}
	cases := 0
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(file) != ".yaml" {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var s suite
		if err := yaml.Unmarshal(data, &s); err != nil {
			return err
		}
		cases += s.run(t, filepath.Base(file))
		return nil
	})
	if err != nil || cases < 80 {
		t.Errorf("%d cases, %v", cases, err)
	}
	t.Logf("%d published cases", cases)
}

func (s suite) run(t *testing.T, file string) int {
	t.Helper()
	n := 0
	for _, c := range s {
		for _, test := range c.Tests {
			n++
			p, err := Parser{Schemas: func(name string) (json.RawMessage, bool) {
				schema := c.Schemas[name]
				if schema == nil {
					schema = c.ResolverSchemas[name]
				}
				data, _ := json.Marshal(schema)
				return data, schema != nil
			}}.Parse("case", c.Template)
			if err != nil {
				t.Errorf("%s %s: %v", file, c.Name, err)
				continue
			}
			if d := test.Options.Input.Default; d != nil {
				p.Default = d
			}
			data := Data{Input: test.Data.Input, Context: test.Data.Context, History: history(t, append(c.Data.Messages, test.Data.Messages...))}
			rendered, err := p.Render(data, sources(t, c.Partials, c.ResolverPartials))
			if err != nil {
				t.Errorf("%s %s: %v", file, c.Name, err)
				continue
			}
			if diff := cmp.Diff(generic(t, test.Expect), outcome(t, p, rendered, test.Expect)); diff != "" {
				t.Errorf("%s %s: %s (-want +got):\n%s", file, c.Name, test.Desc, diff)
			}
		}
	}
	return n
}

func sources(t *testing.T, texts ...map[string]string) Partials {
	t.Helper()
	return func(name string) (*Prompt, bool) {
		for _, m := range texts {
			if text, ok := m[name]; ok {
				p, err := Parse(name, text)
				if err != nil {
					t.Error(err)
				}
				return p, err == nil
			}
		}
		return nil, false
	}
}

func history(t *testing.T, messages []map[string]any) []Message {
	t.Helper()
	data, _ := json.Marshal(messages)
	var out []Message
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// outcome has the keys that the case is about.
func outcome(t *testing.T, p *Prompt, rendered Rendered, expect map[string]any) any {
	t.Helper()
	got := map[string]any{"messages": append([]Message{}, rendered.Messages...)}
	side := func(schema json.RawMessage, defaults map[string]any) any {
		m := map[string]any{}
		if schema != nil {
			m["schema"] = schema
		}
		if defaults != nil {
			m["default"] = defaults
		}
		return m
	}
	all := map[string]any{
		"config": rendered.Config, "model": p.Model, "ext": p.Ext, "raw": p.Raw,
		"input": side(p.InputSchema, p.Default), "output": side(p.OutputSchema, nil),
	}
	for key, value := range all {
		if _, ok := expect[key]; ok {
			got[key] = value
		}
	}
	return generic(t, got)
}

func generic(t *testing.T, v any) any {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
