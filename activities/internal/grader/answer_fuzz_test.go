package grader

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

func FuzzObject(f *testing.F) {
	for _, seed := range []string{`{"pass":true}`, "```json\n{\"a\":1}\n```", "```\n{}\n```", `{"a":1,"a":2}`, `{"a":[{"b":"}"}]}`, "x {} y", "", "{", "```json\n{}", `{"number":1}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		got, err := object(answer)
		if err != nil {
			if got != nil {
				t.Fatalf("%q has fields and the error %v", answer, err)
			}
			return
		}
		text := strings.TrimSpace(answer)
		if inner, fenced := unfenced(text); fenced {
			text = inner
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &want); err != nil || len(want) != len(got) {
			t.Fatalf("%q was read as %v, and is %v: %v", answer, got, want, err)
		}
		for name := range got {
			if string(got[name]) != string(want[name]) {
				t.Fatalf("%q: %q was read as %s, and is %s", answer, name, got[name], want[name])
			}
		}
		for _, n := range []int{1, 3} {
			if list, err := findings(got, n); err == nil && len(list) != n {
				t.Fatalf("%q: %d findings for %d statements", answer, len(list), n)
			}
		}
		if v, err := scored(got, 0, 1); err == nil && (v < 0 || v > 1) {
			t.Fatalf("%q has the score %v", answer, v)
		}
	})
}

func FuzzSentences(f *testing.F) {
	for _, seed := range []string{"One. Two.", "Dr. Who is here. Yes!", "一。二。", "a\nb\n\nc", "...", "", "3.5 is e.g. small. \"So.\" He went.", "J. R. Smith. 4 men"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list := sentences(text)
		if len(list) == 0 {
			t.Fatalf("%q has no sentence", text)
		}
		squeeze := func(s string) string {
			return strings.Map(func(r rune) rune {
				if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
					return -1
				}
				return r
			}, s)
		}
		if got, want := squeeze(strings.Join(list, "")), squeeze(text); got != want {
			t.Fatalf("%q lost letters: %q", text, list)
		}
	})
}

func TestSentences(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"max purchase price without approval is $500. Talk to Fred before submitting anything.": "max purchase price without approval is $500.|Talk to Fred before submitting anything.",
		"Paris is the capital. France has great wine. The Eiffel Tower is in Paris.":            "Paris is the capital.|France has great wine.|The Eiffel Tower is in Paris.",
		"- one\n- two\n\n---\n":                       "- one|- two",
		"It is 3.5 m, e.g. here. Dr. Who came! Why?":  "It is 3.5 m, e.g. here.|Dr. Who came!|Why?",
		"He said \"Go.\" Then he went (far.) 4 came.": "He said \"Go.\"|Then he went (far.)|4 came.",
		"今日は晴れ。明日は雨！":                                 "今日は晴れ。|明日は雨！",
		"J. R. Smith wrote it.":                       "J. R. Smith wrote it.",
		"...":                                         "...",
	} {
		if got := strings.Join(sentences(text), "|"); got != want {
			t.Errorf("%q is split into %q", text, got)
		}
	}
}
