package gateway

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type newKeyInput struct{ Body rest.NewKey }

type newKeyOutput struct{ Body rest.CreatedKey }

type keyInput struct {
	ID string `path:"key" pattern:"^[0-9a-f]{12}$" doc:"Id of the key: the 12 digits after tnt_."`
}

type keyOutput struct{ Body rest.Key }

type rotateInput struct {
	ID   string `path:"key" pattern:"^[0-9a-f]{12}$" doc:"Id of the key: the 12 digits after tnt_."`
	Body rest.RotateKey
}

// defaultOverlap is how long a key that was rotated still opens.
const defaultOverlap = 24 * time.Hour

func (g *Gateway) keyRoutes() {
	route(g, huma.Operation{
		OperationID: "create-key", Method: http.MethodPost, Path: "/api/v1/keys", DefaultStatus: http.StatusCreated,
		Summary: "Create an API key; its token is shown this once", Tags: []string{"keys"},
	}, admins, g.createKey)
	route(g, huma.Operation{
		OperationID: "list-keys", Method: http.MethodGet, Path: "/api/v1/keys",
		Summary: "List the tenant's API keys", Tags: []string{"keys"},
	}, admins, g.listKeys)
	route(g, huma.Operation{
		OperationID: "show-key", Method: http.MethodGet, Path: "/api/v1/keys/{key}",
		Summary: "Show an API key", Tags: []string{"keys"}, Errors: []int{http.StatusNotFound},
	}, admins, g.showKey)
	route(g, huma.Operation{
		OperationID: "rotate-key", Method: http.MethodPost, Path: "/api/v1/keys/{key}/rotate", DefaultStatus: http.StatusCreated,
		Summary: "Make a key with the same name, roles and limits; the old one ends after an overlap", Tags: []string{"keys"},
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, admins, g.rotateKey)
	route(g, huma.Operation{
		OperationID: "revoke-key", Method: http.MethodDelete, Path: "/api/v1/keys/{key}",
		Summary: "Revoke an API key; it opens nothing after at most two seconds", Tags: []string{"keys"},
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, admins, g.revokeKey)
}

func (g *Gateway) createKey(ctx context.Context, in *newKeyInput) (*newKeyOutput, error) {
	now := g.now().UTC().Truncate(time.Second)
	id, token := newToken()
	key := schemas.APIKey{
		ID: id, SHA256: schemas.Hash([]byte(token)), Tenant: cmp.Or(in.Body.Tenant, caller(ctx).Tenant),
		Name: in.Body.Name, Roles: sorted(in.Body.Roles), CreatedAt: now,
		Chains: sorted(in.Body.Chains), Models: sorted(in.Body.Models), RequestsPerMinute: in.Body.RequestsPerMinute,
	}
	if err := checkKey(key); err != nil {
		return nil, err
	}
	if in.Body.ExpiresIn != "" {
		life, err := parseLife("expires_in", in.Body.ExpiresIn)
		if err != nil {
			return nil, err
		}
		end := now.Add(life)
		key.ExpiresAt = &end
	}
	if err := g.keys.save(ctx, key); err != nil {
		return nil, err
	}
	return &newKeyOutput{rest.CreatedKey{Key: keyOf(key), Token: token}}, nil
}

// sorted returns each element once, in order; nil for none.
func sorted[E cmp.Ordered](list []E) []E { return slices.Compact(slices.Sorted(slices.Values(list))) }

func checkKey(key schemas.APIKey) error {
	if err := schemas.CheckTenant(key.Tenant); err != nil {
		return err
	}
	for _, pattern := range slices.Concat(key.Chains, key.Models) {
		if err := schemas.CheckPattern(pattern); err != nil {
			return err
		}
	}
	return nil
}

// parseLife reads a duration as Go writes it, and days, which Go does not: 90m, 12h, 30d.
func parseLife(field, text string) (time.Duration, error) {
	life, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 15)
		life = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || life <= 0 {
		return 0, schemas.Wrap(schemas.Invalid, err, "%s %.40q: write a number and its unit, such as 90m, 12h or 30d", field, text)
	}
	return life, nil
}

func keyOf(key schemas.APIKey) rest.Key {
	return rest.Key{
		ID: key.ID, Name: key.Name, Tenant: key.Tenant, Roles: key.Roles, Chains: key.Chains, Models: key.Models,
		RequestsPerMinute: key.RequestsPerMinute, First: key.First, ReplacedBy: key.ReplacedBy,
		CreatedAt: key.CreatedAt, ExpiresAt: key.ExpiresAt, RevokedAt: key.RevokedAt,
	}
}

// ownKey reads a key of the caller's tenant. Error: not_found, also for one of another tenant.
func (g *Gateway) ownKey(ctx context.Context, id string) (schemas.APIKey, error) {
	key, err := g.keys.read(ctx, id)
	if err == nil && key.Tenant == caller(ctx).Tenant {
		return key, nil
	}
	if err == nil || schemas.CodeOf(err) == schemas.NotFound {
		return key, noKey(id)
	}
	return key, err
}

func noKey(id string) error {
	return schemas.Errorf(schemas.NotFound, "there is no API key %s; \"tenuto keys list\" shows those there are", id)
}

func (g *Gateway) showKey(ctx context.Context, in *keyInput) (*keyOutput, error) {
	key, err := g.ownKey(ctx, in.ID)
	return &keyOutput{keyOf(key)}, err
}

// rotateKey makes the successor first and then sets the old key its end: after a crash in between the old key lives on, and nobody has the
// new one's token.
func (g *Gateway) rotateKey(ctx context.Context, in *rotateInput) (*newKeyOutput, error) {
	old, err := g.ownKey(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	overlap, err := parseOverlap(in.Body.Overlap)
	if err != nil {
		return nil, err
	}
	now := g.now().UTC().Truncate(time.Second)
	switch {
	case old.ReplacedBy != "":
		return nil, schemas.Errorf(schemas.Conflict, "key %s is replaced by %s already; rotate that one", old.ID, old.ReplacedBy)
	case !old.Live(g.now()):
		return nil, schemas.Errorf(schemas.Conflict, "key %s has ended; create a new one", old.ID)
	}
	fresh, token := successor(old, now)
	if err := g.keys.succeed(ctx, old.ID, fresh, now.Add(overlap)); err != nil {
		return nil, err
	}
	return &newKeyOutput{rest.CreatedKey{Key: keyOf(fresh), Token: token}}, nil
}

// successor is a key like another, that lives as long as that one was made to live.
func successor(old schemas.APIKey, now time.Time) (schemas.APIKey, string) {
	id, token := newToken()
	fresh := old
	fresh.ID, fresh.SHA256, fresh.First, fresh.CreatedAt = id, schemas.Hash([]byte(token)), old.Line(), now
	if old.ExpiresAt != nil {
		end := now.Add(old.ExpiresAt.Sub(old.CreatedAt))
		fresh.ExpiresAt = &end
	}
	return fresh, token
}

// parseOverlap is parseLife for a time that may be none at all.
func parseOverlap(text string) (time.Duration, error) {
	switch text {
	case "":
		return defaultOverlap, nil
	case "0", "0s":
		return 0, nil
	}
	return parseLife("overlap", text)
}

func (g *Gateway) listKeys(ctx context.Context, in *pageInput) (*pageOutput[rest.Key], error) {
	keys, err := g.keys.all(ctx, caller(ctx).Tenant)
	if err != nil {
		return nil, err
	}
	out := &pageOutput[rest.Key]{rest.Page[rest.Key]{Items: []rest.Key{}}}
	for _, key := range keys {
		if key.ID <= in.Cursor {
			continue
		}
		if len(out.Body.Items) == in.Limit {
			out.Body.Next = out.Body.Items[in.Limit-1].ID
			break
		}
		out.Body.Items = append(out.Body.Items, keyOf(key))
	}
	return out, nil
}

func (g *Gateway) revokeKey(ctx context.Context, in *keyInput) (*keyOutput, error) {
	keys, err := g.keys.all(ctx, caller(ctx).Tenant)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(keys, func(k schemas.APIKey) bool { return k.ID == in.ID })
	if i < 0 {
		return nil, noKey(in.ID)
	}
	key := keys[i]
	if key.RevokedAt != nil {
		return &keyOutput{keyOf(key)}, nil
	}
	if err := g.checkRevocable(key, keys); err != nil {
		return nil, err
	}
	now := g.now().UTC().Truncate(time.Second)
	key.RevokedAt = &now
	return &keyOutput{keyOf(key)}, g.keys.save(ctx, key)
}

// checkRevocable keeps one live admin key, without which nobody could make another.
func (g *Gateway) checkRevocable(key schemas.APIKey, keys []schemas.APIKey) error {
	now := g.now()
	for _, other := range keys {
		if other.ID != key.ID && other.Live(now) && other.ReplacedBy == "" && other.May(schemas.RoleAdmin) {
			return nil
		}
	}
	if !key.May(schemas.RoleAdmin) || !key.Live(now) {
		return nil
	}
	return schemas.Errorf(schemas.Conflict, "key %s is the tenant's last admin key; create another (%s) before you revoke it",
		key.ID, fmt.Sprintf("tenuto keys create --role %s", schemas.RoleAdmin))
}
