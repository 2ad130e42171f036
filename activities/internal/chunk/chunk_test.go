package chunk

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// words counts a token for each word and each sign, as tokenizers roughly do; four characters of a long word are a token.
type words struct{}

func (words) Count(text string) int {
	n, run := 0, 0
	for _, r := range text {
		switch {
		case unicode.IsSpace(r):
			run = 0
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			if run%4 == 0 {
				n++
			}
			run++
		default:
			n++
			run = 0
		}
	}
	return n
}

// build makes a document of lines "kind: text"; kinds are h1 to h6, p, code, table, list. A | in the text is a line end.
func build(t testing.TB, source string) Doc {
	t.Helper()
	var doc Doc
	var path []string
	levels := []int{}
	for line := range strings.Lines(source) {
		kind, text, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			continue
		}
		text = strings.ReplaceAll(text, "|", "\n")
		b := Block{Kind: map[string]Kind{"code": Code, "table": Table, "list": List, "p": Paragraph}[kind]}
		if kind[0] == 'h' {
			b.Kind, b.Level = Heading, int(kind[1]-'0')
			for len(levels) > 0 && levels[len(levels)-1] >= b.Level {
				levels, path = levels[:len(levels)-1], path[:len(path)-1]
			}
			levels, path = append(levels, b.Level), append(append([]string{}, path...), text)
		}
		if doc.Text != "" {
			doc.Text += "\n\n"
		}
		b.Start, b.Heading = len(doc.Text), path
		doc.Text += text
		b.End = len(doc.Text)
		doc.Blocks = append(doc.Blocks, b)
	}
	return doc
}

func TestSplit(t *testing.T) {
	t.Parallel()
	five := "one two three four five. "
	for _, c := range []struct {
		name     string
		doc      string
		settings Settings
		want     []string // section, then text, with | for line ends
	}{
		{"a small document is one chunk", "h1: T\np: Some text.", Settings{MaxTokens: 40}, []string{"T", "T||Some text."}},
		{
			"no chunk reaches over a heading of level 2",
			"h1: T\nh2: A\np: " + strings.Repeat(five, 3) + "\nh2: B\np: " + strings.Repeat(five, 2),
			Settings{MaxTokens: 60},
			[]string{
				"T > A", "T||A||" + strings.TrimSpace(strings.Repeat(five, 3)),
				"T > B", "B||" + strings.TrimSpace(strings.Repeat(five, 2)),
			},
		},
		{
			"tiny sections share a chunk, under what they share",
			"h1: T\nh2: A\np: a b.\nh2: B\np: c d.\nh2: C\np: e f.",
			Settings{MaxTokens: 80},
			[]string{"T", "T||A||a b.||B||c d.||C||e f."},
		},
		{
			"a heading stays with its text",
			"p: " + strings.Repeat(five, 3) + "\nh3: H\np: " + strings.Repeat(five, 3),
			Settings{MaxTokens: 32},
			[]string{"", strings.TrimSpace(strings.Repeat(five, 3)), "H", "H||" + strings.TrimSpace(strings.Repeat(five, 3))},
		},
		{
			"overlap is whole sentences",
			"p: Aa bb cc dd. Ee ff gg hh. Ii jj kk ll. Mm nn oo pp. Qq rr ss tt. Uu vv ww xx. Aa bb cc yy. Zz.",
			Settings{MaxTokens: 32, OverlapTokens: 8},
			[]string{
				"", "Aa bb cc dd. Ee ff gg hh. Ii jj kk ll. Mm nn oo pp. Qq rr ss tt. Uu vv ww xx.",
				"", "Uu vv ww xx. Aa bb cc yy. Zz.",
			},
		},
		{
			"code that fits stays whole",
			"p: " + strings.Repeat(five, 4) + "\ncode: a b c d|e f g h|i j k l",
			Settings{MaxTokens: 32, OverlapTokens: 0},
			[]string{"", strings.TrimSpace(strings.Repeat(five, 4)), "", "a b c d|e f g h|i j k l"},
		},
		{
			"a large table is cut at line ends",
			"table: " + strings.Repeat("a b c d e f g h i j|", 5),
			Settings{MaxTokens: 32},
			[]string{"", "a b c d e f g h i j|a b c d e f g h i j|a b c d e f g h i j", "", "a b c d e f g h i j|a b c d e f g h i j"},
		},
		{"white space is no chunk", "", Settings{MaxTokens: 32}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, x := range Split(build(t, c.doc), words{}, c.settings) {
				got = append(got, x.Section, strings.ReplaceAll(x.Text, "\n", "|"))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// check reports every promise of Split that chunks break.
func check(doc Doc, s Settings, chunks []Chunk) error {
	covered, valid := 0, utf8.ValidString(doc.Text)
	for i, c := range chunks {
		switch {
		case c.Ordinal != i:
			return fmt.Errorf("chunk %d has ordinal %d", i, c.Ordinal)
		case c.Text != doc.Text[c.Start:c.End]:
			return fmt.Errorf("chunk %d is not what stands at its offsets", i)
		case c.Tokens != words{}.Count(c.Text):
			return fmt.Errorf("chunk %d says %d tokens", i, c.Tokens)
		case c.Tokens > s.MaxTokens && utf8.RuneCountInString(c.Text) > 1:
			return fmt.Errorf("chunk %d has %d tokens of %d", i, c.Tokens, s.MaxTokens)
		case c.End <= covered:
			return fmt.Errorf("chunk %d adds nothing", i)
		case c.Start > covered && strings.TrimSpace(doc.Text[covered:c.Start]) != "":
			return fmt.Errorf("before chunk %d, %q is lost", i, doc.Text[covered:c.Start])
		case valid && !utf8.ValidString(c.Text):
			return fmt.Errorf("chunk %d cuts a character", i)
		}
		if i > 0 && c.Start < chunks[i-1].End && (words{}).Count(doc.Text[c.Start:chunks[i-1].End]) > s.OverlapTokens {
			return fmt.Errorf("chunk %d overlaps by more than %d tokens", i, s.OverlapTokens)
		}
		covered = c.End
	}
	if rest := strings.TrimSpace(doc.Text[covered:]); rest != "" {
		return fmt.Errorf("the end %.40q is lost", rest)
	}
	return nil
}

func FuzzSplit(f *testing.F) {
	f.Add("Title\n\nSome text. More of it! And 中文。也好。\n\ncode {\n\tx\n}\n", uint16(32), uint16(8), uint64(0x1234))
	f.Add(strings.Repeat("x", 500)+"👩‍👩‍👧e\u0301"+strings.Repeat(" ", 99)+"\xff\xfe", uint16(5), uint16(2), uint64(7))
	f.Add("1. One 2. Two 3. Three. . . . \"Ok.\" (So.) U.S. Mr. X", uint16(1), uint16(9), uint64(1<<60))
	f.Fuzz(func(t *testing.T, text string, maxTokens, overlap uint16, shape uint64) {
		s := Settings{MaxTokens: int(maxTokens%512) + 1, OverlapTokens: int(overlap % 512)}
		doc := Doc{Text: text}
		kinds := []Kind{Paragraph, Code, Table, List, Heading}
		for at := 0; shape != 0 && at < len(text); shape >>= 7 {
			end := min(at+int(shape&0x3f), len(text))
			for end < len(text) && !utf8.RuneStart(text[end]) {
				end++
			}
			doc.Blocks = append(doc.Blocks, Block{Kind: kinds[shape%5], Level: int(shape % 4), Start: at, End: end, Heading: []string{fmt.Sprint(shape % 3)}})
			at = end
		}
		chunks := Split(doc, words{}, s)
		s.OverlapTokens = min(s.OverlapTokens, s.MaxTokens/2)
		if err := check(doc, s, chunks); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(chunks, Split(doc, words{}, s)); diff != "" {
			t.Errorf("two runs differ:\n%s", diff)
		}
	})
}

func FuzzSentences(f *testing.F) {
	f.Add("A b. C d! 「え。」ね。 . . . x\n\n1. y")
	f.Fuzz(func(t *testing.T, text string) {
		at := 0
		for start, end := range sentences(text) {
			if start != at || end <= start {
				t.Fatalf("span %d:%d behind %d", start, end, at)
			}
			at = end
		}
		if at != len(text) {
			t.Errorf("the spans end at %d of %d", at, len(text))
		}
	})
}

// The time of a text ten times as long may be at most some thirty times as long, whatever the text.
func TestSplitTakesLinearTime(t *testing.T) { //nolint:paralleltest // it measures time
	for _, unit := range []string{"x", "word ", "A b. ", ". ", "! ", "\n", "1. ", "“", "字", "字。", " ", "- a\n", "U.S. ", "e\u0301"} {
		measure := func(n int) time.Duration {
			doc := Doc{Text: strings.Repeat(unit, n/len(unit))}
			s := Settings{MaxTokens: 400, OverlapTokens: 50}
			start := time.Now()
			chunks := Split(doc, words{}, s)
			took := time.Since(start)
			if err := check(doc, s, chunks); err != nil {
				t.Errorf("%q: %v", unit, err)
			}
			return took
		}
		var short, long time.Duration
		for range 4 { // a busy machine spoils a try; what is slow by itself spoils all
			if short, long = measure(1e5), measure(1e6); long <= 30*max(short, 5*time.Millisecond) {
				break
			}
		}
		if long > 30*max(short, 5*time.Millisecond) {
			t.Errorf("%q: 100 KB took %v, 1 MB took %v", unit, short, long)
		}
	}
}

func TestCutsKeepGraphemesTogether(t *testing.T) {
	t.Parallel()
	unit := "e\u0301👩‍👩‍👧🇩🇪"
	for _, c := range Split(Doc{Text: strings.Repeat(unit, 200)}, words{}, Settings{MaxTokens: 50}) {
		r, _ := utf8.DecodeRuneInString(c.Text)
		last, _ := utf8.DecodeLastRuneInString(c.Text)
		if unicode.Is(unicode.M, r) || r == 0x200D || last == 0x200D || strings.Count(c.Text, "\U0001F1E9") != strings.Count(c.Text, "\U0001F1EA") {
			t.Errorf("a cut within a character: %+q", c.Text)
		}
	}
}

// Blocks that a caller cuts within a character still end, and lose nothing.
func TestBlocksWithinCharacters(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("字", 10)
	doc := Doc{Text: text, Blocks: []Block{{Kind: Paragraph, Start: 0, End: 4}, {Kind: Code, Start: 4, End: 5}, {Kind: List, Start: 5, End: 29}}}
	at := 0
	for _, c := range Split(doc, bytesCounter{}, Settings{MaxTokens: 1}) {
		if c.Start != at {
			t.Fatalf("chunk %d begins at %d, want %d", c.Ordinal, c.Start, at)
		}
		at = c.End
	}
	if at != len(text) {
		t.Errorf("the chunks end at %d of %d", at, len(text))
	}
}

// bytesCounter counts every byte, so that no character fits into one token.
type bytesCounter struct{}

func (bytesCounter) Count(text string) int { return len(text) }
