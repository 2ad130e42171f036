package host

import (
	"context"
	"crypto/rand"
	"os"
	"regexp"
	"strings"

	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/hub"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/dial"
	"github.com/tenuto-dev/tenuto/worker/telemetry"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

// Open connects to all that the environment names. Close what it returns at the end. Errors: invalid, naming what is missing; unavailable.
func Open(ctx context.Context, getenv func(string) string, logger *zap.Logger) (Deps, wire.Config, error) {
	config, err := wire.Read(getenv)
	if err != nil {
		return Deps{}, config, err
	}
	var deps Deps
	if deps.Meter, deps.flush, err = telemetry.Meter(ctx, getenv, "tenuto-worker", logger); err != nil {
		return Deps{}, config, err
	}
	if deps.Store, err = wire.Store(ctx, config); err != nil {
		return Deps{}, config, err
	}
	deps.Store.Measure(deps.Meter)
	if deps.Index, err = wire.Index(config); err != nil {
		return Deps{}, config, err
	}
	deps.Index.Measure(deps.Meter)
	records := wire.Records(deps.Store)
	if deps.Fleet, err = wire.Fleet(config, records, getenv); err != nil {
		return Deps{}, config, err
	}
	deps.Hub = new(hub.Hub)
	deps.Models = deps.Fleet.Installed
	deps.Fleet.Measure(deps.Meter)
	if deps.Forge, err = wire.Forge(config); err != nil {
		return Deps{}, config, err
	}
	deps.Notify, deps.Site = wire.Notify(config), config.Site
	deps.Instance = instance()
	deps.Journal = journal.New(deps.Store, deps.Instance)
	deps.Journal.Report = func(err error) { logger.Warn("journal", zap.String("cause", schemas.LogText(err))) }
	deps.Temporal, err = dial.Open(ctx, dial.Options{
		Getenv: getenv, Logger: telemetry.Temporal(logger), Metrics: telemetry.TemporalMetrics(deps.Meter.Registry()),
	})
	return deps, config, err
}

// Close sends what the meter still holds, and leaves Temporal.
func (d Deps) Close() {
	if d.flush != nil {
		d.flush()
	}
	if d.Temporal != nil {
		d.Temporal.Close()
	}
}

// instance is a name for this process that no other has: where it runs, for people, and a random part.
func instance() string {
	name, err := os.Hostname()
	if err != nil {
		name = "host"
	}
	return strings.ToLower(unsafe.ReplaceAllString(name, "-")) + "-" + strings.ToLower(rand.Text()[:10])
}

var unsafe = regexp.MustCompile(`[^A-Za-z0-9-]+`)
