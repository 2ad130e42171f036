package host

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"

	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/telemetry"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

// Server serves HTTP until its context ends. The gateway is one.
type Server interface {
	Serve(ctx context.Context, listener net.Listener) error
}

// Parts are what a worker has opened, for the front door that may share its process.
type Parts struct {
	Deps
	Config       wire.Config
	Logger       *zap.Logger
	BootstrapKey string
}

// Process is the program tenuto-worker as a value.
type Process struct {
	Getenv func(string) string
	Stderr io.Writer
	Front  func(Parts) (Server, error) // makes the gateway, when one is asked for
}

// Run runs the process until ctx ends and returns its exit status: 0 done, 1 failed, 2 wrong use.
func (p Process) Run(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("tenuto-worker", flag.ContinueOnError)
	flags.SetOutput(p.Stderr)
	address := flags.String("gateway", "", "also serve the HTTP gateway at this `address`, such as 127.0.0.1:8480; runs then start in this process, which is faster")
	metrics := flags.String("metrics", p.Getenv("TENUTO_METRICS"), "serve figures for Prometheus at this `address`, such as 9464, which is 127.0.0.1:9464; also the variable TENUTO_METRICS")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(p.Stderr, "tenuto-worker: %q is not understood; it takes flags only\n", flags.Arg(0))
		return 2
	}
	if err := p.serve(ctx, *address, *metrics); err != nil {
		fmt.Fprintln(p.Stderr, "tenuto-worker:", err)
		return 1
	}
	return 0
}

func (p Process) serve(ctx context.Context, address, metrics string) error {
	logger := telemetry.Logger(p.Stderr, p.Getenv("TENUTO_LOG_LEVEL"))
	deps, config, err := Open(ctx, p.Getenv, logger)
	if err != nil {
		return err
	}
	defer deps.Close()
	if metrics != "" {
		stop, err := serveMetrics(ctx, metrics, deps.Meter, logger)
		if err != nil {
			return err
		}
		defer stop()
	}
	parts := Parts{Deps: deps, Config: config, Logger: logger, BootstrapKey: p.Getenv("TENUTO_BOOTSTRAP_KEY")}
	return Serve(ctx, parts, address, p.Front)
}

// Serve runs workers over opened parts, and a front door at address unless it is empty, until ctx ends or one of them fails.
func Serve(ctx context.Context, parts Parts, address string, front func(Parts) (Server, error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 1)
	if address == "" {
		done <- nil
	} else {
		listener, server, err := openFront(ctx, parts, address, front)
		if err != nil {
			return err
		}
		go func() {
			err := server.Serve(ctx, listener)
			cancel(err)
			done <- err
		}()
	}
	if err := Schedule(ctx, parts.Temporal); err != nil {
		parts.Logger.Warn("schedule", zap.Error(err)) // the next worker that starts tries again
	}
	err := New(parts.Deps).Run(ctx)
	cancel(err)
	return errors.Join(err, <-done)
}

func openFront(ctx context.Context, parts Parts, address string, front func(Parts) (Server, error)) (net.Listener, Server, error) {
	server, err := front(parts)
	if err != nil {
		return nil, nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, nil, schemas.Wrap(schemas.Unavailable, err, "the gateway cannot listen at %s", address)
	}
	parts.Logger.Info("gateway listens", zap.String("address", listener.Addr().String()))
	return listener, server, nil
}
