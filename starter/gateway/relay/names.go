package relay

import (
	"context"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Names lists the models that are known by name and the chains that the key may run, sorted. Codes: those of Runner.
func (r *Relay) Names(ctx context.Context, key schemas.APIKey) ([]string, error) {
	var names []string
	for _, name := range r.Fleet.Named() {
		if r.Gate == nil || r.Gate.May(key, name) {
			names = append(names, name)
		}
	}
	if r.Chains == nil {
		return names, nil
	}
	chains, err := r.Chains.Names(ctx, key)
	return slices.Sorted(slices.Values(append(names, chains...))), err
}

// Check reports whether a name is a model or a chain that the key may use. A provider may serve models that are not listed. Error: not_found.
func (r *Relay) Check(ctx context.Context, key schemas.APIKey, name string) error {
	if strings.Contains(name, "/") {
		_, err := r.resolve(key, name)
		return err
	}
	names, err := r.Names(ctx, key)
	if err != nil {
		return err
	}
	if !slices.Contains(names, name) {
		return noModel(name)
	}
	return nil
}

// resolve finds a configured model that the key may use. Error: not_found.
func (r *Relay) resolve(key schemas.APIKey, name string) (fleet.Target, error) {
	if r.Gate != nil && !r.Gate.May(key, name) || !namePattern.MatchString(name) {
		return fleet.Target{}, noModel(name)
	}
	target, err := r.Fleet.Target(schemas.Models{}, name)
	if err != nil && schemas.CodeOf(err) == schemas.Invalid { // half a name
		err = noModel(name)
	}
	return target, err
}

func noModel(name string) error {
	return schemas.Errorf(schemas.NotFound, "there is no model %.80q for this key; /v1/models lists those there are", name)
}
