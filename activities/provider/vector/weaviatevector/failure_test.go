package weaviatevector

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weaviate/weaviate-go-client/v4/weaviate/fault"
	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestFailed(t *testing.T) {
	t.Parallel()
	rest := func(code int, text string) error { return &statusError{code, text} }
	client := func(code int, text string) error {
		return &fault.WeaviateClientError{IsUnexpectedStatusCode: true, StatusCode: code, Msg: text}
	}
	refusedDial := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	cases := map[string]struct {
		err  error
		want schemas.Code
	}{
		"wrong key over REST":        {rest(401, "anonymous access not enabled"), schemas.Unauthorized},
		"wrong key, the client":      {client(401, ""), schemas.Unauthorized},
		"not allowed":                {rest(403, ""), schemas.Unauthorized},
		"wrong key over gRPC":        {status.Error(codes.Unauthenticated, "invalid api key"), schemas.Unauthorized},
		"wrong key, as Unknown":      {status.Error(codes.Unknown, "extract auth: unauthorized: invalid api key"), schemas.Unauthorized},
		"not allowed over gRPC":      {status.Error(codes.PermissionDenied, ""), schemas.Unauthorized},
		"class name":                 {client(422, "'Foo-bar' is not a valid class name"), schemas.Invalid},
		"another refusal":            {client(422, "whatever"), schemas.Invalid},
		"bad request":                {rest(400, ""), schemas.Invalid},
		"no class":                   {client(404, ""), schemas.NotFound},
		"no class at all":            {client(422, "no graphql provider present, this is most likely because"), schemas.NotFound},
		"no class for a tenant":      {client(422, "updating schema: TYPE_ADD_TENANT: class not found"), schemas.NotFound},
		"no tenant over gRPC":        {status.Error(codes.Unknown, `search: tenant not found: "bob"`), schemas.NotFound},
		"dimensions":                 {status.Error(codes.Unknown, "vector lengths don't match: 3 vs 2"), schemas.Invalid},
		"busy":                       {rest(429, ""), schemas.RateLimited},
		"starting":                   {rest(503, ""), schemas.Unavailable},
		"down over gRPC":             {status.Error(codes.Unavailable, "connection refused"), schemas.Unavailable},
		"down over REST":             {refusedDial, schemas.Unavailable},
		"down, the client":           {&fault.WeaviateClientError{StatusCode: -1, DerivedFromError: refusedDial}, schemas.Unavailable},
		"read-only":                  {status.Error(codes.Unknown, "store is read-only due to: disk usage"), schemas.OverBudget},
		"disk full":                  {rest(500, "write: no space left on device"), schemas.OverBudget},
		"message too large":          {status.Error(codes.ResourceExhausted, "larger than max"), schemas.OverBudget},
		"deadline":                   {fmt.Errorf("x: %w", context.DeadlineExceeded), schemas.Deadline},
		"deadline over gRPC":         {status.Error(codes.DeadlineExceeded, ""), schemas.Deadline},
		"deadline within Weaviate":   {status.Error(codes.Unknown, "search: context deadline exceeded"), schemas.Deadline},
		"something else over REST":   {rest(500, "panic"), schemas.Internal},
		"something else over gRPC":   {status.Error(codes.Unknown, "panic"), schemas.Internal},
		"something else":             {errors.New("panic"), schemas.Internal},
		"a code already":             {fmt.Errorf("x: %w", schemas.Errorf(schemas.Conflict, "y")), schemas.Conflict},
		"the client, its own reason": {&fault.WeaviateClientError{DerivedFromError: errors.New("x")}, schemas.Internal},
	}
	for name, c := range cases {
		got := failed(c.err)
		var coded *schemas.Error
		if !errors.As(got, &coded) || coded.Code != c.want {
			t.Errorf("%s: %v, want code %s", name, got, c.want)
		}
	}
	for _, err := range []error{nil, context.Canceled} {
		if got := failed(err); !errors.Is(got, err) {
			t.Errorf("failed(%v) = %v", err, got)
		}
	}
	if got := failed(status.Error(codes.Canceled, "")); !errors.Is(got, context.Canceled) {
		t.Errorf("cancelled over gRPC: %v", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "localhost:8080", "ftp://x", "http://", "http://a b"} {
		if d, err := Open(Config{URL: url}); err == nil || schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("Open with URL %q: %v, %v; want invalid", url, d, err)
		}
	}
}

func TestDown(t *testing.T) {
	t.Parallel()
	driver, err := Open(Config{URL: "http://127.0.0.1:1", GRPC: "127.0.0.1:1", Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close()
	index := vector.New(driver)
	target := vector.Target{Class: "Docs_v1", Tenant: "alice"}
	query := vector.Query{Mode: schemas.Keyword, Terms: "x", Limit: 1}
	id := schemas.ChunkID("c", "s", "d", "r", "h", 0)
	_, searched := index.Search(t.Context(), target, query)
	_, fetched := index.Fetch(t.Context(), target, []string{id})
	_, deleted := index.Delete(t.Context(), target, vector.Selection{IDs: []string{id}})
	_, emptied := index.Delete(t.Context(), target, vector.Selection{All: true})
	_, counted := index.Status(t.Context(), target)
	for name, err := range map[string]error{
		"Search": searched, "Fetch": fetched, "Delete": deleted, "Delete all": emptied, "Status": counted,
		"Ensure": index.Ensure(t.Context(), vector.Spec{Class: "Docs_v1", Tenant: "alice"}),
		"Upsert": index.Upsert(t.Context(), target, []vector.Object{{ID: id, Vector: []float32{1}}}),
	} {
		if err == nil || schemas.CodeOf(err) != schemas.Unavailable {
			t.Errorf("%s: %v, want unavailable", name, err)
		}
	}
}

// standIn answers as Weaviate would, with what a test sets.
type standIn struct {
	pb.UnimplementedWeaviateServer
	batch func(context.Context, *pb.BatchObjectsRequest) (*pb.BatchObjectsReply, error)
}

func (s *standIn) BatchObjects(ctx context.Context, in *pb.BatchObjectsRequest) (*pb.BatchObjectsReply, error) {
	return s.batch(ctx, in)
}

func stand(t *testing.T, s *standIn, config Config) *Driver {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(web.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterWeaviateServer(server, s)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	config.URL, config.GRPC = web.URL, listener.Addr().String()
	driver, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = driver.Close() })
	return driver
}

func TestUpsertFindsEveryRefusal(t *testing.T) {
	t.Parallel()
	driver := stand(t, &standIn{batch: func(_ context.Context, in *pb.BatchObjectsRequest) (*pb.BatchObjectsReply, error) {
		return &pb.BatchObjectsReply{Errors: []*pb.BatchObjectsReply_BatchError{
			{Index: 1, Error: "put: store is read-only due to: disk usage too high"},
			{Index: 2, Error: "something new"},
		}}, nil
	}}, Config{})
	objects := []vector.Object{{ID: "a"}, {ID: "b"}, {ID: "c"}}
	err := driver.Upsert(t.Context(), vector.Target{Class: "Docs_v1", Tenant: "alice"}, objects)
	var rejected *vector.RejectedError
	if !errors.As(err, &rejected) || len(rejected.Failures) != 2 || rejected.Failures[0].ID != "b" || rejected.Failures[1].ID != "c" {
		t.Fatalf("got %v, want a *RejectedError with b and c", err)
	}
	if code := schemas.CodeOf(err); code != schemas.OverBudget {
		t.Errorf("code %s, want %s", code, schemas.OverBudget)
	}
	if strings.Contains(schemas.SafeMessage(err), "disk usage") {
		t.Errorf("Weaviate's own words are in the safe message %q", schemas.SafeMessage(err))
	}
}

func TestKeyIsSent(t *testing.T) {
	t.Parallel()
	var got []string
	driver := stand(t, &standIn{batch: func(ctx context.Context, _ *pb.BatchObjectsRequest) (*pb.BatchObjectsReply, error) {
		got = metadata.ValueFromIncomingContext(ctx, "authorization")
		return &pb.BatchObjectsReply{}, nil
	}}, Config{APIKey: "secret"})
	if err := driver.Upsert(t.Context(), vector.Target{Class: "Docs_v1", Tenant: "alice"}, []vector.Object{{ID: "a"}}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0] != "Bearer secret" {
		t.Errorf("authorization is %q, want the bearer token", got)
	}
}

func TestCallIsBounded(t *testing.T) {
	t.Parallel()
	driver := stand(t, &standIn{batch: func(ctx context.Context, _ *pb.BatchObjectsRequest) (*pb.BatchObjectsReply, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}, Config{Timeout: 50 * time.Millisecond})
	err := driver.Upsert(t.Context(), vector.Target{Class: "Docs_v1", Tenant: "alice"}, []vector.Object{{ID: "a"}})
	if err == nil || schemas.CodeOf(err) != schemas.Deadline {
		t.Errorf("got %v, want deadline", err)
	}
}
