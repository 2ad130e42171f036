// Package blob keeps immutable and small mutable objects in an artifact store, behind one portable type.
package blob

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// MaxBytes is the largest object: what S3 accepts in one PUT, which is what makes a write atomic.
const MaxBytes = 5 << 30

// PageKeys is the most keys that one List returns.
const PageKeys = 1000

// Info describes one object.
type Info struct {
	Key      string
	Bytes    int64
	Modified time.Time // of the last write, by the store's clock; stores round it, some to seconds
}

// Driver is what a store must do for [Store]. Vendors implement it, Store alone calls it, from many goroutines at once. Store has
// checked keys and sizes before. A driver returns *schemas.Error: not_found for an absent object, unauthorized, over_budget
// for a full disk or quota, rate_limited, unavailable, deadline, internal. It neither retries nor logs. The suite in package blobtest
// states the rest.
type Driver interface {
	// Put writes the size bytes of r in one atomic step: readers see the old object or the whole new one. With ifAbsent it writes
	// only where no object is, and of many concurrent calls exactly one reports created.
	Put(ctx context.Context, key string, r io.Reader, size int64, ifAbsent bool) (created bool, err error)
	// Get reads length bytes from offset, or all that follow if length is negative. A range is cut at the object's end.
	Get(ctx context.Context, key string, offset, length int64) ([]byte, error)
	// List returns at most limit (1 to PageKeys) objects with the prefix and a key after the given one, in byte order of keys.
	List(ctx context.Context, prefix, after string, limit int) ([]Info, error)
	// Delete removes the objects. Absent ones are no error. After an error some may be gone.
	Delete(ctx context.Context, keys []string) error
	// Stat describes the object without reading it.
	Stat(ctx context.Context, key string) (Info, error)
	// Ping reports why the store cannot be used now.
	Ping(ctx context.Context) error
}

// Store is an artifact store. It is safe for concurrent use.
//
// Keys are slash-separated paths of at most 1024 bytes; see [CheckKey]. An object's key should not be the folder of another's ("a" and
// "a/b"): stores that keep files refuse it. Every method returns invalid for a bad key and otherwise the codes of [Driver].
type Store struct {
	driver Driver
	recent recent
}

// New returns a store over driver.
func New(driver Driver) *Store { return &Store{driver: driver} }

// Put writes data at key, replacing what is there.
func (s *Store) Put(ctx context.Context, key string, data []byte) error {
	return s.PutReader(ctx, key, bytes.NewReader(data), int64(len(data)))
}

// PutIfAbsent writes data at key unless an object is there, and reports whether it wrote. Of concurrent calls one wins.
func (s *Store) PutIfAbsent(ctx context.Context, key string, data []byte) (created bool, err error) {
	return s.put(ctx, key, bytes.NewReader(data), int64(len(data)), true)
}

// PutReader writes the next size bytes of r at key, replacing what is there. It reads no further. If r ends early nothing is
// written and the error is invalid; if r fails the error wraps r's.
func (s *Store) PutReader(ctx context.Context, key string, r io.Reader, size int64) error {
	_, err := s.put(ctx, key, r, size, false)
	return err
}

func (s *Store) put(ctx context.Context, key string, r io.Reader, size int64, ifAbsent bool) (bool, error) {
	if err := CheckKey(key); err != nil {
		return false, err
	}
	if size < 0 || size > MaxBytes {
		return false, schemas.Errorf(schemas.Invalid, "object of %d bytes: the store takes 0 to %d", size, int64(MaxBytes))
	}
	body := &source{r: r, size: size, left: size}
	created, err := s.driver.Put(ctx, key, body, size, ifAbsent)
	if err != nil {
		return false, body.blame(err)
	}
	return created, nil
}

// Get reads the whole object into memory.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	return s.GetRange(ctx, key, 0, -1)
}

// GetRange reads length bytes from offset, or all that follow if length is negative. It is cut at the object's end, so a range
// beyond it is empty.
func (s *Store) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, schemas.Errorf(schemas.Invalid, "object %s: offset %d is negative", key, offset)
	}
	return s.driver.Get(ctx, key, offset, length)
}

// Stat describes the object without reading it.
func (s *Store) Stat(ctx context.Context, key string) (Info, error) {
	if err := CheckKey(key); err != nil {
		return Info{}, err
	}
	return s.driver.Stat(ctx, key)
}

// List returns at most limit objects whose keys begin with prefix and follow after, in byte order. A limit outside 1 to PageKeys
// stands for PageKeys. The page that follows begins after the last key; an empty page is the end.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]Info, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	if limit < 1 || limit > PageKeys {
		limit = PageKeys
	}
	return s.driver.List(ctx, prefix, after, limit)
}

// All yields every object whose key begins with prefix, in byte order of keys, a page at a time. It ends at the first error.
func (s *Store) All(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		for after := ""; ; {
			page, err := s.List(ctx, prefix, after, PageKeys)
			if err != nil {
				yield(Info{}, err)
				return
			}
			for _, info := range page {
				if !yield(info, nil) {
					return
				}
				after = info.Key
			}
			if len(page) < PageKeys {
				return
			}
		}
	}
}

// Delete removes the objects; absent ones are no error.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := CheckKey(key); err != nil {
			return err
		}
	}
	defer s.recent.forget(keys)
	for len(keys) > 0 {
		page := keys[:min(len(keys), PageKeys)]
		if err := s.driver.Delete(ctx, page); err != nil {
			return err
		}
		keys = keys[len(page):]
	}
	return nil
}

// Ping reports why the store cannot be used now: unavailable, unauthorized, deadline.
func (s *Store) Ping(ctx context.Context) error { return s.driver.Ping(ctx) }

// source feeds a driver exactly the promised bytes and remembers what went wrong, because HTTP clients hide it.
type source struct {
	r    io.Reader
	size int64
	left int64
	err  error
}

// Rewind goes back to the beginning, for a driver that must send the content again, and reports whether it could.
func (s *source) Rewind() bool {
	seeker, ok := s.r.(io.Seeker)
	if !ok || s.err != nil {
		return false
	}
	if _, err := seeker.Seek(s.left-s.size, io.SeekCurrent); err != nil {
		return false
	}
	s.left = s.size
	return true
}

// Read fails where the reader ends before the promised size, so that no driver can take the short object for the whole.
func (s *source) Read(p []byte) (int, error) {
	if s.left == 0 || s.err != nil {
		return 0, cmp.Or(s.err, io.EOF)
	}
	n, err := s.r.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	if err == nil || s.left == 0 {
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		err = schemas.Errorf(schemas.Invalid, "the content ends %d bytes before its stated size", s.left)
	}
	s.err = err
	return n, err
}

// blame returns the reader's own failure if there was one, and the driver's otherwise.
func (s *source) blame(err error) error {
	if s.err != nil {
		return fmt.Errorf("reading the content: %w", s.err)
	}
	return err
}
