// Package dial opens a Temporal client the way every process of the platform must.
package dial

import (
	"context"
	"net"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Options are what a process adds to its environment.
type Options struct {
	Getenv   func(string) string   // of the TEMPORAL_* variables, as in Temporal's own tools
	Environ  func() []string       // may be nil
	Logger   log.Logger            // may be nil: quiet
	Metrics  client.MetricsHandler // told of the SDK's work; may be nil
	Identity string                // shown in histories; empty is the SDK's own
}

// Open connects to the Temporal service that the TEMPORAL_* variables name (address, namespace, TLS, API key). Error:
// unavailable when it does not answer within ten seconds.
func Open(ctx context.Context, o Options) (client.Client, error) {
	options, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{EnvLookup: lookup(o)})
	if err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "the TEMPORAL_* variables cannot be used")
	}
	if o.Logger != nil {
		options.Logger = o.Logger
	}
	options.Identity, options.MetricsHandler = o.Identity, o.Metrics
	if local(options.HostPort) {
		options.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, schemas.Wrap(schemas.Unavailable, err, "Temporal does not answer at %s: check that it runs and that TEMPORAL_ADDRESS is right", options.HostPort)
	}
	return c, nil
}

// local reports whether address is on this machine, where compressing costs more than it saves.
func local(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address == ""
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

type environment struct{ Options }

func lookup(o Options) envconfig.EnvLookup { return environment{o} }

func (e environment) Environ() []string {
	if e.Options.Environ == nil {
		return nil
	}
	return e.Options.Environ()
}

func (e environment) LookupEnv(key string) (string, bool) {
	value := e.Getenv(key)
	return value, value != ""
}
