package vector

import (
	"context"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Ping reports why the index cannot be used now: it asks for a class that nobody has, and "not found" is the answer of an index
// that works. Codes: unauthorized, unavailable, deadline.
func (x *Index) Ping(ctx context.Context) error {
	_, err := x.driver.Status(ctx, Target{Class: "TenutoPing", Tenant: "ping"})
	if schemas.CodeOf(err) == schemas.NotFound {
		return nil
	}
	return coded(err, "asking the index")
}
