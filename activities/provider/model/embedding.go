package model

import (
	"context"
	"encoding/json"

	"github.com/tenuto-dev/tenuto/schemas"
)

// EmbedRecorded is Embed with a record: the same request of the same tenant is paid for once, whoever repeats it and when. It is
// for single inputs such as queries; bulk embedding keeps its own ledger. What is not recorded is asked for when leave lets it; nil asks nobody.
// Codes: those of Embed, those of leave; unavailable also when Records fail.
func (p *Provider) EmbedRecorded(ctx context.Context, tenant string, request EmbedRequest, leave Leave) (resp EmbedResponse, recorded bool, err error) {
	limits, err := p.Driver.Limits(request.Model)
	if err != nil {
		return EmbedResponse{}, false, p.normal(ctx, err)
	}
	if p.Records == nil || limits.Free {
		resp, err = p.embedOnLeave(ctx, tenant, request, leave)
		return resp, false, err
	}
	key, err := p.embedKey(tenant, request)
	if err != nil {
		return EmbedResponse{}, false, err
	}
	data, ok, err := p.Records.Load(ctx, key)
	if err != nil {
		return EmbedResponse{}, false, p.recordError(ctx, err, "looking for a recorded embedding failed; the call was not made")
	}
	if ok && json.Unmarshal(data, &resp) == nil {
		p.Meter.ReadBack(ctx, p.Vendor, request.Model, false)
		return resp, true, nil
	}
	return p.embedAndSave(ctx, tenant, key, request, leave)
}

// embedKey names the request. It is part of object keys, so a change to it is a migration.
func (p *Provider) embedKey(tenant string, request EmbedRequest) (string, error) {
	data, err := json.Marshal(struct {
		Tenant   string       `json:"tenant"`
		Provider string       `json:"provider"`
		Embed    EmbedRequest `json:"embed"`
	}{tenant, p.Name, request})
	if err != nil {
		return "", schemas.Wrap(schemas.Invalid, err, "the embedding request cannot be written as JSON")
	}
	return schemas.CallKey(tenant, schemas.Hash(data)), nil
}

// embedAndSave pays for the vectors. Once the call is made its answer is stored even for a caller that has left.
func (p *Provider) embedAndSave(ctx context.Context, tenant, key string, request EmbedRequest, leave Leave) (EmbedResponse, bool, error) {
	resp, err := p.embedOnLeave(ctx, tenant, request, leave)
	if err != nil {
		return EmbedResponse{}, false, err
	}
	data, err := json.Marshal(resp)
	if err != nil {
		return EmbedResponse{}, false, schemas.Wrap(schemas.Internal, err, "the embedding cannot be written as JSON")
	}
	save, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveLimit)
	defer cancel()
	if err := p.Records.Save(save, key, data); err != nil {
		return EmbedResponse{}, false, p.recordError(save, err, "the provider answered, but its embedding could not be stored")
	}
	return resp, false, nil
}

func (p *Provider) embedOnLeave(ctx context.Context, tenant string, request EmbedRequest, leave Leave) (resp EmbedResponse, err error) {
	if leave != nil {
		done, refused := leave(ctx)
		if refused != nil {
			return EmbedResponse{}, refused
		}
		defer func() { done(Response{Usage: schemas.Usage{InputTokens: resp.Tokens}}, err) }()
	}
	return p.Embed(ctx, tenant, request)
}
