package journal

import "context"

// Own returns what this journal appended for the key, while it is needed and when it is settled, without asking anybody else. It is for keys that
// nobody else can have written. Of the settled ones it knows the last some thousand. Errors: those of the store, for an entry that is no longer
// in memory.
func (j *Journal) Own(ctx context.Context, tenant, key string) ([]byte, bool, error) {
	if err := checkKey(tenant, key); err != nil {
		return nil, false, err
	}
	if data, ok, err := j.own(ctx, tenant, key); ok || err != nil || !j.isSettled(key) {
		return data, ok, err
	}
	return j.at(ctx, key)
}
