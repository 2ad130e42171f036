package release

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/claims"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Pin pins a run to a release, and makes its id that of the request, by the same claim that gateways make: so the same request, however it
// comes, is carried out once. A repeated one is told of the run that was claimed, on the release that it had. A tenant with a budget is sent to
// a gateway, because gateways hold it. What it leaves behind is the claim and a long input, and a repetition finds them. Codes: invalid for an
// input that does not fit, not_found and refused for a release that is not there or was recalled, conflict where the id is another request's,
// those of the store.
func (a *Activities) Pin(ctx context.Context, in schemas.PinRequest) (schemas.PinOutcome, error) {
	if err := checkPin(in); err != nil {
		return schemas.PinOutcome{}, err
	}
	owner, err := claims.Owner(ctx, a.Store, in.Tenant, in.RunID)
	switch {
	case err == nil:
		return a.again(ctx, in, owner)
	case schemas.CodeOf(err) != schemas.NotFound:
		return schemas.PinOutcome{}, err
	}
	if held, err := a.budgeted(ctx, in.Tenant); err != nil || held {
		return schemas.PinOutcome{Gateway: "the tenant has a budget, which gateways hold"}, err
	}
	request, err := a.pinned(ctx, in)
	if err != nil {
		return schemas.PinOutcome{}, err
	}
	owner, mine, err := claims.Take(ctx, a.Store, in.Tenant, in.RunID, claims.Claim{
		Fingerprint: in.Fingerprint, StartMS: request.StartMS, Instance: claims.Temporal, Release: request.Release, Run: &request,
	})
	if err != nil || !mine {
		return a.unless(ctx, in, owner, err)
	}
	request.First = true // the claim says that it was not: whoever finds it cannot know
	return schemas.PinOutcome{Run: &request}, nil
}

// unless is again where the claim of somebody else could be read.
func (a *Activities) unless(ctx context.Context, in schemas.PinRequest, owner claims.Claim, err error) (schemas.PinOutcome, error) {
	if err != nil {
		return schemas.PinOutcome{}, err
	}
	return a.again(ctx, in, owner)
}

func checkPin(in schemas.PinRequest) error {
	err := errors.Join(schemas.CheckTenant(in.Tenant), schemas.CheckRunID(in.RunID), schemas.CheckChain(in.Chain), schemas.CheckMetadata(in.Metadata))
	switch {
	case err != nil:
		return err
	case (in.Label == "") == (in.Release == ""):
		return schemas.Errorf(schemas.Invalid, "name what to run of chain %s: a label or a release, and not both", in.Chain)
	case in.Fingerprint == "":
		return schemas.Errorf(schemas.Invalid, "the request has no fingerprint")
	case len(in.Input) > schemas.MaxPinInput:
		return schemas.Errorf(schemas.Invalid, "the input has %d bytes; over Temporal at most %d are taken", len(in.Input), schemas.MaxPinInput)
	}
	return nil
}

// budgeted reports whether the tenant has a budget. Those of API keys do not count what comes without one.
func (a *Activities) budgeted(ctx context.Context, tenant string) (bool, error) {
	list, err := blob.GetJSON[schemas.BudgetList](ctx, a.Store, schemas.Ref{Key: schemas.BudgetsKey(tenant)})
	if err != nil {
		if schemas.CodeOf(err) == schemas.NotFound {
			err = nil
		}
		return false, err
	}
	return slices.ContainsFunc(list.Budgets, func(b schemas.Budget) bool { return b.Subject == schemas.SubjectTenant && !b.IsZero() }), nil
}

// pinned makes the message that starts the run.
func (a *Activities) pinned(ctx context.Context, in schemas.PinRequest) (schemas.RunRequest, error) {
	release, err := a.startsOn(ctx, in)
	if err != nil {
		return schemas.RunRequest{}, err
	}
	if err := a.CheckInput(release.Content, json.RawMessage(in.Input)); err != nil {
		return schemas.RunRequest{}, err
	}
	request := schemas.RunRequest{
		Tenant: in.Tenant, RunID: in.RunID, Bundle: release.Bundle, Plan: release.Plan, Input: schemas.Content{Text: in.Input},
		StartMS: a.Now().UnixMilli(), Release: release.Hash, Label: in.Label, Metadata: in.Metadata,
	}
	if len(in.Input) > schemas.InlineBytes {
		ref, err := blob.PutContent(ctx, a.Store, in.Tenant, []byte(in.Input))
		if err != nil {
			return request, err
		}
		request.Input = schemas.Content{Ref: ref}
	}
	return request, nil
}

func (a *Activities) startsOn(ctx context.Context, in schemas.PinRequest) (*registry.Loaded, error) {
	if in.Release != "" {
		return a.Registry.Pinned(ctx, in.Tenant, in.Chain, in.Release)
	}
	return a.Registry.Resolve(ctx, registry.LabelName{Tenant: in.Tenant, Chain: in.Chain, Label: in.Label})
}

// again says how a run goes on that is claimed.
func (a *Activities) again(ctx context.Context, in schemas.PinRequest, owner claims.Claim) (schemas.PinOutcome, error) {
	if err := owner.Same(in.RunID, in.Fingerprint); err != nil {
		return schemas.PinOutcome{}, err
	}
	outcome, err := a.recorded(ctx, in, owner)
	if err != nil || outcome != nil {
		return schemas.PinOutcome{Outcome: outcome}, err
	}
	if owner.Instance == claims.Temporal {
		return schemas.PinOutcome{Run: owner.Run}, nil
	}
	lives, err := a.lives(ctx, owner.Instance)
	if err != nil || lives || owner.Run == nil {
		return schemas.PinOutcome{Held: true}, err
	}
	if err := a.Registry.CheckRecalled(ctx, in.Tenant, in.Chain, owner.Release); err != nil {
		return schemas.PinOutcome{}, err
	}
	_, mine, err := claims.Succeed(ctx, a.Store, in.Tenant, in.RunID, owner, claims.Temporal)
	if err != nil || !mine {
		return schemas.PinOutcome{Held: true}, err
	}
	return schemas.PinOutcome{Run: owner.Run}, nil
}

// recorded is what the record of a run says came of it; nil while there is none.
func (a *Activities) recorded(ctx context.Context, in schemas.PinRequest, owner claims.Claim) (*schemas.RunOutcome, error) {
	data, ok, err := a.Journal.Get(ctx, in.Tenant, schemas.RunKey(in.Tenant, in.RunID, time.UnixMilli(owner.StartMS)))
	if err != nil || !ok {
		return nil, err
	}
	var e schemas.Exchange
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, schemas.Wrap(schemas.Internal, err, "the record of run %s cannot be read", in.RunID)
	}
	out := e.Outcome()
	if len(out.Output.Text) > schemas.InlineBytes {
		ref, err := blob.PutContent(ctx, a.Store, in.Tenant, []byte(out.Output.Text))
		if err != nil {
			return nil, err
		}
		out.Output = schemas.Content{Ref: ref}
	}
	return &out, nil
}

// lifeMargin is how much the clocks of the store and of this process may differ.
const lifeMargin = time.Minute

// lives reports whether a process gave a sign of life lately, by the store's clock: that of the latest sign of any process.
func (a *Activities) lives(ctx context.Context, instance string) (bool, error) {
	latest := a.Now().Add(-lifeMargin)
	var theirs time.Time
	for info, err := range a.Store.All(ctx, schemas.LifePrefix) {
		if err != nil {
			return false, err
		}
		if info.Modified.After(latest) {
			latest = info.Modified
		}
		if info.Key == schemas.LifeKey(instance) {
			theirs = info.Modified
		}
	}
	return !theirs.IsZero() && latest.Sub(theirs) < schemas.LifeGone, nil
}
