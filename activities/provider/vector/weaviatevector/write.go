package weaviatevector

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Upsert implements [vector.Driver]. Weaviate answers a batch with success even if it refuses every object of it.
func (d *Driver) Upsert(ctx context.Context, target vector.Target, objects []vector.Object) error {
	ctx, cancel := d.call(ctx)
	defer cancel()
	if err := d.mustExist(ctx, target); err != nil {
		return err
	}
	request := &pb.BatchObjectsRequest{Objects: make([]*pb.BatchObject, len(objects))}
	for i, o := range objects {
		encoded, err := encode(target, o)
		if err != nil {
			return err
		}
		request.Objects[i] = encoded
	}
	reply, err := d.grpc.BatchObjects(ctx, request)
	if err != nil {
		return failed(err)
	}
	return refusals(reply, objects)
}

// mustExist guards a write: given a class that it does not know, Weaviate makes one up (AUTOSCHEMA_ENABLED), without tenants, in
// which the next Ensure would find a stranger. Neither does an alias pass.
func (d *Driver) mustExist(ctx context.Context, target vector.Target) error {
	err := d.rest.do(ctx, http.MethodHead, "/schema/"+target.Class+"/tenants/"+target.Tenant, nil, nil)
	var answer *statusError
	if errors.As(err, &answer) && (answer.status == http.StatusNotFound || answer.status == http.StatusUnprocessableEntity) {
		return schemas.Wrap(schemas.NotFound, err, "tenant %s has no class %s in the search index", target.Tenant, target.Class)
	}
	return failed(err)
}

func refusals(reply *pb.BatchObjectsReply, objects []vector.Object) error {
	var failures []vector.Failure
	for _, e := range reply.GetErrors() {
		cause := errors.New(e.GetError())
		reason := byPhrase(e.GetError(), cause)
		if reason == nil {
			reason = schemas.Wrap(schemas.Internal, cause, "the search index failed in an unexpected way")
		}
		if i := int(e.GetIndex()); i < 0 || i >= len(objects) {
			return reason
		}
		failures = append(failures, vector.Failure{ID: objects[e.GetIndex()].ID, Reason: reason})
	}
	return vector.Reject(failures, len(objects))
}

// Delete implements [vector.Driver].
func (d *Driver) Delete(ctx context.Context, target vector.Target, selection vector.Selection) (int, error) {
	ctx, cancel := d.call(ctx)
	defer cancel()
	if selection.All {
		return d.removeTenant(ctx, target)
	}
	reply, err := d.grpc.BatchDelete(ctx, &pb.BatchDeleteRequest{
		Collection: target.Class, Tenant: &target.Tenant, Filters: byID(selection.IDs),
	})
	if err != nil {
		return 0, failed(err)
	}
	if reply.GetFailed() > 0 {
		return int(reply.GetSuccessful()), schemas.Errorf(schemas.Unavailable,
			"%d of %d chunks could not be deleted from the search index", reply.GetFailed(), len(selection.IDs))
	}
	if int(reply.GetMatches()) == len(selection.IDs) {
		return len(selection.IDs), nil
	}
	halves, err := d.removeHalves(ctx, target, selection.IDs)
	return int(reply.GetSuccessful()) + halves, err
}

// deleteAtOnce is how many single deletions are under way at the same time.
const deleteAtOnce = 8

// removeHalves deletes objects that no filter finds. A Weaviate that is killed in the middle of a batch comes back with objects that
// are stored without their entries in the inverted index, where filters and keywords look; even writing them again leaves them so,
// because Weaviate leaves out what it takes for unchanged (seen with 1.35.2).
func (d *Driver) removeHalves(ctx context.Context, target vector.Target, ids []string) (int, error) {
	class, err := d.concrete(ctx, target.Class)
	if err != nil {
		return 0, failed(err)
	}
	var removed atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(deleteAtOnce)
	for _, id := range ids {
		group.Go(func() error {
			path := "/objects/" + class + "/" + id + "?tenant=" + target.Tenant
			found, err := d.gone(ctx, http.MethodHead, path) // a deletion says the same whether there was anything or not
			if err != nil || !found {
				return err
			}
			if _, err := d.gone(ctx, http.MethodDelete, path); err != nil {
				return err
			}
			removed.Add(1)
			return nil
		})
	}
	err = group.Wait()
	return int(removed.Load()), err
}

// gone makes a call on one object that answers with no content, and reports whether the object was there.
func (d *Driver) gone(ctx context.Context, method, path string) (found bool, err error) {
	err = d.rest.do(ctx, method, path, nil, nil)
	var answer *statusError
	switch {
	case errors.As(err, &answer) && answer.status == http.StatusNoContent:
		return true, nil
	case errors.As(err, &answer) && answer.status == http.StatusNotFound:
		return false, nil
	}
	return err == nil, failed(err)
}

func (d *Driver) removeTenant(ctx context.Context, target vector.Target) (int, error) {
	n, err := d.count(ctx, target)
	if err != nil {
		if schemas.CodeOf(err) == schemas.NotFound {
			return 0, nil
		}
		return 0, err
	}
	class, err := d.concrete(ctx, target.Class)
	if err != nil {
		return 0, err
	}
	return n, failed(d.client.Schema().TenantsDeleter().WithClassName(class).WithTenants(target.Tenant).Do(ctx))
}
