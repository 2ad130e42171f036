package analyze

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkTerms analyses pieces of about a chunk.
func BenchmarkTerms(b *testing.B) {
	b.Run("English", func(b *testing.B) {
		text, err := os.ReadFile(filepath.Join(testdata(), "retrieval", "scifact", "corpus.jsonl"))
		if err != nil {
			b.Skipf("no test material (set TENUTO_TESTDATA to have this benchmark): %v", err)
		}
		benchmarkTerms(b, string(text))
	})
	b.Run("Chinese", func(b *testing.B) {
		benchmarkTerms(b, strings.Repeat("图书馆周一至周五上午九点开放,周末上午十点开放。", 1000))
	})
	b.Run("one line of ys", func(b *testing.B) { benchmarkTerms(b, strings.Repeat("y", 1<<20)) })
}

func benchmarkTerms(b *testing.B, text string) {
	b.Helper()
	analyzer := newAnalyzer(b, Auto)
	const size = 1 << 12
	b.SetBytes(size)
	at := 0
	for b.Loop() {
		analyzer.Terms(text[at : at+size])
		at = (at + size) % (len(text) - size)
	}
}
