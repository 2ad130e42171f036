// Package collection removes collections.
package collection

import (
	"context"
	"fmt"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Activities are the durable calls on whole collections. All fields are required.
type Activities struct {
	Store *blob.Store
	Index *vector.Index
}

// Drop removes the tenant's chunks from the index and then the collection's objects from the store, its record last, so that a
// drop that is cut short is still known and can be repeated. Recorded vectors stay with the tenant. Any retry is harmless.
// Codes: not_found, unavailable.
func (a *Activities) Drop(ctx context.Context, in schemas.DropRequest) (schemas.DropReport, error) {
	key := schemas.CollectionKey(in.Tenant, in.Collection)
	record, err := blob.GetJSON[schemas.Collection](ctx, a.Store, schemas.Ref{Key: key})
	if err != nil {
		if schemas.CodeOf(err) == schemas.NotFound {
			return schemas.DropReport{}, schemas.Wrap(schemas.NotFound, err, "there is no collection %q", in.Collection)
		}
		return schemas.DropReport{}, err
	}
	target := vector.Target{Class: record.Class, Tenant: in.Tenant}
	chunks, err := a.Index.Delete(ctx, target, vector.Selection{All: true})
	if err != nil && schemas.CodeOf(err) != schemas.NotFound {
		return schemas.DropReport{}, fmt.Errorf("removing chunks: %w", err)
	}
	prefix := schemas.CollectionPrefix(in.Tenant, in.Collection)
	objects := 0
	for _, part := range []string{"work/", "snapshots/", "sources/", "packs/", ""} {
		n, err := blob.DeletePrefix(ctx, a.Store, prefix+part)
		if err != nil {
			return schemas.DropReport{}, fmt.Errorf("removing stored objects: %w", err)
		}
		objects += n
	}
	return schemas.DropReport{Chunks: chunks, Objects: objects}, nil
}
