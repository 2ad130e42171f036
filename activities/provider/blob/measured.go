package blob

import (
	"context"
	"io"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/meter"
)

// Measure has the store tell m of every call. Call it before the first use.
func (s *Store) Measure(m *meter.Meter) { s.driver = measured{s.driver, m} }

// measured is a driver that tells a meter of its calls.
type measured struct {
	Driver
	meter *meter.Meter
}

// Put implements Driver.
func (d measured) Put(ctx context.Context, key string, r io.Reader, size int64, ifAbsent bool) (bool, error) {
	start := time.Now()
	created, err := d.Driver.Put(ctx, key, r, size, ifAbsent)
	d.meter.Stored("put", key, start, err)
	if err == nil && (created || !ifAbsent) {
		d.meter.Wrote(key, size)
	}
	return created, err
}

// Get implements Driver.
func (d measured) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	start := time.Now()
	data, err := d.Driver.Get(ctx, key, offset, length)
	d.meter.Stored("get", key, start, err)
	return data, err
}

// List implements Driver.
func (d measured) List(ctx context.Context, prefix, after string, limit int) ([]Info, error) {
	start := time.Now()
	page, err := d.Driver.List(ctx, prefix, after, limit)
	d.meter.Stored("list", prefix, start, err)
	return page, err
}

// Delete implements Driver.
func (d measured) Delete(ctx context.Context, keys []string) error {
	start := time.Now()
	err := d.Driver.Delete(ctx, keys)
	first := ""
	if len(keys) > 0 {
		first = keys[0]
	}
	d.meter.Stored("delete", first, start, err)
	return err
}

// Stat implements Driver.
func (d measured) Stat(ctx context.Context, key string) (Info, error) {
	start := time.Now()
	info, err := d.Driver.Stat(ctx, key)
	d.meter.Stored("stat", key, start, err)
	return info, err
}
