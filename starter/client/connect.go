package client

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Caller is the part of Temporal's client that a [Client] needs. Every client.Client is one.
type Caller interface {
	Starter
	CancelWorkflow(ctx context.Context, workflowID, runID string) error
}

// Client runs chains on releases, and tells what becomes of runs. It starts, waits for and cancels runs over Temporal where it has a Temporal
// client, else through a gateway; it streams and takes feedback through a gateway, where tokens and feedback are. What needs the one that it
// has not says what to set, with the code invalid.
//
// It is safe for concurrent use, and no call of it leaves a goroutine behind. The zero value reaches nothing and says so; see [New] and [Dial].
type Client struct {
	temporal Caller // nil for none
	gateway  *gateway
	tenant   string
	close    func() // nil where there is nothing of ours to close
}

// Option is a choice for a [Client].
type Option func(*settings)

type settings struct {
	url, key, tenant string
	http             *http.Client
	reconnects       int
}

// WithGateway names the gateway, such as http://127.0.0.1:8480, and an API key with the role service. With a Temporal client the tenant must be
// that of the key.
func WithGateway(url, apiKey string) Option {
	return func(s *settings) { s.url, s.key = url, apiKey }
}

// WithTenant names the tenant of runs over Temporal; it is "default" unless named. Through a gateway the tenant is that of the API key.
func WithTenant(name string) Option { return func(s *settings) { s.tenant = name } }

// WithHTTPClient has calls of the gateway made by h, whose Timeout must be zero where runs are streamed.
func WithHTTPClient(h *http.Client) Option { return func(s *settings) { s.http = h } }

// WithReconnects bounds how often a call of the gateway is made again where it, or the connection, fails in a way that may pass, and how often
// a stream is gone on with since its last piece of text came; 10 unless set, which bridges about 20 seconds. Zero makes each call once.
func WithReconnects(n int) Option { return func(s *settings) { s.reconnects = n } }

// New makes a client over one of Temporal's, which may be nil where there is a gateway. Error: invalid for a tenant or an address that is
// none.
func New(temporal Caller, options ...Option) (*Client, error) {
	s := settings{tenant: schemas.DefaultTenant, reconnects: reconnectsMost}
	for _, option := range options {
		option(&s)
	}
	if err := schemas.CheckTenant(s.tenant); err != nil {
		return nil, err
	}
	c := &Client{temporal: temporal, tenant: s.tenant}
	if s.url == "" {
		return c, nil
	}
	address, err := url.Parse(s.url)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, schemas.Wrap(schemas.Invalid, err, "%.200q is no address of a gateway; set TENUTO_URL to one such as http://127.0.0.1:8480", s.url)
	}
	c.gateway = &gateway{url: strings.TrimSuffix(s.url, "/"), key: s.key, http: s.http, reconnects: s.reconnects}
	if s.http == nil {
		own, ok := http.DefaultTransport.(*http.Transport)
		if ok {
			own = own.Clone()
			own.MaxIdleConnsPerHost = idlePerHost
			c.gateway.http, c.close = &http.Client{Transport: own}, own.CloseIdleConnections
		} else { // somebody has replaced it, and means it
			c.gateway.http = &http.Client{}
		}
	}
	return c, nil
}

// idlePerHost is how many connections to the gateway stay open; the two of the standard library are too few for a service.
const idlePerHost = 64

// dialTime bounds the wait for Temporal.
const dialTime = 10 * time.Second

// Dial makes a client from the environment: TEMPORAL_ADDRESS and Temporal's other variables, TENUTO_URL with TENUTO_API_KEY for the gateway, and
// TENUTO_TENANT. With the address of a gateway and none of Temporal it has no Temporal client. Close it. Errors: invalid for what cannot be used,
// unavailable where Temporal does not answer within ten seconds.
func Dial(ctx context.Context, getenv func(string) string, options ...Option) (*Client, error) {
	var given []Option
	if tenant := getenv("TENUTO_TENANT"); tenant != "" {
		given = append(given, WithTenant(tenant))
	}
	if url := getenv("TENUTO_URL"); url != "" {
		given = append(given, WithGateway(url, getenv("TENUTO_API_KEY")))
	}
	given = append(given, options...)
	if getenv("TENUTO_URL") != "" && getenv("TEMPORAL_ADDRESS") == "" && getenv("TEMPORAL_PROFILE") == "" {
		return New(nil, given...)
	}
	temporal, err := dial(ctx, getenv)
	if err != nil {
		return nil, err
	}
	c, err := New(temporal, given...)
	if err != nil {
		temporal.Close()
		return nil, err
	}
	idle := c.close
	c.close = func() {
		temporal.Close()
		if idle != nil {
			idle()
		}
	}
	return c, nil
}

func dial(ctx context.Context, getenv func(string) string) (client.Client, error) {
	options, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{EnvLookup: environment(getenv)})
	if err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "the TEMPORAL_* variables cannot be used")
	}
	if host, _, err := net.SplitHostPort(options.HostPort); err == nil && net.ParseIP(host).IsLoopback() {
		options.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{} // it costs more than it saves
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	temporal, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, schemas.Wrap(schemas.Unavailable, err, "Temporal does not answer at %s: check that it runs and that TEMPORAL_ADDRESS is right", options.HostPort)
	}
	return temporal, nil
}

// environment is a getenv as Temporal's reader of variables wants it.
type environment func(string) string

// Environ implements envconfig.EnvLookup: no variables are listed, so headers cannot be set by them.
func (e environment) Environ() []string { return nil }

// LookupEnv implements envconfig.EnvLookup.
func (e environment) LookupEnv(name string) (string, bool) {
	value := e(name)
	return value, value != ""
}

// Close ends what [Dial] and [New] opened, after the calls under way. A Temporal client that New was given stays open.
func (c *Client) Close() {
	if c.close != nil {
		c.close()
	}
}

// gatewayFor is the gateway for what only a gateway can do. Error: invalid where none is set.
func (c *Client) gatewayFor(what string) (*gateway, error) {
	if c.gateway == nil {
		return nil, schemas.Errorf(schemas.Invalid,
			"%s needs a gateway: set TENUTO_URL and TENUTO_API_KEY, or give the client its address and an API key with WithGateway", what)
	}
	return c.gateway, nil
}
