// Package claims says who carries out a run whose id its caller chose: an object that only one request can write.
package claims

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Temporal is the instance of a claim that no process holds: the run is a workflow of its own, which whoever asked for it starts at once.
const Temporal = "temporal"

// Claim is the record of who carries out a run with an idempotency key.
type Claim struct {
	Fingerprint string `json:"fingerprint"`
	StartMS     int64  `json:"start_ms"`
	Instance    string `json:"instance"`
	Release     string `json:"release,omitempty"` // that the run is pinned to, whatever a label points to since
	Call        string `json:"call,omitempty"`    // of a call of a model: the run that it is recorded as

	Run *schemas.RunRequest `json:"run,omitempty"` // to carry on with when a client comes back for its events
}

// Same reports why the run id is not that of the request with the fingerprint. Error: conflict.
func (c Claim) Same(id, fingerprint string) error {
	if c.Fingerprint == fingerprint {
		return nil
	}
	return schemas.Errorf(schemas.Conflict, "run %s exists and belongs to another request; use a new idempotency key for a new request", id)
}

// Starting reports whether nobody has carried on with the claim of a run that is a workflow of its own, and whoever made it may yet be about to
// start that.
func (c Claim) Starting(now time.Time) bool {
	return c.Instance == Temporal && now.Sub(time.UnixMilli(c.StartMS)) < schemas.LifeGone
}

// Take makes a run id that of the request with c's fingerprint, or tells whose it is. Errors: conflict where it is another request's, those of
// the store.
func Take(ctx context.Context, store *blob.Store, tenant, id string, c Claim) (owner Claim, mine bool, err error) {
	data, err := json.Marshal(c)
	if err != nil {
		return c, false, err
	}
	if mine, err = store.PutIfAbsent(ctx, schemas.ClaimKey(tenant, id), data); mine || err != nil {
		return c, mine, err
	}
	if owner, err = Owner(ctx, store, tenant, id); err != nil {
		return c, false, err
	}
	return owner, false, owner.Same(id, c.Fingerprint)
}

// Owner reads who has a run: who claimed it first, or the last of those who carried on for a dead one, or after a call that came to nothing.
// Errors: not_found for a run that is not claimed, those of the store.
func Owner(ctx context.Context, store *blob.Store, tenant, id string) (Claim, error) {
	owner, err := at(ctx, store, schemas.ClaimKey(tenant, id))
	if err != nil {
		return owner, err
	}
	return Latest(ctx, store, tenant, id, owner)
}

// Latest reads who has a run that an owner claimed first, wherever that claim is kept. Errors: those of the store.
func Latest(ctx context.Context, store *blob.Store, tenant, id string, owner Claim) (Claim, error) {
	for {
		next, err := at(ctx, store, schemas.SuccessorKey(tenant, id, cmp.Or(owner.Call, owner.Instance)))
		if err != nil && schemas.CodeOf(err) == schemas.NotFound {
			return owner, nil // nobody has succeeded it
		}
		if err != nil {
			return owner, err
		}
		owner = next
	}
}

// Succeed makes a run ours whose owner is gone, or tells who was faster: of several that find the owner dead, one carries on. Errors: those of
// the store.
func Succeed(ctx context.Context, store *blob.Store, tenant, id string, dead Claim, instance string) (next Claim, mine bool, err error) {
	next = dead
	next.Instance = instance
	if dead.Instance == instance {
		return next, true, nil
	}
	data, err := json.Marshal(next)
	if err != nil {
		return next, false, err
	}
	key := schemas.SuccessorKey(tenant, id, dead.Instance)
	if mine, err = store.PutIfAbsent(ctx, key, data); mine || err != nil {
		return next, mine, err
	}
	next, err = Latest(ctx, store, tenant, id, dead)
	return next, false, err
}

func at(ctx context.Context, store *blob.Store, key string) (Claim, error) {
	var claim Claim
	stored, err := store.Get(ctx, key)
	if err != nil {
		return claim, err
	}
	if err := json.Unmarshal(stored, &claim); err != nil {
		return claim, schemas.Wrap(schemas.Internal, err, "the claim %s cannot be read", key)
	}
	return claim, nil
}
