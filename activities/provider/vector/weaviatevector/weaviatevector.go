// Package weaviatevector keeps chunks in Weaviate, each tenant in a Weaviate tenant of its own.
package weaviatevector

import (
	"cmp"
	"context"
	"crypto/tls"
	"net/http"
	"net/url"
	"time"

	"github.com/weaviate/weaviate-go-client/v4/weaviate"
	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Config says where Weaviate is and how to enter.
type Config struct {
	URL     string        // of its REST interface, such as http://127.0.0.1:8080; https also secures gRPC
	GRPC    string        // host:port of its gRPC interface; default: the host of URL, port 50051
	APIKey  string        // sent as a bearer token; empty for anonymous access
	Timeout time.Duration // of one call; default 60 s
}

const (
	defaultTimeout  = 60 * time.Second
	defaultGRPCPort = "50051"
	// maxMessage is the largest answer that is accepted: what Weaviate itself accepts and sends (grpcMaxMessageSize of /v1/meta).
	maxMessage = 104_858_000
)

// Driver translates to Weaviate 1.35: schema and tenants go through its Go client, aliases and node states, which the client lacks,
// over REST, objects and searches over gRPC. It dials gRPC itself because the client's own connection does not verify certificates
// and cannot be closed.
type Driver struct {
	client  *weaviate.Client
	rest    rest
	conn    *grpc.ClientConn
	grpc    pb.WeaviateClient
	key     string
	timeout time.Duration
}

var _ vector.Driver = (*Driver)(nil)

// Open prepares a driver. It does not connect: a Weaviate that is down shows in the first call, as unavailable. Code: invalid.
func Open(config Config) (*Driver, error) {
	where, err := url.Parse(config.URL)
	if err != nil || where.Host == "" || where.Scheme != "http" && where.Scheme != "https" {
		return nil, schemas.Errorf(schemas.Invalid, "the Weaviate URL %q is not like http://host:port", config.URL)
	}
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()} //nolint:errcheck,forcetypeassert // documented to be one
	headers := map[string]string{}
	if config.APIKey != "" {
		headers["Authorization"] = "Bearer " + config.APIKey
	}
	schema, err := weaviate.NewClient(weaviate.Config{
		Host: where.Host, Scheme: where.Scheme, Headers: headers, ConnectionClient: client,
	})
	if err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "the Weaviate client refuses its configuration")
	}
	conn, err := dial(cmp.Or(config.GRPC, where.Hostname()+":"+defaultGRPCPort), where.Scheme == "https")
	if err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "the address %q of Weaviate's gRPC interface is not like host:port", config.GRPC)
	}
	return &Driver{
		client:  schema,
		rest:    rest{client: client, base: where.Scheme + "://" + where.Host + "/v1", headers: headers},
		conn:    conn,
		grpc:    pb.NewWeaviateClient(conn),
		key:     config.APIKey,
		timeout: cmp.Or(config.Timeout, defaultTimeout),
	}, nil
}

// dial makes a connection that comes back within about two seconds of Weaviate's return; gRPC's default may wait for two minutes.
func dial(address string, secure bool) (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if secure {
		transport = credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})
	}
	retry := backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second}
	return grpc.NewClient(address,
		grpc.WithTransportCredentials(transport),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: 5 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithDisableRetry())
}

// Close ends the connections. Calls under way fail.
func (d *Driver) Close() error {
	d.rest.client.CloseIdleConnections()
	return d.conn.Close()
}

// call returns the context of one call: bounded in time, and with the key where gRPC looks for it.
func (d *Driver) call(ctx context.Context) (context.Context, context.CancelFunc) {
	if d.key != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+d.key)
	}
	return context.WithTimeout(ctx, d.timeout)
}
