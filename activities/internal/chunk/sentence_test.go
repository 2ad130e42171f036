package chunk

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSentences(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		text string
		want []string
	}{
		{"plain", "One here. Two there! Three?  Four", []string{"One here.", "Two there!", "Three?", "Four"}},
		{"titles and initials", "Dr. A. B. Noor met Mrs. Lee. They spoke.", []string{"Dr. A. B. Noor met Mrs. Lee.", "They spoke."}},
		{"numbers and names", "Pi is 3.14 in main.go today. See Fig. 2 and p. 55. Done.", []string{"Pi is 3.14 in main.go today.", "See Fig. 2 and p. 55.", "Done."}},
		{"quotes", `"Go home." She left. (It rained.) Then sun.`, []string{`"Go home."`, "She left.", "(It rained.)", "Then sun."}},
		{"inner dots", "He lives in the U.S. Navy base. He left the U.S. They stayed.", []string{"He lives in the U.S. Navy base.", "He left the U.S.", "They stayed."}},
		{"Chinese", "今天下雨。你去吗？“去！”他说。", []string{"今天下雨。", "你去吗？", "“去！”", "他说。"}},
		{"Japanese quotes", "彼は「はい。行きます。」と言った。そして帰った。", []string{"彼は「はい。行きます。」と言った。", "そして帰った。"}},
		{"wrapped lines", "A line\nthat goes on. And\nanother.", []string{"A line\nthat goes on.", "And\nanother."}},
		{"empty line", "No stop here\n\nNew start", []string{"No stop here", "New start"}},
		{"lower case goes on", "Use e.g. this one. what? no", []string{"Use e.g. this one. what? no"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, Sentences(c.text)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func material(t testing.TB, parts ...string) string {
	t.Helper()
	root := os.Getenv("TENUTO_TESTDATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	path := filepath.Join(append([]string{root}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no test material at %s: set TENUTO_TESTDATA", path)
	}
	return path
}

// The golden rules hold cases that need understanding; the floors are what the splitter reached when they were set.
func TestGoldenRules(t *testing.T) {
	t.Parallel()
	f, err := os.Open(material(t, "chunking", "sentence-golden-rules.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	passed, total := map[string]int{}, map[string]int{}
	for s := bufio.NewScanner(f); s.Scan(); {
		var rule struct {
			Language, Name, Text string
			Sentences            []string
		}
		if err := json.Unmarshal(s.Bytes(), &rule); err != nil {
			t.Fatal(err)
		}
		total[rule.Language]++
		var got []string
		for _, sentence := range Sentences(rule.Text) { // the rules drop line ends within sentences; offsets need them
			got = append(got, strings.Join(strings.Fields(sentence), " "))
		}
		if cmp.Equal(rule.Sentences, got) {
			passed[rule.Language]++
		} else {
			t.Logf("%s %s: %s", rule.Language, rule.Name, strings.Join(got, " | "))
		}
	}
	t.Logf("passed %v of %v", passed, total)
	for language, floor := range map[string]int{"en": 42, "ja": 4, "hi": 1, "ru": 3, "it": 3, "es": 4, "fa": 1, "ur": 1, "my": 1, "am": 1} {
		if passed[language] < floor {
			t.Errorf("%s: %d of %d, want at least %d", language, passed[language], total[language], floor)
		}
	}
}
