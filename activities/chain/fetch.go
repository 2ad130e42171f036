package chain

import (
	"context"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Fetch reads a text of the tenant that a result points to. Read-only, so any retry is harmless. Codes: invalid for a reference to elsewhere,
// over_budget for a text that is too long for a message, those of the store.
func (a *Activities) Fetch(ctx context.Context, in schemas.FetchRequest) (schemas.Fetched, error) {
	if err := schemas.CheckTenant(in.Tenant); err != nil {
		return schemas.Fetched{}, err
	}
	if !strings.HasPrefix(in.Ref.Key, schemas.BlobKey(in.Tenant, "")) {
		return schemas.Fetched{}, schemas.Errorf(schemas.Invalid, "the text is none of tenant %s", in.Tenant)
	}
	if in.Ref.Bytes > schemas.MaxFetch {
		return schemas.Fetched{}, schemas.Errorf(schemas.OverBudget,
			"the text has %d bytes; over Temporal at most %d are read: set TENUTO_URL and TENUTO_API_KEY to have it from a gateway", in.Ref.Bytes, schemas.MaxFetch)
	}
	text, err := blob.Text(ctx, a.Store, schemas.Content{Ref: in.Ref})
	return schemas.Fetched{Text: text}, err
}
