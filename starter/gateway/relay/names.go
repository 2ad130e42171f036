package relay

import (
	"context"
	"slices"
	"strings"

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
		if r.Gate != nil && !r.Gate.May(key, name) || !namePattern.MatchString(name) {
			return noModel(name)
		}
		_, err := r.Fleet.Target(schemas.Models{}, name)
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
