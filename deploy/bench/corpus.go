package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// document is one line of a corpus.
type document struct {
	ID    string `json:"_id"`
	Title string `json:"title"`
	Text  string `json:"text"`
}

// corpus is SciFact where it is, otherwise as many generated documents of about its length.
func corpus() (name string, documents []document, err error) {
	file, err := os.Open(filepath.Join(os.Getenv("TENUTO_TESTDATA"), "retrieval", "scifact", "corpus.jsonl")) //nolint:gosec // the caller says where test data is
	if err != nil {
		return "generated", generate(5183, 200), nil
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var d document
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			return "", nil, err
		}
		documents = append(documents, d)
	}
	return "scifact", documents, lines.Err()
}

// generate makes n documents of that many words, always the same. Words are drawn as in language: few are frequent, many are rare.
func generate(n, words int) []document {
	source := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // must repeat
	zipf := rand.NewZipf(source, 1.1, 8, 40_000)
	documents := make([]document, n)
	for i := range documents {
		documents[i] = document{ID: fmt.Sprintf("doc-%06d", i), Title: sentence(zipf, 6), Text: sentence(zipf, words)}
	}
	return documents
}

func sentence(zipf *rand.Zipf, words int) string {
	var b strings.Builder
	for i := range words {
		b.WriteString(invent(zipf.Uint64()))
		if i%12 == 11 || i == words-1 {
			b.WriteString(". ")
		} else {
			b.WriteByte(' ')
		}
	}
	return strings.TrimSpace(b.String())
}

// invent spells a number as a word that can be spoken.
func invent(n uint64) string {
	const consonants, vowels = "bdfgklmnprstvz", "aeiou"
	var b strings.Builder
	for n += 20; n > 0; n /= uint64(len(consonants) * len(vowels)) {
		b.WriteByte(consonants[n%uint64(len(consonants))])
		b.WriteByte(vowels[n/uint64(len(consonants))%uint64(len(vowels))])
	}
	return b.String()
}

// write puts documents into a JSONL file. A mark makes every text one that was never seen.
func write(path string, documents []document, mark string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(file)
	encoder := json.NewEncoder(out)
	for _, d := range documents {
		d.Title += mark
		if err := encoder.Encode(d); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return file.Close()
}
