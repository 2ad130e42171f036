package gateway

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// keyCacheTime is how long what is known of a key is believed, absence included: a revoked key opens nothing after it.
const keyCacheTime = 2 * time.Second

// keyCacheSize bounds the cache against callers that make up keys.
const keyCacheSize = 10_000

var tokenPattern = regexp.MustCompile(`^tnt_([0-9a-f]{12})_[0-9a-f]{64}$`)

// errUnknownKey is the one answer to a missing, malformed, wrong, expired or revoked key, so that it tells nothing apart.
var errUnknownKey = schemas.Errorf(schemas.Unauthorized,
	"no valid API key came with the request; send \"Authorization: Bearer tnt_…\" with a key that is neither expired nor revoked")

// newToken makes a token of 48 random bits that name it and 256 that open.
func newToken() (id, token string) {
	var bits [6 + 32]byte
	_, _ = rand.Read(bits[:]) // never fails, as its documentation promises
	id = hex.EncodeToString(bits[:6])
	return id, "tnt_" + id + "_" + hex.EncodeToString(bits[6:])
}

// tokenID returns the id inside a well-formed token.
func tokenID(token string) (id string, ok bool) {
	match := tokenPattern.FindStringSubmatch(token)
	if match == nil {
		return "", false
	}
	return match[1], true
}

// keyring finds API keys by id. It is safe for concurrent use.
type keyring struct {
	store     *blob.Store
	now       func() time.Time
	bootstrap *schemas.APIKey // stored when it is first asked for and absent

	group  singleflight.Group
	mu     sync.Mutex
	cached map[string]cachedKey
}

type cachedKey struct {
	key   schemas.APIKey // zero if there is none
	until time.Time
}

func newKeyring(store *blob.Store, now func() time.Time, bootstrap string) (*keyring, error) {
	ring := &keyring{store: store, now: now, cached: make(map[string]cachedKey)}
	if bootstrap == "" {
		return ring, nil
	}
	id, ok := tokenID(bootstrap)
	if !ok {
		return nil, schemas.Errorf(schemas.Invalid,
			"TENUTO_BOOTSTRAP_KEY is no API key: it must be tnt_, 12 hex digits, an underscore and 64 hex digits, in lower case")
	}
	ring.bootstrap = &schemas.APIKey{
		ID: id, SHA256: schemas.Hash([]byte(bootstrap)), Tenant: schemas.DefaultTenant, Name: "bootstrap",
		Roles: []schemas.Role{schemas.RoleAdmin}, CreatedAt: now().UTC(),
	}
	return ring, nil
}

// authenticate returns the key that the request's header carries. Errors: unauthorized, and unavailable where keys cannot be read.
func (k *keyring) authenticate(ctx context.Context, header http.Header) (schemas.APIKey, error) {
	scheme, token, _ := strings.Cut(header.Get("Authorization"), " ")
	id, ok := tokenID(strings.TrimSpace(token))
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return schemas.APIKey{}, errUnknownKey
	}
	key, err := k.find(ctx, id)
	if err != nil {
		return schemas.APIKey{}, err
	}
	sum := schemas.Hash([]byte(strings.TrimSpace(token)))
	if subtle.ConstantTimeCompare([]byte(sum), []byte(key.SHA256)) != 1 || !key.Live(k.now()) {
		return schemas.APIKey{}, errUnknownKey
	}
	return key, nil
}

// find returns the key with this id, zero if there is none.
func (k *keyring) find(ctx context.Context, id string) (schemas.APIKey, error) {
	if key, ok := k.recent(id); ok {
		return key, nil
	}
	found, err, _ := k.group.Do(id, func() (any, error) { return k.load(context.WithoutCancel(ctx), id) })
	if err != nil {
		return schemas.APIKey{}, err
	}
	key, _ := found.(schemas.APIKey) // load returns nothing else
	return key, nil
}

func (k *keyring) recent(id string) (schemas.APIKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	entry, ok := k.cached[id]
	return entry.key, ok && k.now().Before(entry.until)
}

// load reads the key from the store. The time counts from before the read: what was revoked during it is not believed longer.
func (k *keyring) load(ctx context.Context, id string) (schemas.APIKey, error) {
	until := k.now().Add(keyCacheTime)
	key, err := k.read(ctx, id)
	if schemas.CodeOf(err) == schemas.NotFound && err != nil {
		key, err = k.install(ctx, id)
	}
	if err != nil {
		return schemas.APIKey{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.cached) >= keyCacheSize {
		clear(k.cached)
	}
	k.cached[id] = cachedKey{key, until}
	return key, nil
}

// read returns the key as it stands in the store, with the end that a rotation has set it.
func (k *keyring) read(ctx context.Context, id string) (key schemas.APIKey, err error) {
	if err := k.record(ctx, schemas.KeyRecord(id), &key); err != nil {
		return key, err
	}
	var succession schemas.KeySuccession
	err = k.record(ctx, schemas.KeySuccessionKey(id), &succession)
	switch {
	case err == nil:
		return key.Ended(succession), nil
	case schemas.CodeOf(err) == schemas.NotFound:
		return key, nil
	}
	return schemas.APIKey{}, err
}

func (k *keyring) record(ctx context.Context, at string, into any) error {
	data, err := k.store.Get(ctx, at)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return schemas.Wrap(schemas.Internal, err, "the record %s of an API key cannot be read", at)
	}
	return nil
}

// succeed makes fresh the successor of a key that ends then. Error: conflict when the key has a successor already; the new key is gone then.
func (k *keyring) succeed(ctx context.Context, old string, fresh schemas.APIKey, ends time.Time) error {
	if err := k.save(ctx, fresh); err != nil {
		return err
	}
	defer k.forget(old)
	first, err := k.store.PutIfAbsent(ctx, schemas.KeySuccessionKey(old), encode(schemas.KeySuccession{Successor: fresh.ID, Ends: ends}))
	if first || err != nil {
		return err // after an error nobody has the new key's token, and the old key may live on: asking again is right
	}
	if err := k.store.Delete(ctx, schemas.KeyRecord(fresh.ID)); err != nil {
		return err
	}
	k.forget(fresh.ID)
	return schemas.Errorf(schemas.Conflict, "key %s has just been replaced by another; \"tenuto keys show %s\" says by which", old, old)
}

// install stores the bootstrap key if id is its id. It happens at its first use rather than at start, so that the gateway starts
// while the store is down; a key that was revoked stays in the store and so stays revoked.
func (k *keyring) install(ctx context.Context, id string) (schemas.APIKey, error) {
	if k.bootstrap == nil || k.bootstrap.ID != id {
		return schemas.APIKey{}, nil
	}
	if _, err := k.store.PutIfAbsent(ctx, schemas.KeyRecord(id), encode(*k.bootstrap)); err != nil {
		return schemas.APIKey{}, err
	}
	return k.read(ctx, id)
}

// save writes a key and forgets what was cached of it.
func (k *keyring) save(ctx context.Context, key schemas.APIKey) error {
	defer k.forget(key.ID)
	return k.store.Put(ctx, schemas.KeyRecord(key.ID), encode(key))
}

func (k *keyring) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.cached, id)
}

// all reads every key of a tenant, oldest first.
func (k *keyring) all(ctx context.Context, tenant string) ([]schemas.APIKey, error) {
	var keys []schemas.APIKey
	for info, err := range k.store.All(ctx, schemas.KeyPrefix) {
		if err != nil {
			return nil, err
		}
		id := strings.TrimSuffix(strings.TrimPrefix(info.Key, schemas.KeyPrefix), ".json")
		key, err := k.read(ctx, id)
		if err != nil {
			return nil, err
		}
		if key.Tenant == tenant {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

type principalKey struct{}

// caller returns the key that the request was made with. The tenant of everything a request touches comes from it alone.
func caller(ctx context.Context) schemas.APIKey {
	key, _ := ctx.Value(principalKey{}).(schemas.APIKey)
	return key
}

// encode writes a record of ours, all of which marshal.
func encode(record any) []byte {
	data, err := json.Marshal(record)
	if err != nil {
		panic(err)
	}
	return data
}
