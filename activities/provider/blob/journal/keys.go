package journal

import "context"

// Keys returns the keys in all journals that begin with prefix, sorted: those of entries that are not at their keys yet, and some of which
// that moved lately. As with [Journal.Find], list the store afterwards, or an entry that moves meanwhile is missed. Codes as of Get.
func (j *Journal) Keys(ctx context.Context, tenant, prefix string) ([]string, error) {
	return j.keysOf(ctx, tenant, prefix)
}
