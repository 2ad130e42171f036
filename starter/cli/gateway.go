package cli

import (
	"fmt"
	"io"
	"net"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/worker/dial"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

type gatewayCommand struct {
	Listen string `default:"127.0.0.1:8480" help:"Address to listen at."`
}

// Run serves until it is interrupted, which is its normal end.
func (c gatewayCommand) Run(s *session) error {
	deps, stop, err := s.open()
	if err != nil {
		return err
	}
	defer stop()
	front, err := gateway.New(deps)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(s.ctx, "tcp", c.Listen)
	if err != nil {
		return schemas.Wrap(schemas.Unavailable, err, "the gateway cannot listen at %s; is the port taken?", c.Listen)
	}
	fmt.Fprintf(s.stderr, "gateway listens at http://%s\n", listener.Addr())
	fmt.Fprintln(s.stderr, "no worker shares this process: a run goes by way of Temporal, which takes longer, and its stream tells of the end only;",
		"\"tenuto-worker --gateway\" hosts both")
	return front.Serve(s.ctx, listener)
}

// open connects to what the environment names.
func (s *session) open() (deps gateway.Deps, stop func(), err error) {
	config, err := wire.Read(s.getenv)
	if err != nil {
		return deps, nil, err
	}
	deps = gateway.Deps{
		Logger: jsonLogger(s.stderr), Version: Version(), BootstrapKey: s.getenv("TENUTO_BOOTSTRAP_KEY"),
		Defaults: gateway.Defaults{Embedder: config.Embedder, Model: config.Model}, Notify: wire.Notify(config), Connections: config.Connections,
	}
	if deps.Meter, stop, err = wire.Meter(s.ctx, s.getenv, "tenuto-gateway", deps.Logger); err != nil {
		return deps, nil, err
	}
	if deps.Store, err = wire.Store(s.ctx, config); err != nil {
		return deps, nil, err
	}
	deps.Store.Measure(deps.Meter)
	if deps.Fleet, err = wire.Fleet(config, wire.Records(deps.Store), s.getenv); err != nil {
		return deps, nil, err
	}
	deps.Fleet.Measure(deps.Meter)
	index, err := wire.Index(config)
	if err != nil {
		return deps, nil, err
	}
	deps.Checks = []gateway.Check{{Name: "weaviate", Run: index.Ping}}
	if deps.Temporal, err = dial.Open(s.ctx, dial.Options{Getenv: s.getenv, Metrics: wire.TemporalMetrics(deps.Meter)}); err != nil {
		return deps, nil, err
	}
	return deps, func() { stop(); deps.Temporal.Close() }, nil
}

func jsonLogger(w io.Writer) *zap.Logger {
	config := zap.NewProductionEncoderConfig()
	config.EncodeTime = zapcore.RFC3339TimeEncoder
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(config), zapcore.Lock(zapcore.AddSync(w)), zapcore.InfoLevel))
}
