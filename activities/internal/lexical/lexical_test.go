package lexical

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWords(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"empty", "", ""},
		{"stems without stop words", "The cells were dividing", "cell divid"},
		{"only stop words", "To be or not to be", "to be or not to be"},
		{"possessive", "Parkinson's disease", "parkinson diseas"},
		{"identifiers come apart", "sync.WaitGroup max_open 3", "sync waitgroup max open 3"},
		{"accents", "Café ÜBER Ἀθῆναι", "cafe uber αθηναι"},
		{"Chinese", "北京大学", "北京 京大 大学"},
		{"one character", "猫", "猫"},
		{"mixed", "Go语言1.26版", "go 语言 1 26 版"},
		{"Hindi keeps its marks", "किताब", "किताब"},
		{"not UTF-8", "one\xfftwo", "on two"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, strings.Join(words(test.text), " ")); diff != "" {
				t.Errorf("words(%q) (-want +got)\n%s", test.text, diff)
			}
		})
	}
}

func TestEmbedShape(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "...", "a", "The quick brown fox", "北京大学", strings.Repeat("long ", 10_000), strings.Repeat("y", 10_000)} {
		for _, dims := range []int{1, 2, 3, 256, Dimensions} {
			vector := Embed(text, dims)
			if len(vector) != dims {
				t.Fatalf("%d numbers, want %d", len(vector), dims)
			}
			if got := dot(vector, vector); math.Abs(got-1) > 1e-5 {
				t.Errorf("Embed(%.20q, %d) has length² %v, want 1", text, dims, got)
			}
			if diff := cmp.Diff(vector, Embed(text, dims)); diff != "" {
				t.Errorf("Embed(%.20q, %d) differs the second time", text, dims)
			}
		}
	}
	if got := len(Embed("x", 0)); got != Dimensions {
		t.Errorf("dims 0 gives %d numbers, want Dimensions", got)
	}
}

// TestEmbedIsStable pins one vector: indexes hold vectors of earlier releases, so a change of the features needs a new embedder name.
func TestEmbedIsStable(t *testing.T) {
	t.Parallel()
	want := []float32{-0.6886564, 0.25204057, 0.40948737, 0.27766606, 0.3636361, -0.14774099, -0.21904843, -0.124132045}
	got := Embed("Durable workflows survive crashes; 北京", 8)
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 1e-6 {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func TestRelatedTextsAreNearer(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, query, near, far string }{
		{"other form of the word", "phosphorylated proteins", "Dephosphorylation of a protein by phosphatase", "Bone density of older women"},
		{"typo", "retreival augmentation", "Retrieval augmented generation grounds answers", "A garbage collector frees memory"},
		{"identifier", "WaitGroup", "sync.WaitGroup waits for goroutines", "A channel carries values of one type"},
		{"German compound", "Versicherung", "Die Krankenversicherung zahlt den Arzt", "Der Zug fährt nach Hamburg"},
		{"Chinese", "北京的大学", "清华大学位于北京市", "上海是一座港口城市"},
		{"accents", "Cafe Zurich", "Das Café in Zürich", "Der Hafen in Hamburg"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			query := Embed(test.query, 0)
			near, far := dot(query, Embed(test.near, 0)), dot(query, Embed(test.far, 0))
			if near <= far {
				t.Errorf("%q is at %.3f, %q at %.3f", test.near, near, test.far, far)
			}
		})
	}
}

func FuzzEmbed(f *testing.F) {
	for _, text := range []string{"", "The cells", "北京 ー a\u0301", "\xff\xfe", strings.Repeat("y", 200), "ﷺ İ ẞ"} {
		f.Add(text, 16)
	}
	f.Fuzz(func(t *testing.T, text string, dims int) {
		vector := Embed(text, dims%4096)
		if got := dot(vector, vector); math.IsNaN(got) || math.Abs(got-1) > 1e-4 {
			t.Fatalf("length² %v, want 1", got)
		}
		if !cmp.Equal(vector, Embed(text, dims%4096)) {
			t.Fatal("not deterministic")
		}
	})
}

// BenchmarkEmbed embeds English abstracts from the shared test material.
func BenchmarkEmbed(b *testing.B) {
	root := os.Getenv("TENUTO_TESTDATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	text, err := os.ReadFile(filepath.Join(root, "retrieval", "scifact", "corpus.jsonl"))
	if err != nil {
		b.Skipf("no test material (set TENUTO_TESTDATA to have this benchmark): %v", err)
	}
	const size = 1 << 12 // about a chunk
	b.SetBytes(size)
	at := 0
	for b.Loop() {
		Embed(string(text[at:at+size]), 0)
		at = (at + size) % (len(text) - size)
	}
}

func dot(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}
