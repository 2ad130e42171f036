package scan

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/listing"
)

var byteOrderMark = []byte("\xef\xbb\xbf")

// lines lists the documents of a JSONL file by the places of their lines.
func (s *scanner) lines(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return schemas.Wrap(schemas.Invalid, err, "%s cannot be read: %s", path, reasonOf(err))
	}
	defer file.Close()
	l := &lineScanner{
		scanner: s, in: bufio.NewReaderSize(file, 1<<16), name: filepath.Base(path), file: s.fileNumber(path), ids: make(map[[16]byte]int),
	}
	for l.number = 1; ; l.number++ {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		size, err := l.next()
		if size > 0 {
			l.document(size)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return schemas.Wrap(schemas.Unavailable, err, "%s cannot be read at line %d: %s", path, l.number, reasonOf(err))
		}
	}
}

// lineScanner reads a JSONL file line by line; it holds one line, and sixteen bytes of each id.
type lineScanner struct {
	*scanner
	in     *bufio.Reader
	name   string
	file   int32
	number int
	offset int64 // of the line
	after  int64 // of the next line
	line   []byte
	ids    map[[16]byte]int // by the start of their hash, to the line
}

// next reads one line and returns its size with its end. Of a line that is too long for a document only the beginning is kept.
func (l *lineScanner) next() (size int64, err error) {
	l.offset, l.line = l.after, l.line[:0]
	for {
		part, err := l.in.ReadSlice('\n')
		size += int64(len(part))
		if room := schemas.MaxDocumentBytes + 2 - len(l.line); room > 0 {
			l.line = append(l.line, part[:min(len(part), room)]...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			l.after = l.offset + size
			return size, err
		}
	}
}

// document lists the document of the current line, if it has one.
func (l *lineScanner) document(size int64) {
	if l.number == 1 && bytes.HasPrefix(l.line, byteOrderMark) {
		l.line, l.offset = l.line[len(byteOrderMark):], l.offset+int64(len(byteOrderMark))
	}
	text := bytes.TrimRight(l.line, "\r\n")
	if len(bytes.TrimSpace(text)) == 0 {
		return
	}
	id, reason := "", tooLarge(size)
	if len(text) <= schemas.MaxDocumentBytes {
		id, reason = l.identify(text)
	}
	if reason != "" {
		l.reject(l.freeName(), schemas.MediaDocument, fmt.Sprintf("line %d: %s", l.number, reason))
		return
	}
	l.add(Document{ListedDocument: schemas.ListedDocument{
		Path: id, SHA256: schemas.Hash(text), Bytes: int64(len(text)), MediaType: schemas.MediaDocument,
	}, file: l.file, offset: l.offset})
}

// freeName names the current line where it has no usable id, by a name that no document has.
func (l *lineScanner) freeName() string {
	name := fmt.Sprintf("%s:%d", l.name, l.number)
	for l.claim(name) != 0 {
		name += "'"
	}
	return name
}

// claim takes an id for the current line, or returns the line that has it.
func (l *lineScanner) claim(id string) (line int) {
	sum := sha256.Sum256([]byte(id))
	key := [16]byte(sum[:])
	if line, ok := l.ids[key]; ok {
		return line
	}
	l.ids[key] = l.number
	return 0
}

// identify returns the id of a line's document, or why it is none.
func (l *lineScanner) identify(line []byte) (id, reason string) {
	if !utf8.Valid(line) {
		if bytes.IndexByte(line, 0) >= 0 {
			return "", "it is not UTF-8 (UTF-16, by its zero bytes); convert the file to UTF-8"
		}
		return "", "it is not UTF-8; convert the file"
	}
	id, reason = parseID(line)
	if reason != "" {
		return "", reason
	}
	if reason := listing.CheckPath(id, schemas.MediaDocument); reason != "" {
		return "", "its id cannot be used: " + strings.ReplaceAll(reason, "path", "id")
	}
	if line := l.claim(id); line != 0 {
		return "", fmt.Sprintf("id %q is in line %d already", id, line)
	}
	return id, ""
}

// parseID takes _id, or else id, from a JSON object; a number stands for its digits.
func parseID(line []byte) (id, reason string) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil || fields == nil {
		return "", "it is no JSON object"
	}
	raw, ok := fields["_id"]
	if !ok {
		raw, ok = fields["id"]
	}
	var number json.Number
	switch {
	case !ok:
		return "", "it has neither _id nor id"
	case json.Unmarshal(raw, &id) == nil && id != "":
		return id, ""
	case raw[0] != '"' && json.Unmarshal(raw, &number) == nil && number != "":
		return number.String(), ""
	}
	return "", "its id is neither a text nor a number"
}
