package grader

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

const fence = "```"

// fields are the properties of an answer, as they were written.
type fields map[string]json.RawMessage

// object reads an answer that is one JSON object and nothing else, a fence of code around the whole of it apart. A property that is written
// twice could mean either, so it is refused.
func object(answer string) (fields, error) {
	text := strings.TrimSpace(answer)
	if text == "" {
		return nil, errors.New("it is empty")
	}
	if inner, fenced := unfenced(text); fenced {
		text = inner
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	if first, err := decoder.Token(); err != nil || first != json.Delim('{') {
		return nil, errors.New("it is not a JSON object")
	}
	out := fields{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, errors.New("it is not valid JSON")
		}
		key, _ := name.(string)
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, errors.New("it is not valid JSON")
		}
		if _, twice := out[key]; twice {
			return nil, fmt.Errorf("it says %q twice", clip(key, 40))
		}
		out[key] = value
	}
	if _, err := decoder.Token(); err != nil {
		return nil, errors.New("its JSON does not end")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more follows the JSON object")
	}
	return out, nil
}

// unfenced takes away a fence of code that stands around the whole text.
func unfenced(text string) (string, bool) {
	head, rest, lines := strings.Cut(text, "\n")
	inner, closed := strings.CutSuffix(strings.TrimSpace(rest), fence)
	info, opened := strings.CutPrefix(strings.TrimSpace(head), fence)
	if !lines || !closed || !opened || info != "" && !strings.EqualFold(info, "json") {
		return "", false
	}
	return inner, true
}

// field reads a property of a kind. It is there, and not null.
func field[T any](f fields, name string) (T, error) {
	var out T
	raw, there := f[name]
	if !there || bytes.Equal(raw, []byte("null")) {
		return out, fmt.Errorf("%q is missing", name)
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, fmt.Errorf("%q is %s and must be %s", name, clip(string(raw), 40), kindOf(out))
	}
	return out, nil
}

func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "a text"
	case bool:
		return "true or false"
	case int:
		return "a whole number"
	case float64:
		return "a number"
	}
	return "a list"
}

// scored reads a score from low to high.
func scored(f fields, low, high float64) (float64, error) {
	v, err := field[float64](f, "score")
	if err == nil && (v < low || v > high) {
		return 0, fmt.Errorf("\"score\" is %s and must be from %s to %s", plain(v), plain(low), plain(high))
	}
	return v, err
}

// said is the reason of an answer. It is shown to people and decides nothing, so it may be missing.
func said(f fields) string {
	reason, err := field[string](f, "reason")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(reason)
}

// finding is what a grader says of one numbered statement.
type finding struct {
	Number    *int  `json:"number"`
	Supported *bool `json:"supported"`
}

// findings reads what is said of statements 1 to n: of every one, and of each once. The list has them in their order.
func findings(f fields, n int) ([]bool, error) {
	list, err := field[[]finding](f, "findings")
	if err != nil {
		return nil, err
	}
	out, seen := make([]bool, n), make([]bool, n)
	for _, item := range list {
		switch {
		case item.Number == nil || item.Supported == nil:
			return nil, errors.New("a finding lacks its number, or whether the statement is supported")
		case *item.Number < 1 || *item.Number > n:
			return nil, fmt.Errorf("there is no statement %d: they are numbered from 1 to %d", *item.Number, n)
		case seen[*item.Number-1]:
			return nil, fmt.Errorf("statement %d is judged twice", *item.Number)
		}
		out[*item.Number-1], seen[*item.Number-1] = *item.Supported, true
	}
	for i, there := range seen {
		if !there {
			return nil, fmt.Errorf("statement %d is not judged", i+1)
		}
	}
	return out, nil
}

// numbers reads a list of different numbers from 1 to n.
func numbers(f fields, name string, n int) (map[int]bool, error) {
	list, err := field[[]int](f, name)
	if err != nil {
		return nil, err
	}
	out := map[int]bool{}
	for _, number := range list {
		if number < 1 || number > n || out[number] {
			return nil, fmt.Errorf("%q has %d, and each of its numbers is from 1 to %d and there once", name, number, n)
		}
		out[number] = true
	}
	return out, nil
}

// texts reads a list of texts, none of them blank.
func texts(f fields, name string, most int) ([]string, error) {
	list, err := field[[]string](f, name)
	if err != nil {
		return nil, err
	}
	if len(list) > most {
		return nil, fmt.Errorf("%q has %d texts, and %d are the most", name, len(list), most)
	}
	for _, text := range list {
		if strings.TrimSpace(text) == "" {
			return nil, fmt.Errorf("%q has an empty text", name)
		}
	}
	return list, nil
}

// malformed is the error of an answer that cannot be read.
func malformed(who, answer string, cause error) error {
	shown := jsonText(clip(strings.TrimSpace(answer), maxShown))
	if strings.TrimSpace(answer) == "" {
		return schemas.Errorf(schemas.MalformedOutput, "%s said nothing: nothing is judged by that; take another model, or look at its limits", who)
	}
	return schemas.Wrap(schemas.MalformedOutput, cause, "%s did not answer in the form that was asked for (%s), so nothing is judged by it; it began: %s", who, cause.Error(), shown)
}
