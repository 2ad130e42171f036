package blob

import (
	"context"
	"encoding/json"

	"github.com/tenuto-dev/tenuto/schemas"
)

// PutContent writes data at the key that its SHA-256 names in the tenant's part of the store. Writing the same content again
// changes nothing.
func PutContent(ctx context.Context, s *Store, tenant string, data []byte) (schemas.Ref, error) {
	sum := schemas.Hash(data)
	ref := schemas.Ref{Key: schemas.BlobKey(tenant, sum), SHA256: sum, Bytes: int64(len(data))}
	if err := s.Put(ctx, ref.Key, data); err != nil {
		return schemas.Ref{}, err
	}
	s.recent.put(ref.Key, data)
	return ref, nil
}

// PutJSON writes v as JSON at key, replacing what is there, and returns a reference that GetJSON checks.
func PutJSON(ctx context.Context, s *Store, key string, v any) (schemas.Ref, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return schemas.Ref{}, schemas.Wrap(schemas.Internal, err, "object %s cannot be written as JSON", key)
	}
	if err := s.Put(ctx, key, data); err != nil {
		return schemas.Ref{}, err
	}
	return schemas.Ref{Key: key, SHA256: schemas.Hash(data), Bytes: int64(len(data))}, nil
}

// GetJSON reads the object at ref into a T. A reference without a hash reads whatever is there. Errors: those of Get, and internal
// where the object is not the one that the reference was made for, or not a T.
func GetJSON[T any](ctx context.Context, s *Store, ref schemas.Ref) (T, error) {
	var v T
	data, err := GetContent(ctx, s, ref)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, schemas.Wrap(schemas.Internal, err, "object %s is not the JSON that was expected", ref.Key)
	}
	return v, nil
}

// GetContent reads the object at ref and, if ref has a hash, checks the bytes against it. One that PutContent wrote and this store
// wrote or read lately comes from memory. Errors: those of Get, and internal where the object was replaced or damaged since.
func GetContent(ctx context.Context, s *Store, ref schemas.Ref) ([]byte, error) {
	if !named(ref) {
		return s.checked(ctx, ref)
	}
	if data, ok := s.recent.get(ref.Key); ok {
		return data, nil
	}
	data, err := s.checked(ctx, ref)
	if err == nil {
		s.recent.put(ref.Key, data)
	}
	return data, err
}

func (s *Store) checked(ctx context.Context, ref schemas.Ref) ([]byte, error) {
	data, err := s.Get(ctx, ref.Key)
	if err != nil {
		return nil, err
	}
	if sum := schemas.Hash(data); ref.SHA256 != "" && sum != ref.SHA256 {
		return nil, schemas.Errorf(schemas.Internal,
			"object %s was replaced or damaged: its SHA-256 is %s, the reference says %s", ref.Key, sum, ref.SHA256)
	}
	return data, nil
}

// DeletePrefix removes every object whose key begins with prefix and returns how many it saw. Objects that are written
// meanwhile may stay. An empty prefix is invalid: nothing in Tenuto empties a whole store.
func DeletePrefix(ctx context.Context, s *Store, prefix string) (int, error) {
	if prefix == "" {
		return 0, schemas.Errorf(schemas.Invalid, "an empty prefix would delete the whole store")
	}
	deleted, after := 0, ""
	for {
		page, err := s.List(ctx, prefix, after, PageKeys)
		if err != nil || len(page) == 0 {
			return deleted, err
		}
		keys := make([]string, len(page))
		for i, info := range page {
			keys[i] = info.Key
		}
		if err := s.Delete(ctx, keys...); err != nil {
			return deleted, err
		}
		deleted += len(keys)
		after = keys[len(keys)-1]
	}
}
