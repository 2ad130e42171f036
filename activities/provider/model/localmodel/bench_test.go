package localmodel

import "testing"

func BenchmarkExtract(b *testing.B) {
	passages := rank(specPassages(b)).best("What is the zero value of a pointer?")
	for b.Loop() {
		extract("What is the zero value of a pointer?", passages)
	}
}
