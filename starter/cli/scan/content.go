package scan

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/tenuto-dev/tenuto/schemas"
)

var errChanged = errors.New("it was changed while it was read; ingest again")

// tooLarge is the reason for what is not read at all.
func tooLarge(size int64) string {
	return fmt.Sprintf("larger than %d MiB (it has %.1f MiB), the largest document that is read", schemas.MaxDocumentBytes>>20, float64(size)/(1<<20))
}

// file lists one file under a document path.
func (s *scanner) file(path, name string, size int64) {
	if size > schemas.MaxDocumentBytes {
		s.reject(name, "", tooLarge(size))
		return
	}
	sum, n, err := hashFile(path)
	if err != nil {
		s.reject(name, "", reasonOf(err))
		return
	}
	s.add(Document{
		ListedDocument: schemas.ListedDocument{Path: name, SHA256: sum, Bytes: n},
		file:           s.fileNumber(path),
	})
}

func (s *scanner) fileNumber(path string) int32 {
	if last := len(s.source.files) - 1; last >= 0 && s.source.files[last] == path {
		return int32(last) //nolint:gosec // a listing holds a million
	}
	s.source.files = append(s.source.files, path)
	return int32(len(s.source.files) - 1) //nolint:gosec // as above
}

func (s *scanner) add(d Document) { s.source.Documents = append(s.source.Documents, d) }

// hashFile reads at most one byte more than a document may have, so that a file that grows meanwhile is found out.
func hashFile(path string) (sum string, n int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer file.Close()
	h := sha256.New()
	n, err = io.Copy(h, io.LimitReader(file, schemas.MaxDocumentBytes+1))
	if err == nil && n > schemas.MaxDocumentBytes {
		err = errChanged
	}
	return hex.EncodeToString(h.Sum(nil)), n, err
}

// Read returns the content of document i and notes what happened to it since it was listed: a file with another content is listed
// anew with it, and what cannot be read any more becomes rejected. It reports whether there is a content. It may be called from
// several goroutines for different documents.
func (s *Source) Read(i int) (content []byte, ok bool) {
	d := &s.Documents[i]
	content, err := s.read(d)
	if err == nil {
		err = d.renew(content)
	}
	if err != nil {
		d.SHA256, d.Bytes, d.Rejected = "", 0, reasonOf(err)
		return nil, false
	}
	return content, true
}

func (s *Source) read(d *Document) ([]byte, error) {
	file, err := os.Open(s.files[d.file])
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if d.MediaType == schemas.MediaDocument {
		line := make([]byte, d.Bytes)
		_, err := file.ReadAt(line, d.offset)
		return line, err
	}
	return io.ReadAll(io.LimitReader(file, schemas.MaxDocumentBytes+1))
}

// renew lists a document with the content that it has now. A line of a JSONL file that is another one now is no document: the lines
// have moved.
func (d *Document) renew(content []byte) error {
	sum := schemas.Hash(content)
	switch {
	case sum == d.SHA256:
		return nil
	case d.MediaType == schemas.MediaDocument || len(content) > schemas.MaxDocumentBytes:
		return errChanged
	}
	d.SHA256, d.Bytes = sum, int64(len(content))
	return nil
}
