package gateway

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/pack"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type packInput struct {
	rawBody
	Collection string `path:"collection" doc:"Name of the collection."`
}

type contentInput struct {
	rawBody
	Collection string `path:"collection" doc:"Name of the collection."`
	SHA256     string `path:"sha256" pattern:"^[0-9a-f]{64}$" doc:"Lower-case hex SHA-256 of the content."`
}

type packOutput struct {
	Status int
	Body   rest.Pack
}

func (g *Gateway) contentRoutes() {
	route(g, huma.Operation{
		OperationID: "upload-pack", Method: http.MethodPost, Path: "/api/v1/collections/{collection}/contents",
		Summary: "Upload contents, many in one tar file", Tags: []string{"ingestion"}, DefaultStatus: http.StatusCreated,
		Description: "The body is a tar file of regular files, each named by the lower-case hex SHA-256 of its data: at most 8 MiB and 1024 " +
			"contents, or one content of at most 32 MiB. Nothing is stored unless every content is what its name says. Repeating an upload is harmless.",
		RequestBody: bodyOf(schemas.MediaPack, "A pack."),
		Errors:      []int{http.StatusRequestEntityTooLarge, http.StatusPaymentRequired, http.StatusServiceUnavailable},
	}, services, g.uploadPack)
	route(g, huma.Operation{
		OperationID: "upload-content", Method: http.MethodPut, Path: "/api/v1/collections/{collection}/contents/{sha256}",
		Summary: "Upload one content", Tags: []string{"ingestion"}, DefaultStatus: http.StatusCreated,
		Description: "For simple clients; many small contents are better sent as packs.",
		RequestBody: bodyOf("application/octet-stream", "The content, at most 32 MiB."),
		Errors:      []int{http.StatusRequestEntityTooLarge, http.StatusPaymentRequired, http.StatusServiceUnavailable},
	}, services, g.uploadContent)
}

func bodyOf(media, description string) *huma.RequestBody {
	return &huma.RequestBody{Required: true, Description: description, Content: map[string]*huma.MediaType{
		media: {Schema: &huma.Schema{Type: "string", Format: "binary"}},
	}}
}

func (g *Gateway) uploadPack(ctx context.Context, in *packInput) (*packOutput, error) {
	return g.upload(ctx, in.Collection, func() (*pack.Upload, error) {
		return pack.Read(in.request.Body, in.request.ContentLength)
	})
}

func (g *Gateway) uploadContent(ctx context.Context, in *contentInput) (*packOutput, error) {
	return g.upload(ctx, in.Collection, func() (*pack.Upload, error) {
		return pack.Single(in.request.Body, in.request.ContentLength, in.SHA256)
	})
}

// upload verifies what read returns and stores it. A few uploads at a time are held in memory; the others wait with their bodies unread.
func (g *Gateway) upload(ctx context.Context, name string, read func() (*pack.Upload, error)) (*packOutput, error) {
	collection, err := schemas.CanonicalCollection(name)
	if err != nil {
		return nil, err
	}
	leave, err := g.uploads.enter(ctx, caller(ctx).Tenant)
	if err != nil {
		return nil, err
	}
	defer leave()
	upload, err := read()
	if err != nil {
		return nil, sized(err)
	}
	defer upload.Close()
	existed, err := g.packs.Put(ctx, schemas.PackPrefix(caller(ctx).Tenant, collection), upload)
	if err != nil {
		return nil, err
	}
	g.metrics.uploaded.Add(float64(upload.Bytes))
	return &packOutput{Status: uploadStatus(existed), Body: rest.Pack{
		Pack: upload.Index.ID(), Contents: len(upload.Index.Contents), Bytes: upload.Bytes, Existed: existed,
	}}, nil
}

func uploadStatus(existed bool) int {
	if existed {
		return http.StatusOK
	}
	return http.StatusCreated
}

// sized tells HTTP that the fault of an upload is its size.
func sized(err error) error {
	if errors.Is(err, pack.ErrTooLarge) {
		return tooLarge(err)
	}
	return err
}

// slots are places for what is held in memory. A tenant has half of them at most, so that slow senders of one hold up no other's.
type slots struct {
	all  chan struct{}
	most int

	mu     sync.Mutex
	shares map[string]chan struct{} // by tenant; one for each that ever came
}

func newSlots(n int) *slots {
	return &slots{all: make(chan struct{}, n), most: max(n/2, 1), shares: map[string]chan struct{}{}}
}

// enter takes a place until leave is called, or gives up with the caller. Error: deadline.
func (s *slots) enter(ctx context.Context, tenant string) (leave func(), err error) {
	share := s.share(tenant)
	if err := acquire(ctx, share); err != nil {
		return nil, err
	}
	if err := acquire(ctx, s.all); err != nil {
		<-share
		return nil, err
	}
	return func() { <-s.all; <-share }, nil
}

func (s *slots) share(tenant string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	share := s.shares[tenant]
	if share == nil {
		share = make(chan struct{}, s.most)
		s.shares[tenant] = share
	}
	return share
}

// acquire takes a slot, or gives up with the caller.
func acquire(ctx context.Context, slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return schemas.Wrap(schemas.Deadline, ctx.Err(), "the request ended while it waited for its turn")
	}
}
