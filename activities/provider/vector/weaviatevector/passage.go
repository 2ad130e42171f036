package weaviatevector

import (
	"context"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas/weaviate"
)

// list reads a passage: the ordinals of the document, which the class has no index for, and then the few objects that are wanted.
func (d *Driver) list(ctx context.Context, target vector.Target, query vector.Query) ([]vector.Found, error) {
	request := ask(target, weaviate.Ordinal)
	request.Filters = filters(query.Filter)
	request.Limit = uint32(query.Limit) //nolint:gosec // vector.Index bounds it
	reply, err := d.grpc.Search(ctx, request)
	if err != nil {
		return nil, failed(err)
	}
	var wanted []ranked
	for _, r := range reply.GetResults() {
		ordinal := int(r.GetProperties().GetNonRefProps().GetFields()[weaviate.Ordinal].GetIntValue())
		if ordinal >= query.First && ordinal <= query.Last {
			wanted = append(wanted, ranked{id: r.GetMetadata().GetId()})
		}
	}
	return d.read(ctx, target, wanted)
}
