// Package memblob keeps an artifact store in memory, for tests.
package memblob

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Driver holds objects in memory. The zero value is an empty store; it is safe for concurrent use. It is as strict as a store of files: the key
// of one object cannot be the folder of another.
type Driver struct {
	mu      sync.Mutex
	objects map[string]object
	keys    []string // of objects, sorted
}

type object struct {
	data     []byte
	modified time.Time
}

var _ blob.Driver = (*Driver)(nil)

// Put implements [blob.Driver].
func (d *Driver) Put(ctx context.Context, key string, r io.Reader, _ int64, ifAbsent bool) (bool, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return false, schemas.Wrap(schemas.Internal, err, "reading the content of object %s failed", key)
	}
	if err := alive(ctx); err != nil {
		return false, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, exists := d.objects[key]
	if exists && ifAbsent {
		return false, nil
	}
	if !exists {
		if err := d.insert(key); err != nil {
			return false, err
		}
	}
	d.objects[key] = object{data: data, modified: time.Now()}
	return true, nil
}

// insert makes room for a new key. The caller holds the lock.
func (d *Driver) insert(key string) error {
	at, _ := slices.BinarySearch(d.keys, key)
	if d.nested(key) {
		return schemas.Errorf(schemas.Conflict, "object key %s: one object's key is the folder of another's", key)
	}
	if d.objects == nil {
		d.objects = make(map[string]object)
	}
	d.keys = slices.Insert(d.keys, at, key)
	return nil
}

// nested reports whether key lies under an object's key or an object under it. The caller holds the lock.
func (d *Driver) nested(key string) bool {
	for i, c := range key {
		if c != '/' {
			continue
		}
		if _, found := d.objects[key[:i]]; found {
			return true
		}
	}
	below, _ := slices.BinarySearch(d.keys, key+"/")
	return below < len(d.keys) && strings.HasPrefix(d.keys[below], key+"/")
}

// Get implements [blob.Driver].
func (d *Driver) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	found, err := d.find(ctx, key)
	if err != nil {
		return nil, err
	}
	data := found.data[min(offset, int64(len(found.data))):]
	if length >= 0 {
		data = data[:min(length, int64(len(data)))]
	}
	return slices.Clone(data), nil
}

// List implements [blob.Driver].
func (d *Driver) List(ctx context.Context, prefix, after string, limit int) ([]blob.Info, error) {
	if err := alive(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	first, found := slices.BinarySearch(d.keys, max(prefix, after))
	if found && d.keys[first] == after {
		first++
	}
	var page []blob.Info
	for _, key := range d.keys[first:] {
		if len(page) == limit || !strings.HasPrefix(key, prefix) {
			break
		}
		page = append(page, d.objects[key].info(key))
	}
	return page, nil
}

// Delete implements [blob.Driver].
func (d *Driver) Delete(ctx context.Context, keys []string) error {
	if err := alive(ctx); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, key := range keys {
		if at, found := slices.BinarySearch(d.keys, key); found {
			d.keys = slices.Delete(d.keys, at, at+1)
			delete(d.objects, key)
		}
	}
	return nil
}

// Stat implements [blob.Driver].
func (d *Driver) Stat(ctx context.Context, key string) (blob.Info, error) {
	found, err := d.find(ctx, key)
	if err != nil {
		return blob.Info{}, err
	}
	return found.info(key), nil
}

// Ping implements [blob.Driver].
func (d *Driver) Ping(ctx context.Context) error { return alive(ctx) }

func (d *Driver) find(ctx context.Context, key string) (object, error) {
	if err := alive(ctx); err != nil {
		return object{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	found, ok := d.objects[key]
	if !ok {
		return object{}, schemas.Errorf(schemas.NotFound, "object %s does not exist", key)
	}
	return found, nil
}

func (o object) info(key string) blob.Info {
	return blob.Info{Key: key, Bytes: int64(len(o.data)), Modified: o.modified}
}

func alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return schemas.Wrap(schemas.Deadline, err, "the call ended before the store answered")
	}
	return nil
}
