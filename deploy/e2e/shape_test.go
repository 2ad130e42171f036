package e2e

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fields lists the paths of all fields in a JSON text, such as hits[].rank, sorted.
func fields(t *testing.T, text string) []string {
	t.Helper()
	found := map[string]bool{}
	collect(decode[any](t, text), "", found)
	return slices.Sorted(maps.Keys(found))
}

func collect(value any, path string, found map[string]bool) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			at := name
			if path != "" {
				at = path + "." + name
			}
			found[at] = true
			collect(inner, at, found)
		}
	case []any:
		for _, inner := range value {
			collect(inner, path+"[]", found)
		}
	}
}

// hasFields requires all of the fields in a JSON text; there may be others.
func hasFields(t *testing.T, text string, want ...string) {
	t.Helper()
	found := fields(t, text)
	missing := slices.DeleteFunc(slices.Clone(want), func(field string) bool { return slices.Contains(found, field) })
	if len(missing) > 0 {
		t.Errorf("fields %v are missing in\n%.2000s", missing, text)
	}
}

// onlyFields requires exactly these fields in a JSON text.
func onlyFields(t *testing.T, text string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), fields(t, text)); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}
