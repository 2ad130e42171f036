package ingest

import (
	"context"
	"fmt"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// readAhead is how many bytes of a pack are fetched at once, save for a single larger content.
const readAhead = 4 << 20

// contents reads the contents of listed documents. Neighbours in a listing are mostly neighbours in a pack, so one read serves
// many of them.
type contents struct {
	store  *blob.Store
	listed []schemas.SnapshotDocument

	pack  string
	start int64
	data  []byte
}

// read returns the content of document i. The slice is valid until the next call.
func (c *contents) read(ctx context.Context, i int) ([]byte, error) {
	doc := c.listed[i]
	if doc.Bytes == 0 {
		return nil, nil
	}
	if doc.Pack != c.pack || doc.Offset < c.start || doc.Offset+doc.Bytes > c.start+int64(len(c.data)) {
		if err := c.fetch(ctx, i); err != nil {
			return nil, err
		}
	}
	from := doc.Offset - c.start
	return c.data[from : from+doc.Bytes], nil
}

// fetch reads from document i as far as its followers in the same pack reach, within readAhead.
func (c *contents) fetch(ctx context.Context, i int) error {
	doc := c.listed[i]
	end := doc.Offset + doc.Bytes
	for _, next := range c.listed[i+1:] {
		reach := next.Offset + next.Bytes
		if next.Pack == doc.Pack && next.Offset >= doc.Offset && reach-doc.Offset <= readAhead {
			end = max(end, reach)
		}
	}
	data, err := c.store.GetRange(ctx, doc.Pack, doc.Offset, end-doc.Offset)
	if err != nil {
		return fmt.Errorf("reading the content of %q: %w", doc.Path, err)
	}
	if int64(len(data)) < doc.Bytes {
		return schemas.Errorf(schemas.Internal, "the stored content of %q is cut short: upload it again", doc.Path)
	}
	c.pack, c.start, c.data = doc.Pack, doc.Offset, data
	return nil
}
