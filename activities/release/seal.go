package release

import (
	"context"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/project"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Seal makes of a bundle what is released: checked, in canonical form, and with the recipes of the collections that its retrieve steps name,
// as they are now. A collection that an expression names, or that there is not yet, has none. Errors: invalid for a bundle that cannot
// run, those of the store.
func Seal(ctx context.Context, store *blob.Store, tenant string, bundle schemas.Bundle) (schemas.Bundle, error) {
	if problems := project.CheckBundle(bundle); len(problems) > 0 {
		return schemas.Bundle{}, schemas.Errorf(schemas.Invalid, "the chain %s cannot run: it has %s, the first is %s",
			bundle.Chain, project.Count(len(problems)), project.Describe(problems[0]))
	}
	sealed, err := project.Canonical(bundle)
	if err != nil {
		return schemas.Bundle{}, err
	}
	sealed.Recipes, err = recipes(ctx, store, tenant, sealed)
	return sealed, err
}

func recipes(ctx context.Context, store *blob.Store, tenant string, bundle schemas.Bundle) (map[string]schemas.Recipe, error) {
	found := map[string]schemas.Recipe{}
	for _, def := range bundle.Chains {
		for _, s := range def.Steps {
			if s.Retrieve == nil || strings.Contains(s.Retrieve.Collection, "${") {
				continue
			}
			name, err := schemas.CanonicalCollection(s.Retrieve.Collection)
			if err != nil {
				return nil, err
			}
			record, err := blob.GetJSON[schemas.Collection](ctx, store, schemas.Ref{Key: schemas.CollectionKey(tenant, name)})
			switch {
			case err == nil:
				found[name] = record.Recipe
			case schemas.CodeOf(err) != schemas.NotFound:
				return nil, err
			}
		}
	}
	return found, nil
}
