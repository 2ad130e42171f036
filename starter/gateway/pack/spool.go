package pack

import (
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/tenuto-dev/tenuto/schemas"
)

// inMemory is the largest upload that is held in memory; larger ones go to a temporary file.
const inMemory = MaxBytes

// spool holds a whole upload so that it can be read more than once.
type spool struct {
	size int64
	data []byte
	file *os.File // nil while data holds all
}

// newSpool reads all of r, which is expected to hold size bytes (-1: unknown) and may hold at most limit.
func newSpool(r io.Reader, size, limit int64) (*spool, error) {
	if size > limit {
		return nil, oversize(limit)
	}
	var buf bytes.Buffer
	if size >= 0 {
		buf.Grow(int(min(size, inMemory)) + bytes.MinRead)
	}
	n, err := io.CopyN(&buf, r, inMemory+1)
	switch {
	case errors.Is(err, io.EOF):
		return &spool{size: n, data: buf.Bytes()}, nil
	case err != nil:
		return nil, schemas.Wrap(schemas.Invalid, err, "the upload broke off")
	}
	return spoolFile(io.MultiReader(&buf, r), limit)
}

func spoolFile(r io.Reader, limit int64) (*spool, error) {
	file, err := os.CreateTemp("", "tenuto-upload-*")
	if err != nil {
		return nil, diskFailure(err)
	}
	s := &spool{file: file}
	body := &reader{r: io.LimitReader(r, limit+1)}
	s.size, err = io.Copy(file, body)
	switch {
	case body.err != nil:
		err = schemas.Wrap(schemas.Invalid, body.err, "the upload broke off")
	case err != nil:
		err = diskFailure(err)
	case s.size > limit:
		err = oversize(limit)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// reader remembers that reading failed, to tell it from a failure to write.
type reader struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

func oversize(limit int64) error {
	return schemas.Wrap(schemas.Invalid, ErrTooLarge, "the upload is larger than %d bytes", limit)
}

func diskFailure(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return schemas.Wrap(schemas.OverBudget, err, "the gateway's disk for temporary files is full; make room and try again")
	}
	return schemas.Wrap(schemas.Internal, err, "the gateway cannot write a temporary file")
}

// section is a reader of bytes [offset, offset+size), cut at the end.
func (s *spool) section(offset, size int64) *io.SectionReader {
	var whole io.ReaderAt = bytes.NewReader(s.data)
	if s.file != nil {
		whole = s.file
	}
	return io.NewSectionReader(whole, offset, min(size, max(0, s.size-offset)))
}

func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	return errors.Join(s.file.Close(), os.Remove(s.file.Name()))
}
