package e2e

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/tenuto-dev/tenuto/schemas"
)

// folder writes files, by their slash-separated paths, into a new folder with this name and returns its path.
func folder(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, content := range files {
		write(t, filepath.Join(root, filepath.FromSlash(path)), content)
	}
	return root
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// utf16File is text as UTF-16, little-endian, with its byte order mark.
func utf16File(text string) string {
	data := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		data = binary.LittleEndian.AppendUint16(data, unit)
	}
	return string(data)
}

// lighthouse is a small corpus in every format, with one document that is broken.
func lighthouse(t *testing.T) string {
	t.Helper()
	return folder(t, "lighthouse", map[string]string{
		"keeper.md": "---\ntitle: The keeper's handbook\ntopic: lighthouse\n---\n\n# The lamp\n\n" +
			"The lamp of the Skerry light burns colza oil and is trimmed every four hours. A keeper who lets it go out answers for it.\n\n" +
			"## The lens\n\nThe lens is a first-order Fresnel lens with 1014 prisms. It is cleaned with spirit of wine before noon.\n\n" +
			"## The clockwork\n\nThe clockwork turns the lens once in eight minutes. Its weight falls thirty metres and is wound by hand.\n\n" +
			"## The fog signal\n\nIn fog the siren sounds for five seconds in every minute. The compressor needs forty litres of water.\n\n" +
			"## The log\n\nEvery passing ship is entered in the log with its hour, its flag and the state of the sea.\n",
		"history/page.html": "<!doctype html><html><head><title>History of the light</title></head><body><nav>Home | About</nav>" +
			"<main><h1>History</h1><p>The tower was built in 1843 by the engineer Halvard Munthe from gneiss of the island.</p>" +
			"<h2>Shipwrecks</h2><p>The barque Undine stranded on the reef in the storm of 1871.</p></main></body></html>",
		"letter.txt":    utf16File("Ärende till fyrmästaren: oljan räcker till midsommar, sade Åke på Öland.\n"),
		"supplies.csv":  "item,quantity,place\ncolza oil,900 litres,cellar\nmantles,48,store room\n",
		"stations.json": `{"stations": [{"name": "Skerry", "range_miles": 19}, {"name": "Gull Rock", "range_miles": 11}]}`,
		"rules.rst":     "Rules\n=====\n\nNo visitor climbs the gallery after sunset.\n\nBoats\n-----\n\nThe dinghy is hauled above the tide mark.\n",
		"broken.json":   `{"stations": [`,
	})
}

// lines writes a JSONL file with n documents that a function makes.
func lines(t *testing.T, name string, n int, text func(i int) string) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		line, err := json.Marshal(map[string]string{"_id": fmt.Sprintf("d%05d", i), "title": fmt.Sprintf("Note %d", i), "text": text(i)})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	path := filepath.Join(t.TempDir(), name)
	write(t, path, b.String())
	return path
}

// notes writes a JSONL file of n tiny documents.
func notes(t *testing.T, n int) string {
	t.Helper()
	return lines(t, "notes.jsonl", n, func(i int) string {
		return fmt.Sprintf("Note number %d says that box %d stands on shelf %d of row %d.", i, i*7919%10007, i%97, i%31)
	})
}

// listedFile is a file as a listing has it.
func listedFile(t *testing.T, path string) schemas.ListedDocument {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return schemas.ListedDocument{Path: filepath.Base(path), SHA256: schemas.Hash(data), Bytes: int64(len(data))}
}

// longLine writes a file with a line of 200 MB, a piece at a time, between two texts.
func longLine(t *testing.T, path, before, after string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteString(before)
	piece := strings.Repeat("a line without end ", 1<<16)
	for written := 0; written < 200<<20 && err == nil; written += len(piece) {
		_, err = file.WriteString(piece)
	}
	if err == nil {
		_, err = file.WriteString(after)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// noise is n bytes that are text in no encoding, the same every time.
func noise(n int) string {
	data := make([]byte, n)
	source := rand.NewPCG(1, 2)
	for i := range data {
		data[i] = byte(source.Uint64())
	}
	return string(data)
}
