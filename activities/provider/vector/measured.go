package vector

import (
	"context"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/meter"
)

// Measure has the index tell m of every call. Call it before the first use.
func (x *Index) Measure(m *meter.Meter) { x.driver = measured{x.driver, m} }

// measured is a driver that tells a meter of its calls.
type measured struct {
	Driver
	meter *meter.Meter
}

// Ensure implements Driver.
func (d measured) Ensure(ctx context.Context, spec Spec) error {
	start := time.Now()
	err := d.Driver.Ensure(ctx, spec)
	d.meter.Indexed("ensure", start, err)
	return err
}

// Upsert implements Driver.
func (d measured) Upsert(ctx context.Context, target Target, objects []Object) error {
	start := time.Now()
	err := d.Driver.Upsert(ctx, target, objects)
	d.meter.Indexed("upsert", start, err)
	return err
}

// Fetch implements Driver.
func (d measured) Fetch(ctx context.Context, target Target, ids []string) ([]Stored, error) {
	start := time.Now()
	found, err := d.Driver.Fetch(ctx, target, ids)
	d.meter.Indexed("fetch", start, err)
	return found, err
}

// Delete implements Driver.
func (d measured) Delete(ctx context.Context, target Target, selection Selection) (int, error) {
	start := time.Now()
	n, err := d.Driver.Delete(ctx, target, selection)
	d.meter.Indexed("delete", start, err)
	return n, err
}

// Search implements Driver.
func (d measured) Search(ctx context.Context, target Target, query Query) ([]Found, error) {
	start := time.Now()
	found, err := d.Driver.Search(ctx, target, query)
	d.meter.Indexed("search", start, err)
	return found, err
}
