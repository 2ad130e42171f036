package evaluate

import (
	"slices"

	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

// distinct refuses providers that no result could tell apart.
func distinct(providers []suite.Provider) error {
	seen := map[string]bool{}
	for _, v := range providers {
		if name := v.ID + "\n" + v.Label; seen[name] {
			return schemas.Errorf(schemas.Invalid, "the suite has the provider %s twice: give each a `label`, so that results can tell them apart", v.Title())
		}
		seen[v.ID+"\n"+v.Label] = true
	}
	return nil
}

func everyProvider(s *suite.Suite) []suite.Provider {
	all := slices.Clone(s.Providers)
	for i := range s.Cases {
		if own := s.Cases[i].Provider; own != nil {
			all = append(all, *own)
		}
	}
	return all
}
