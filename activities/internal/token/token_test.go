package token

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/schemas"
)

func mustNew(t testing.TB, encoding string) *Counter {
	t.Helper()
	c, err := New(encoding)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNewRefusesOtherEncodings(t *testing.T) {
	t.Parallel()
	if _, err := New("p50k"); schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("got %v, want an error of code invalid", err)
	}
}

// material is the folder of shared test data; the test is skipped where it is absent.
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

func TestVectors(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"cl100k_base", "o200k_base"} {
		f, err := os.Open(material(t, "tokenizer", encoding+".jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		c := mustNew(t, encoding)
		n := 0
		for s := bufio.NewScanner(f); s.Scan(); n++ {
			var v struct {
				Text   string
				Tokens []int
			}
			if err := json.Unmarshal(s.Bytes(), &v); err != nil {
				t.Fatal(err)
			}
			if got := c.Count(v.Text); got != len(v.Tokens) {
				t.Errorf("%s %.60q: got %d, want %d", encoding, v.Text, got, len(v.Tokens))
			}
		}
		if n < 100 {
			t.Errorf("%s: only %d vectors", encoding, n)
		}
	}
}

func TestTiktokenReference(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(material(t, "tokenizer", "tiktoken-reference.json"))
	if err != nil {
		t.Fatal(err)
	}
	var reference struct {
		Encode []struct {
			Encoding, Text string
			Tokens         []int
		}
	}
	if err := json.Unmarshal(data, &reference); err != nil || len(reference.Encode) == 0 {
		t.Fatalf("%d vectors, error %v", len(reference.Encode), err)
	}
	for _, v := range reference.Encode {
		if c, err := New(v.Encoding); err == nil && c.Count(v.Text) != len(v.Tokens) {
			t.Errorf("%s %q: got %d, want %d", v.Encoding, v.Text, c.Count(v.Text), len(v.Tokens))
		}
	}
}

var samples = []string{
	"", " ", "  ", "\n", " \n ", "a", "Hello, world!", "It's THEY'RE we'LL I'd", "tabs\t\tand  spaces   end  ",
	"1234567 3.14 ١٢٣ ½", "x = foo(bar[1], \"s\")\n\tif y {\r\n\t}\n\n\n", "naïve café Straße ÀÉÎ", "日本語のテキスト。한국어 中文ABC中文abc",
	"e\u0301 \u0301abc \u0301", "👍🏽 👨‍👩‍👧 🇩🇪", "HTTPServer camelCase SNAKE_CASE ǅ ʰ ªº", "a/b//c/\n/d", "<|endoftext|>",
	"\u00a0\u2003\u3000 x", "\u2028\u0085", strings.Repeat("ab", 100), strings.Repeat("= ", 80), strings.Repeat(" ", 300) + "x",
	strings.Repeat("漢字", 60), "Ωmega ΑΒΓ αβγ Привет МИР", "\u200b\u200d\ufeff", "don\u2019t 'S 'Ve 'lL 'x",
}

// space and letters of the expressions in split.go, in the syntax of Go's regexp, which also takes the first alternative that
// matches. It has no look-ahead; splitSlowly does that part.
const (
	blank = `[\s\v\x{85}\p{Z}]`
	solid = `[^\s\v\x{85}\p{Z}\p{L}\p{N}]`
	upper = `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
	lower = `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
	short = `'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])`
)

var expressions = map[string]*regexp.Regexp{
	"cl100k_base": regexp.MustCompile(`^(?:` + short + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?` + solid + `+[\r\n]*|` + blank + `*[\r\n]+)`),
	"o200k_base": regexp.MustCompile(`^(?:[^\r\n\p{L}\p{N}]?` + upper + `*` + lower + `+(?:` + short + `)?|[^\r\n\p{L}\p{N}]?` + upper + `+` +
		lower + `*(?:` + short + `)?|\p{N}{1,3}| ?` + solid + `+[\r\n/]*|` + blank + `*[\r\n]+)`),
}

var blanks = regexp.MustCompile(`^` + blank + `+`)

func splitSlowly(encoding, s string) int {
	if m := expressions[encoding].FindString(s); m != "" {
		return len(m)
	}
	m := blanks.FindString(s)
	if _, size := utf8.DecodeLastRuneInString(m); len(m) < len(s) && len(m) > size {
		return len(m) - size
	}
	return len(m)
}

// countSlowly is the definition of byte-pair encoding, without regard to time.
func countSlowly(r *ranks, encoding, s string) int {
	n := 0
	for len(s) > 0 {
		size := splitSlowly(encoding, s)
		var parts []string
		for i := range size {
			parts = append(parts, s[i:i+1])
		}
		for {
			best, rank := -1, uint32(none)
			for i := 0; i+1 < len(parts); i++ {
				if id, ok := r.table[parts[i]+parts[i+1]]; ok && id < rank {
					best, rank = i, id
				}
			}
			if best < 0 {
				break
			}
			parts[best] += parts[best+1]
			parts = append(parts[:best+1], parts[best+2:]...)
		}
		n += len(parts)
		s = s[size:]
	}
	return n
}

// The library's own encoder is no reference: it divides white space with several line ends otherwise than tiktoken does, and
// drops DEL.
func TestAgreesWithDefinition(t *testing.T) {
	t.Parallel()
	for encoding := range expressions {
		c := mustNew(t, encoding)
		for _, s := range append(samples, "today\n \n", " \n \n?", "\x7f", "a\u2028\n b") {
			if got, want := c.Count(s), countSlowly(c.ranks, encoding, s); got != want {
				t.Errorf("%s %.60q: got %d, want %d", encoding, s, got, want)
			}
		}
	}
}

func FuzzAgreesWithDefinition(f *testing.F) {
	for _, s := range samples {
		f.Add(s)
	}
	counters := map[string]*Counter{}
	for encoding := range expressions {
		counters[encoding] = mustNew(f, encoding)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if s = strings.ToValidUTF8(s, "?"); len(s) > 1000 {
			return
		}
		for encoding, c := range counters {
			if got, want := c.Count(s), countSlowly(c.ranks, encoding, s); got != want {
				t.Errorf("%s %q: got %d, want %d", encoding, s, got, want)
			}
		}
	})
}

// The two ways to join pairs must agree where both apply.
func TestLongAgreesWithSmall(t *testing.T) {
	t.Parallel()
	table := mustNew(t, "cl100k_base").ranks
	for _, s := range samples {
		if len(s) < 2 || len(s) > smallPiece {
			continue
		}
		if small, long := table.countSmall(s), table.countLong(s); small != long {
			t.Errorf("%q: small %d, long %d", s, small, long)
		}
	}
}

// One unbroken run takes about as long per byte as short ones: doubling it must not quadruple the time.
func TestLongRunsTakeLinearTime(t *testing.T) {
	t.Parallel()
	c := mustNew(t, "cl100k_base")
	for _, unit := range []string{"a", "xq", "漢", "=", " "} {
		measure := func(n int) time.Duration {
			text := strings.Repeat(unit, n/len(unit))
			start := time.Now()
			if c.Count(text) == 0 {
				t.Errorf("%q: no tokens", unit)
			}
			return time.Since(start)
		}
		measure(1 << 14)
		var short, long time.Duration
		for range 4 { // a busy machine spoils a try; what is slow by itself spoils all
			if short, long = measure(1<<16), measure(1<<20); long <= 120*max(short, time.Millisecond) {
				break
			}
		}
		if long > 120*max(short, time.Millisecond) {
			t.Errorf("%q: 64 KB took %v, 1 MB took %v", unit, short, long)
		}
	}
}

func BenchmarkCount(b *testing.B) {
	text := strings.Repeat("The quick brown fox, they say, jumped over 13 lazy dogs; nobody's measured how far. ", 4000)
	for _, encoding := range []string{"cl100k_base", "o200k_base"} {
		c := mustNew(b, encoding)
		b.Run(encoding, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				c.Count(text)
			}
		})
	}
}
