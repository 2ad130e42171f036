package score_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/internal/score"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestReadQrels(t *testing.T) {
	t.Parallel()
	want := score.Qrels{"1": {"a": 1, "b": 0}, "2": {"a": 2}}
	tests := []struct{ name, text, message string }{
		{name: "TREC", text: "1 0 a 1\n1 0 b 0\n2 0 a 2\n"},
		{name: "BEIR with its header", text: "query-id\tcorpus-id\tscore\n1\ta\t1\n1\tb\t0\n2\ta\t2"},
		{name: "BEIR without, Windows line ends, empty lines", text: "1\ta\t1\r\n\r\n1\tb\t0\r\n2\ta\t2\r\n"},
		{name: "the same judgement twice", text: "1 0 a 1\n1 0 a 1\n1 0 b 0\n2 0 a 2\n"},
		{name: "too few columns", text: "1 a\n", message: "line 1 has 2 columns"},
		{name: "grade is no number", text: "1 0 a 1\n1 0 b high\n", message: `line 2 has the grade "high"`},
		{name: "contradiction", text: "1 0 a 1\n1 0 a 0\n", message: "line 2 judges document"},
		{name: "endless line", text: strings.Repeat("x", 2<<20), message: "line 1 could not be read"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := score.ReadQrels(strings.NewReader(test.text))
			if test.message != "" {
				checkInvalid(t, err, test.message)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestReadRun(t *testing.T) {
	t.Parallel()
	got, err := score.ReadRun(strings.NewReader("1\tQ0\ta\t1\t-1.5e2\ttag\n2 Q0 b 9 3 tag\n1 Q0 c 2 +Inf tag\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got["1"]) != 2 || got["1"][0] != (score.Ranked{Document: "a", Score: -150}) || got["2"][0].Score != 3 {
		t.Errorf("got %v", got)
	}
	for text, message := range map[string]string{
		"1 Q0 a 1 2\n":         "line 1 has 5 columns",
		"1 Q0 a 1 much tag\n":  `line 1 has the score "much"`,
		"\n1 Q0 a 1 NaN tag\n": `line 2 has the score "NaN"`,
	} {
		_, err := score.ReadRun(strings.NewReader(text))
		checkInvalid(t, err, message)
	}
}

func TestWriteRun(t *testing.T) {
	t.Parallel()
	run := score.Run{"2": {{"b", 0.1}}, "1": {{"a", 1}, {"c", 2}, {"d", 1}}}
	var out bytes.Buffer
	if err := score.WriteRun(&out, run, "tenuto"); err != nil {
		t.Fatal(err)
	}
	want := "1 Q0 c 1 2 tenuto\n1 Q0 d 2 1 tenuto\n1 Q0 a 3 1 tenuto\n2 Q0 b 1 0.1 tenuto\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	checkInvalid(t, score.WriteRun(&out, score.Run{"1": {{"two words", 1}}}, "tenuto"), `"two words" cannot stand`)
	checkInvalid(t, score.WriteRun(&out, run, ""), `"" cannot stand`)
	if err := score.WriteRun(full{}, run, "tenuto"); !errors.Is(err, errFull) {
		t.Errorf("writing to a full disk: %v", err)
	}
}

var errFull = errors.New("no space left")

// full is a writer without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func checkInvalid(t *testing.T, err error, message string) {
	t.Helper()
	if err == nil || schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(err.Error(), message) {
		t.Errorf("got %v, want an invalid with %q", err, message)
	}
}

func FuzzReadQrels(f *testing.F) {
	f.Add("query-id\tcorpus-id\tscore\n1\ta\t1\n")
	f.Add("1 0 a 1\n1 0 b -3\n")
	f.Add("x y\n\x00")
	f.Fuzz(func(t *testing.T, text string) {
		qrels, err := score.ReadQrels(strings.NewReader(text))
		if err != nil {
			checkInvalid(t, err, "line ")
			return
		}
		for query, grades := range qrels {
			if strings.TrimSpace(query) == "" || len(grades) == 0 {
				t.Fatalf("query %q with %d judgements", query, len(grades))
			}
		}
	})
}

// FuzzRun checks that what was read is written and read back the same, and that all measures stay within [0, 1].
func FuzzRun(f *testing.F) {
	f.Add("1 Q0 a 1 0.5 tag\n1 Q0 b 2 0.25 tag\n")
	f.Add("1 Q0 a 1 -Inf tag\n2 Q0 a 1 0x1p-3 tag\n")
	f.Fuzz(func(t *testing.T, text string) {
		run, err := score.ReadRun(strings.NewReader(text))
		if err != nil {
			checkInvalid(t, err, "line ")
			return
		}
		var first, second bytes.Buffer
		if err := score.WriteRun(&first, run, "t"); err != nil {
			t.Fatal(err)
		}
		again, err := score.ReadRun(bytes.NewReader(first.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if err := score.WriteRun(&second, again, "t"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first.String(), second.String()); diff != "" {
			t.Fatalf("(-first +second)\n%s", diff)
		}
		mean := score.Evaluate(score.Qrels{"1": {"a": 3, "b": 1, "z": 1}}, run).Mean
		for _, v := range []float64{mean.AP, mean.RR, mean.NDCG, mean.NDCGAt[10], mean.Recall[10], mean.Precision[10]} {
			if !(v >= 0 && v <= 1+1e-9) {
				t.Fatalf("a measure of %v: %+v", v, mean)
			}
		}
	})
}
