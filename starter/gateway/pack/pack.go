// Package pack stores uploaded contents, many in one object.
//
// A pack is a tar file whose entries are named by the SHA-256 of their data, beside an index that says where each of them lies. The
// index is written last and a pack is named by the hash of its index, so an index always has its data, an upload may be repeated
// at will, and a pack never changes once it can be found.
package pack

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"regexp"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Limits of one pack.
const (
	MaxBytes    = 8 << 20 // of the tar file, unless it holds a single content
	MaxContents = 1024
	// maxSpool is the largest tar file at all: a single content with the largest PAX header that we care to read.
	maxSpool = schemas.MaxDocumentBytes + 64<<10
)

// ErrTooLarge marks uploads that exceed a limit; errors.Is finds it.
var ErrTooLarge = errors.New("the upload is too large")

// Content is one content of a pack.
type Content struct {
	SHA256 string `json:"sha256"`
	Offset int64  `json:"offset"` // of its first byte in the tar file
	Bytes  int64  `json:"bytes"`
}

// Index says where in a pack the contents lie.
type Index struct {
	Contents []Content `json:"contents"`
}

// ID names the pack with this index: the SHA-256 of the index as JSON.
func (x Index) ID() string { return schemas.Hash(x.encode()) }

func (x Index) encode() []byte {
	data, err := json.Marshal(x)
	if err != nil { // strings and numbers always marshal
		panic(err)
	}
	return data
}

// Upload is a verified pack that is not stored yet. Close it.
type Upload struct {
	Index Index
	Bytes int64 // of the tar file

	open  func() io.Reader
	spool *spool
}

// Close frees what holds the upload.
func (u *Upload) Close() error { return u.spool.close() }

// Read takes a whole tar file from r and verifies it. Size is what the caller knows of it, -1 for nothing. Errors: invalid, which
// says what is wrong and wraps ErrTooLarge where it is the size; over_budget where the disk that holds a large upload is full.
func Read(r io.Reader, size int64) (*Upload, error) {
	held, err := newSpool(r, size, maxSpool)
	if err != nil {
		return nil, err
	}
	index, err := verify(held)
	if err != nil {
		return nil, errors.Join(err, held.close())
	}
	return &Upload{Index: index, Bytes: held.size, spool: held, open: func() io.Reader { return held.section(0, held.size) }}, nil
}

// Single makes a pack of one content, which r holds and whose SHA-256 must be sum. Errors: as those of Read.
func Single(r io.Reader, size int64, sum string) (*Upload, error) {
	if !namePattern.MatchString(sum) {
		return nil, schemas.Errorf(schemas.Invalid, "a content is named by its SHA-256 in 64 lower-case hex digits")
	}
	held, err := newSpool(r, size, schemas.MaxDocumentBytes)
	if err != nil {
		return nil, err
	}
	content := Content{SHA256: sum, Offset: blockSize, Bytes: held.size}
	if err := content.check(held, 0); err != nil {
		return nil, errors.Join(err, held.close())
	}
	head, tail := frame(content)
	return &Upload{
		Index: Index{Contents: []Content{content}}, Bytes: int64(len(head)) + held.size + int64(len(tail)), spool: held,
		open: func() io.Reader {
			return io.MultiReader(bytes.NewReader(head), held.section(0, held.size), bytes.NewReader(tail))
		},
	}, nil
}

// blockSize is the unit of the tar format; POSIX.1-2017, pax, "ustar Interchange Format".
const blockSize = 512

// frame is what a tar file has around one content: its header, and padding with the end mark.
func frame(c Content) (head, tail []byte) {
	var buf bytes.Buffer
	// A ustar header for a name of 64 characters always fits, and a buffer does not fail.
	_ = tar.NewWriter(&buf).WriteHeader(&tar.Header{Name: c.SHA256, Size: c.Bytes, Mode: 0o600, Format: tar.FormatUSTAR})
	padding := (blockSize - c.Bytes%blockSize) % blockSize
	return buf.Bytes(), make([]byte, padding+2*blockSize)
}

var namePattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// verify reads the entries of a tar file and checks every content against its name.
func verify(held *spool) (Index, error) {
	file := held.section(0, held.size)
	archive := tar.NewReader(file)
	var index Index
	seen := make(map[string]bool)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return index, checkWhole(index, held)
		}
		if err != nil {
			return index, schemas.Wrap(schemas.Invalid, err, "the upload is no complete tar file")
		}
		content, err := entry(header, file)
		if err != nil {
			return index, err
		}
		if seen[content.SHA256] || len(seen) == MaxContents {
			return index, repeated(content, seen)
		}
		if err := content.check(held, content.Offset); err != nil {
			return index, err
		}
		seen[content.SHA256] = true
		index.Contents = append(index.Contents, content)
	}
}

// entry describes the entry whose header was just read. The reader takes whole headers, so the file stands at the data.
func entry(header *tar.Header, file io.Seeker) (Content, error) {
	if header.Typeflag != tar.TypeReg || !namePattern.MatchString(header.Name) {
		return Content{}, schemas.Errorf(schemas.Invalid,
			"every entry of the tar file must be a regular file named by its SHA-256 in 64 lower-case hex digits; this one is not: %.80q", header.Name)
	}
	if header.Size > schemas.MaxDocumentBytes {
		return Content{}, schemas.Wrap(schemas.Invalid, ErrTooLarge, "content %s is larger than %d bytes", header.Name, schemas.MaxDocumentBytes)
	}
	offset, err := file.Seek(0, io.SeekCurrent)
	return Content{SHA256: header.Name, Offset: offset, Bytes: header.Size}, err
}

func repeated(c Content, seen map[string]bool) error {
	if seen[c.SHA256] {
		return schemas.Errorf(schemas.Invalid, "content %s is in the tar file twice", c.SHA256)
	}
	return schemas.Wrap(schemas.Invalid, ErrTooLarge, "the tar file holds more than %d contents; send several", MaxContents)
}

func checkWhole(index Index, held *spool) error {
	switch {
	case len(index.Contents) == 0:
		return schemas.Errorf(schemas.Invalid, "the tar file holds no content")
	case len(index.Contents) > 1 && held.size > MaxBytes:
		return schemas.Wrap(schemas.Invalid, ErrTooLarge, "a tar file of several contents may have %d bytes; send several", MaxBytes)
	}
	return nil
}

// check hashes the bytes that will be read later, at the offset, rather than what the tar reader makes of them.
func (c Content) check(held *spool, offset int64) error {
	sum := sha256.New()
	n, err := io.Copy(sum, held.section(offset, c.Bytes))
	switch {
	case err != nil:
		return schemas.Wrap(schemas.Internal, err, "the upload cannot be read again")
	case n < c.Bytes:
		return schemas.Errorf(schemas.Invalid, "the tar file ends inside content %s", c.SHA256)
	case hexSum(sum) != c.SHA256:
		return schemas.Errorf(schemas.Invalid, "content %s has another SHA-256: %s", c.SHA256, hexSum(sum))
	}
	return nil
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
