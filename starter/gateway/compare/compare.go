// Package compare tells what differs between the contents of two releases, for people.
package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// Bundles compares two bundles in canonical form: settings by path, prompts line by line. A step is found by its id, so that one more
// does not move the others; what is in the front matter of a prompt is a setting.
func Bundles(from, to schemas.Bundle) ([]rest.SettingChange, []rest.PromptChange, error) {
	before, beforeTexts, err := parts(from)
	if err != nil {
		return nil, nil, err
	}
	after, afterTexts, err := parts(to)
	if err != nil {
		return nil, nil, err
	}
	return settings(before, after), prompts(beforeTexts, afterTexts), nil
}

// parts takes a bundle apart: its settings by path, and the texts of its prompts.
func parts(b schemas.Bundle) (values map[string]json.RawMessage, texts map[string]string, err error) {
	values, texts = map[string]json.RawMessage{}, map[string]string{}
	heads := map[string]any{}
	for name, source := range b.Prompts {
		head, text := cutHead(source)
		texts[name] = text
		if len(head) > 0 {
			heads[name] = head
		}
	}
	b.Prompts = nil
	data, err := json.Marshal(b)
	if err != nil {
		return nil, nil, err
	}
	var whole map[string]any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&whole); err != nil {
		return nil, nil, err
	}
	whole["prompts"] = heads
	flat := flattening{values: values}
	flat.value("", whole)
	return values, texts, flat.err
}

// cutHead takes the front matter of a prompt in canonical form, which is a line of JSON for each key, from its text. Front matter in another
// form stays with the text.
func cutHead(source string) (head map[string]any, text string) {
	lines, found := strings.CutPrefix(source, "---\n")
	lines, text, closed := strings.Cut(lines, "---\n")
	if !found || !closed {
		return nil, source
	}
	head = map[string]any{}
	for line := range strings.Lines(lines) {
		key, value, _ := strings.Cut(line, ": ")
		var v any
		decoder := json.NewDecoder(strings.NewReader(value))
		decoder.UseNumber()
		if decoder.Decode(&v) != nil {
			return nil, source
		}
		head[key] = v
	}
	return head, text
}

// flattening collects the leaves of a value by their paths.
type flattening struct {
	values map[string]json.RawMessage
	err    error
}

func (f *flattening) value(path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, below := range v {
			f.value(join(path, key), below)
		}
		if len(v) == 0 && path != "prompts" {
			f.leaf(path, v)
		}
	case []any:
		f.list(path, v)
	default:
		f.leaf(path, v)
	}
}

func join(path, key string) string {
	if strings.ContainsAny(key, ". ") {
		key = fmt.Sprintf("%q", key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// list has the objects of a list by id if all have one, then in their order too, else by number; a list of anything else is one value.
func (f *flattening) list(path string, list []any) {
	objects := make([]map[string]any, len(list))
	ids := make([]string, len(list))
	named := len(list) > 0
	for i, item := range list {
		object, ok := item.(map[string]any)
		if !ok {
			f.leaf(path, list)
			return
		}
		objects[i] = object
		ids[i], ok = object["id"].(string)
		named = named && ok
	}
	for i, object := range objects {
		if !named {
			f.value(fmt.Sprintf("%s[%d]", path, i), object)
			continue
		}
		object = maps.Clone(object)
		delete(object, "id")
		f.value(join(path, ids[i]), object)
	}
	if named {
		f.leaf(path, ids)
	}
}

func (f *flattening) leaf(path string, v any) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		f.err = err
		return
	}
	f.values[path] = bytes.TrimSpace(out.Bytes())
}

func settings(before, after map[string]json.RawMessage) []rest.SettingChange {
	changes := []rest.SettingChange{}
	paths := map[string]bool{}
	for path := range before {
		paths[path] = true
	}
	for path := range after {
		paths[path] = true
	}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if old, now := before[path], after[path]; !bytes.Equal(old, now) {
			changes = append(changes, rest.SettingChange{Path: path, Old: old, New: now})
		}
	}
	return changes
}

func prompts(before, after map[string]string) []rest.PromptChange {
	changes := []rest.PromptChange{}
	names := maps.Clone(before)
	maps.Copy(names, after)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		old, was := before[name]
		now, is := after[name]
		switch {
		case !was:
			changes = append(changes, rest.PromptChange{Name: name, Kind: "added"})
		case !is:
			changes = append(changes, rest.PromptChange{Name: name, Kind: "removed"})
		case old != now:
			changes = append(changes, rest.PromptChange{Name: name, Kind: "changed", Diff: lines(old, now)})
		}
	}
	return changes
}

// headers are the lines above the first that differs.
const headers = 3

func lines(old, now string) string {
	unified := string(diff.Diff("", []byte(old), "", []byte(now)))
	for range headers {
		_, unified, _ = strings.Cut(unified, "\n")
	}
	return unified
}
