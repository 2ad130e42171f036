package weaviatevector

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/weaviate/weaviate/entities/models"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/schemas/weaviate"
)

// Ensure implements [vector.Driver].
func (d *Driver) Ensure(ctx context.Context, spec vector.Spec) error {
	ctx, cancel := d.call(ctx)
	defer cancel()
	if err := d.ensureClass(ctx, spec); err != nil {
		return err
	}
	err := d.client.Schema().TenantsCreator().WithClassName(spec.Class).WithTenants(models.Tenant{Name: spec.Tenant}).Do(ctx)
	if err != nil {
		return failed(err)
	}
	return d.ensureAlias(ctx, spec)
}

// ensureClass makes the class unless it is there. Of several at once one makes it, and the others are told that it exists.
func (d *Driver) ensureClass(ctx context.Context, spec vector.Spec) error {
	found, err := d.checkClass(ctx, spec)
	if err != nil || found {
		return err
	}
	wanted, err := definition(spec)
	if err != nil {
		return err
	}
	refused := failed(d.client.Schema().ClassCreator().WithClass(wanted).Do(ctx))
	if refused == nil || schemas.CodeOf(refused) != schemas.Invalid {
		return refused
	}
	if found, err = d.checkClass(ctx, spec); err != nil || found {
		return err
	}
	return refused
}

// checkClass reports whether the class is there. Code: conflict, if it is there with another shape or the name is an alias.
func (d *Driver) checkClass(ctx context.Context, spec vector.Spec) (bool, error) {
	class, err := d.client.Schema().ClassGetter().WithClassName(spec.Class).Do(ctx)
	if err != nil {
		if err = failed(err); schemas.CodeOf(err) == schemas.NotFound {
			return false, nil
		}
		return false, err
	}
	if class.Class != spec.Class {
		return false, schemas.Errorf(schemas.Conflict, "the name %s is an alias of another class", spec.Class)
	}
	wanted, err := definition(spec)
	if err != nil {
		return false, err
	}
	if class.MultiTenancyConfig == nil || !class.MultiTenancyConfig.Enabled || !slices.Equal(names(class), names(wanted)) {
		return false, schemas.Errorf(schemas.Conflict, foreign)
	}
	return true, nil
}

func names(class *models.Class) []string {
	list := make([]string, len(class.Properties))
	for i, p := range class.Properties {
		list[i] = p.Name
	}
	slices.Sort(list)
	return list
}

func definition(spec vector.Spec) (*models.Class, error) {
	class := &models.Class{}
	if err := json.Unmarshal(weaviate.Class, class); err != nil {
		return nil, schemas.Wrap(schemas.Internal, err, "the definition of the class cannot be read")
	}
	class.Class = spec.Class
	class.InvertedIndexConfig.Bm25 = &models.BM25Config{K1: float32(spec.BM25.K1), B: float32(spec.BM25.B)}
	return class, nil
}

// alias is Weaviate's message for one: https://docs.weaviate.io/weaviate/manage-collections/collection-aliases.
type alias struct {
	Alias string `json:"alias"`
	Class string `json:"class"`
}

func (d *Driver) ensureAlias(ctx context.Context, spec vector.Spec) error {
	if spec.Alias == "" {
		return nil
	}
	behind, err := d.behind(ctx, spec.Alias)
	if err != nil || behind != "" {
		return err
	}
	refused := failed(d.rest.do(ctx, http.MethodPost, "/aliases", alias{spec.Alias, spec.Class}, nil))
	if refused == nil || schemas.CodeOf(refused) != schemas.Invalid {
		return refused
	}
	if behind, err = d.behind(ctx, spec.Alias); err != nil || behind != "" {
		return err // somebody else made it meanwhile
	}
	return schemas.Wrap(schemas.Conflict, refused, "the name %s is taken by a class and cannot be an alias", spec.Alias)
}

// behind is the class of an alias; empty if name is none.
func (d *Driver) behind(ctx context.Context, name string) (string, error) {
	var found alias
	err := d.rest.do(ctx, http.MethodGet, "/aliases/"+name, nil, &found)
	var answer *statusError
	if errors.As(err, &answer) && answer.status == http.StatusNotFound {
		return "", nil
	}
	return found.Class, failed(err)
}
