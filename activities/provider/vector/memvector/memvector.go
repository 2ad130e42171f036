// Package memvector is a search index in memory, for tests: exact, complete, and gone with the process. It is not for production.
package memvector

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Driver keeps everything in memory. The zero value is an empty index, ready and safe for concurrent use.
type Driver struct {
	mu      sync.RWMutex
	classes map[string]*class
	aliases map[string]string
}

var _ vector.Driver = (*Driver)(nil)

type class struct {
	bm25    vector.BM25
	tenants map[string]shard
}

// shard is what one tenant has in one class, by id.
type shard map[string]vector.Object

// Ensure implements [vector.Driver].
func (d *Driver) Ensure(ctx context.Context, spec vector.Spec) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.classes == nil {
		d.classes, d.aliases = map[string]*class{}, map[string]string{}
	}
	if _, taken := d.aliases[spec.Class]; taken {
		return schemas.Errorf(schemas.Conflict, "the name %s is an alias of another class", spec.Class)
	}
	if _, taken := d.classes[spec.Alias]; taken || spec.Alias == spec.Class {
		return schemas.Errorf(schemas.Conflict, "the name %s is taken by a class and cannot be an alias", spec.Alias)
	}
	if d.classes[spec.Class] == nil {
		d.classes[spec.Class] = &class{bm25: spec.BM25, tenants: map[string]shard{}}
	}
	if c := d.classes[spec.Class]; c.tenants[spec.Tenant] == nil {
		c.tenants[spec.Tenant] = shard{}
	}
	if _, made := d.aliases[spec.Alias]; !made && spec.Alias != "" {
		d.aliases[spec.Alias] = spec.Class
	}
	return nil
}

// Upsert implements [vector.Driver].
func (d *Driver) Upsert(ctx context.Context, target vector.Target, objects []vector.Object) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, alias := d.aliases[target.Class]; alias {
		return schemas.Errorf(schemas.NotFound, "there is no class %s in the search index", target.Class)
	}
	_, s, err := d.find(target)
	if err != nil {
		return err
	}
	var failures []vector.Failure
	for _, o := range objects {
		if dimensions := s.dimensions(); dimensions != 0 && dimensions != len(o.Vector) {
			failures = append(failures, vector.Failure{ID: o.ID, Reason: schemas.Errorf(schemas.Invalid,
				"its vector has %d dimensions and those in the index have %d", len(o.Vector), dimensions)})
			continue
		}
		o.Vector = slices.Clone(o.Vector)
		o.Metadata = cloneMetadata(o.Metadata)
		s[o.ID] = o
	}
	return vector.Reject(failures, len(objects))
}

// Fetch implements [vector.Driver].
func (d *Driver) Fetch(ctx context.Context, target vector.Target, ids []string) ([]vector.Stored, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	_, s, err := d.find(target)
	if err != nil {
		return nil, err
	}
	var found []vector.Stored
	for _, id := range ids {
		if o, ok := s[id]; ok {
			found = append(found, vector.Stored{ID: id, ChunkHash: o.ChunkHash})
		}
	}
	return found, nil
}

// Delete implements [vector.Driver].
func (d *Driver) Delete(ctx context.Context, target vector.Target, selection vector.Selection) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c, s, err := d.find(target)
	if selection.All {
		if err == nil {
			delete(c.tenants, target.Tenant)
		}
		return len(s), nil
	}
	if err != nil {
		return 0, err
	}
	before := len(s)
	for _, id := range selection.IDs {
		delete(s, id)
	}
	return before - len(s), nil
}

// Status implements [vector.Driver]. Nothing is ever waiting.
func (d *Driver) Status(ctx context.Context, target vector.Target) (vector.Status, error) {
	if err := ctx.Err(); err != nil {
		return vector.Status{}, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	_, s, err := d.find(target)
	return vector.Status{Objects: len(s)}, err
}

// find resolves target. The lock is held by the caller.
func (d *Driver) find(target vector.Target) (*class, shard, error) {
	name := target.Class
	if behind, ok := d.aliases[name]; ok {
		name = behind
	}
	c := d.classes[name]
	if c == nil {
		return nil, nil, schemas.Errorf(schemas.NotFound, "there is no class or alias %s in the search index", target.Class)
	}
	s, ok := c.tenants[target.Tenant]
	if !ok {
		return nil, nil, schemas.Errorf(schemas.NotFound, "tenant %s has nothing in %s", target.Tenant, target.Class)
	}
	return c, s, nil
}

// dimensions is the length of the vectors in s; 0 while there are none.
func (s shard) dimensions() int {
	for _, o := range s {
		return len(o.Vector)
	}
	return 0
}

func cloneMetadata(metadata map[string][]string) map[string][]string {
	clone := maps.Clone(metadata)
	for key, values := range clone {
		clone[key] = slices.Clone(values)
	}
	return clone
}
