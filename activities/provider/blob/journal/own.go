package journal

import "context"

// Own returns what this journal appended for the key and still needs, without asking anybody. It is for keys that nobody else can have
// written. Errors: those of the store, for an entry that had to leave memory.
func (j *Journal) Own(ctx context.Context, tenant, key string) ([]byte, bool, error) {
	if err := checkKey(tenant, key); err != nil {
		return nil, false, err
	}
	return j.own(ctx, tenant, key)
}
