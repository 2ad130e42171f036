package host

import (
	"context"

	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/worker/dial"
	"github.com/tenuto-dev/tenuto/worker/telemetry"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

// Open connects to all that the environment names. Errors: invalid, naming what is missing; unavailable.
func Open(ctx context.Context, getenv func(string) string, logger *zap.Logger) (Deps, wire.Config, error) {
	config, err := wire.Read(getenv)
	if err != nil {
		return Deps{}, config, err
	}
	var deps Deps
	if deps.Store, err = wire.Store(ctx, config); err != nil {
		return Deps{}, config, err
	}
	if deps.Index, err = wire.Index(config); err != nil {
		return Deps{}, config, err
	}
	if deps.Models, err = wire.Models(config, deps.Store); err != nil {
		return Deps{}, config, err
	}
	deps.Temporal, err = dial.Open(ctx, dial.Options{Getenv: getenv, Logger: telemetry.Temporal(logger)})
	return deps, config, err
}
