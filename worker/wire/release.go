package wire

import (
	"context"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/release"
	"github.com/tenuto-dev/tenuto/schemas"
)

// SealBundle makes of a bundle what is released: checked, in canonical form, with the recipes of its collections. Errors: invalid for a
// bundle that cannot run, those of the store.
func SealBundle(ctx context.Context, store *blob.Store, tenant string, bundle schemas.Bundle) (schemas.Bundle, error) {
	return release.Seal(ctx, store, tenant, bundle)
}

// ProjectBundles puts together the bundles of all chains of the project in a folder, by chain. Errors: as of ProjectBundle.
func ProjectBundles(dir string) (map[string]schemas.Bundle, error) {
	p, _, err := openProject(dir)
	if err != nil {
		return nil, err
	}
	return p.Bundles()
}
