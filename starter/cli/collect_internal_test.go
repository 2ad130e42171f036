package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/schemas"
)

func proposals(questions ...string) []proposedCase {
	var all []proposedCase
	for _, q := range questions {
		vars := []byte(`{"question":"` + q + `"}`)
		all = append(all, proposedCase{Why: "sampled", Case: collectedCase{
			Vars: vars, Assert: []schemas.Assertion{{Type: "contains", Value: q}}, Metadata: caseMetadata{ID: caseID(vars), Run: q, Tags: []string{"collected"}},
		}})
	}
	return all
}

func TestAPersonIsAskedAboutEachCase(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "cases.jsonl")
	before := `{"vars": {"question": "old"}}` // without an end
	if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	cases, err := openCases(file)
	if err != nil {
		t.Fatal(err)
	}
	var counts collected
	s := &session{ctx: t.Context(), stdin: strings.NewReader("y\nwhat?\nn\ns\nYes\nq\ny\n"), stderr: io.Discard}
	if err := askAbout(s, cases, proposals("a", "b", "c", "old", "d", "e"), &counts); err != nil {
		t.Fatal(err)
	}
	if counts.Accepted != 1 || counts.Declined != 1 || counts.Known != 1 || counts.Without != 0 {
		t.Errorf("%+v", counts)
	}
	data, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(data), before+"\n{") || strings.Count(string(data), "\n") != 2 || !strings.Contains(string(data), `"vars":{"question":"a"}`) {
		t.Errorf("%s, %v", data, err)
	}
	again, err := openCases(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range proposals("a", "b", "c", "old") {
		if want := i != 2; again.knows(p.Case.Metadata.ID) != want {
			t.Errorf("case %d is known: %v", i, !want)
		}
	}
}

// TestAnInterruptKeepsWhatWasAccepted leaves the second question without an answer.
func TestAnInterruptKeepsWhatWasAccepted(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "cases.jsonl")
	cases, err := openCases(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	answers, person := io.Pipe()
	var screen watched
	screen.on = func(text string) {
		if strings.Contains(text, "2 of 2") {
			interrupt()
		}
	}
	go func() { _, _ = person.Write([]byte("y\n")) }()
	var counts collected
	err = askAbout(&session{ctx: ctx, stdin: answers, stderr: &screen}, cases, proposals("a", "b"), &counts)
	if !errors.Is(err, context.Canceled) || counts.Accepted != 1 {
		t.Errorf("%v, %+v", err, counts)
	}
	data, err := os.ReadFile(file)
	if err != nil || !bytes.Contains(data, []byte(`"question":"a"`)) {
		t.Errorf("%s, %v", data, err)
	}
}

// watched tells of what is written.
type watched struct{ on func(string) }

// Write implements io.Writer.
func (w *watched) Write(p []byte) (int, error) {
	w.on(string(p))
	return len(p), nil
}

// FuzzCaseFile adds to whatever is there: either it is refused as it stands, or it keeps every byte and knows what was added.
func FuzzCaseFile(f *testing.F) {
	for _, seed := range []string{"", "{\"vars\":{\"a\":1}}\n", "{\"vars\":{\"a\":1e999}}", "\n\n[1]", "{\"vars\":[]}\r\n", "{"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, before []byte) {
		file := filepath.Join(t.TempDir(), "cases.jsonl")
		if err := os.WriteFile(file, before, 0o600); err != nil {
			t.Fatal(err)
		}
		cases, err := openCases(file)
		if err != nil {
			if schemas.CodeOf(err) != schemas.Invalid {
				t.Errorf("refused as %v", err)
			}
			return
		}
		defer cases.close()
		p := proposals("new")[0]
		added, err := cases.add(p.Case)
		after, fault := os.ReadFile(file)
		if err != nil || fault != nil || !bytes.HasPrefix(after, before) || added == bytes.Equal(before, after) {
			t.Fatalf("%v, %v, added %v: %q became %q", err, fault, added, before, after)
		}
		again, err := openCases(file)
		if err != nil || !again.knows(p.Case.Metadata.ID) {
			t.Errorf("%v of %q", err, after)
		}
	})
}
