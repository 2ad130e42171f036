// Package gateway serves Tenuto over HTTP: it checks keys, stores uploads, starts workflows and waits for them. All other work is
// the workflows'.
package gateway

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/activities/provider/budget"
	"github.com/tenuto-dev/tenuto/activities/provider/hub"
	"github.com/tenuto-dev/tenuto/activities/provider/meter"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/activities/provider/notify"
	"github.com/tenuto-dev/tenuto/schemas"
	tenuto "github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/pack"
	"github.com/tenuto-dev/tenuto/starter/gateway/records"
	"github.com/tenuto-dev/tenuto/starter/gateway/relay"
)

// Deps are what a gateway works with. Temporal and Store are required.
type Deps struct {
	Temporal client.Client
	Store    *blob.Store
	Journal  *journal.Journal // where records of runs are found; one over Store if nil
	Instance string           // unique name of the process; made up if empty
	Hub      *hub.Hub         // of the worker that shares the process and its instance, so that short runs are carried out here; nil for none
	Defaults Defaults
	Fleet    *fleet.Fleet   // of models that calls are passed through to; the local ones if nil
	Notify   *notify.Sender // of callbacks; without its keys they are refused
	Checks   []Check        // of further parts, besides Temporal, its workers and the store
	Logger   *zap.Logger
	Meter    *meter.Meter // of the process, told of what goes on; one of its own if nil
	// BootstrapKey is a token that is stored as an admin key of the default tenant if it is used while no key has its id.
	BootstrapKey string
	Version      string           // of the build, for the API's description; "dev" if empty
	Connections  int              // that may be open at once; half of the files that the process may have open if zero, and at most 16384 then
	Now          func() time.Time // time.Now if nil
}

// Defaults are used where a request chooses nothing.
type Defaults struct {
	Embedder string // of new collections; local/lexical if empty
	Model    string // of answers; local/extractive if empty
}

// Check says whether one part works.
type Check struct {
	Name string
	Run  func(context.Context) error // its safe message says what to do
}

// Gateway is the HTTP front door. It is safe for concurrent use.
type Gateway struct {
	temporal client.Client
	store    *blob.Store
	journal  *journal.Journal
	records  *records.Finder
	lanes    Lanes    // nil where no worker shares the process
	hub      *hub.Hub // nil there too
	silent   hub.Hub  // has voices that never speak
	instance string
	life     *life
	budgets  Budgets
	keeper   *budget.Keeper // of what the budgets have leased
	prices   prices
	inFlight inFlight
	bundles  bundles
	registry *registry.Registry
	underway underway
	defaults Defaults
	checks   []Check
	log      *zap.Logger
	now      func() time.Time
	keys     *keyring
	pace     paces
	hands    hands
	crowd    int          // connections at once
	bodies   atomic.Int64 // bytes of JSON in memory
	packs    *pack.Shelf
	uploads  *slots // bounds the uploads held in memory
	listings *slots // bounds the listings held in memory
	meter    *meter.Meter
	metrics  *metrics
	relay    *relay.Relay
	notify   *notify.Sender
	api      huma.API
	handler  http.Handler
}

// New makes a gateway. It makes no call; what is down at start is found by the checks. Error: invalid for a bootstrap key that is none.
func New(deps Deps) (*Gateway, error) {
	if deps.Temporal == nil || deps.Store == nil {
		return nil, schemas.Errorf(schemas.Internal, "a gateway needs Temporal and a store")
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	deps.Logger = cmp.Or(deps.Logger, zap.NewNop())
	if deps.Meter == nil {
		deps.Meter = meter.New(meter.Options{})
	}
	if deps.Journal == nil {
		deps.Journal = journal.New(deps.Store, "gateway")
		deps.Journal.Report = func(err error) { deps.Logger.Warn("journal", zap.String("cause", schemas.LogText(err))) }
	}
	keys, err := newKeyring(deps.Store, deps.Now, deps.BootstrapKey)
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		temporal: deps.Temporal, store: deps.Store, now: deps.Now, keys: keys,
		registry: registry.New(deps.Store, deps.Now),
		journal:  deps.Journal, instance: cmp.Or(deps.Instance, newID()),
		defaults: Defaults{
			Embedder: cmp.Or(deps.Defaults.Embedder, "local/lexical"),
			Model:    cmp.Or(deps.Defaults.Model, "local/extractive"),
		},
		log:      deps.Logger,
		packs:    pack.NewShelf(deps.Store),
		uploads:  newSlots(16),
		listings: newSlots(4),
		meter:    deps.Meter,
		metrics:  newMetrics(deps.Meter.Registry()),
		notify:   deps.Notify,
		crowd:    connections(deps.Connections),
	}
	g.hands.most = max(g.crowd/4, 1)
	if deps.Hub != nil {
		g.hub = deps.Hub
		lanes := tenuto.NewLanes(deps.Temporal, schemas.LaneQueue(g.instance), deps.Hub)
		g.lanes = lanes
		g.metrics.watchLanes(lanes.Load)
	}
	g.records = &records.Finder{Store: g.store, Journal: g.journal, Now: g.now}
	if deps.Fleet == nil {
		if deps.Fleet, err = localFleet(); err != nil {
			return nil, err
		}
	}
	g.relay = g.newRelay(deps)
	g.life = &life{store: g.store, instance: g.instance, lanes: g.underway.all}
	g.keeper = &budget.Keeper{
		Ledger: tenuto.Ledgers{Temporal: g.temporal}, Source: durable{g}, Life: g.life, Instance: g.instance,
	}
	g.budgets, g.registry.Meter = g.keeper, g.meter
	g.metrics.watchLeases(g.keeper.Leases)
	g.checks = append(g.ownChecks(), deps.Checks...)
	g.handler = g.assemble(cmp.Or(deps.Version, "dev"))
	return g, nil
}

// Handler answers all of the gateway's routes.
func (g *Gateway) Handler() http.Handler { return g.handler }

// OpenAPI describes the routes, as OpenAPI 3.1.
func (g *Gateway) OpenAPI() *huma.OpenAPI { return g.api.OpenAPI() }

// Serve answers on listener until ctx ends, then lets requests in flight finish for at most 15 seconds.
func (g *Gateway) Serve(ctx context.Context, listener net.Listener) error {
	crowd := newCrowd(listener, g.crowd, g.metrics)
	server := &http.Server{
		Handler:   g.handler,
		ConnState: crowd.state,

		DisableGeneralOptionsHandler: true, // all that is answered comes from the handler
		ReadHeaderTimeout:            10 * time.Second,
		IdleTimeout:                  2 * time.Minute,
		MaxHeaderBytes:               64 << 10,
		ErrorLog:                     zap.NewStdLog(g.log),
	}
	alive, gone := context.WithCancel(context.WithoutCancel(ctx))
	defer gone()
	go g.life.give(alive)
	if g.lanes == nil { // no worker shares the process, whose journal it would be
		settled := g.settle(alive)
		defer func() { gone(); <-settled }()
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(crowd) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	err := errors.Join(server.Shutdown(drain), ignoreClosed(<-done))
	if g.lanes != nil {
		g.lanes.Close(drain)
	}
	g.keeper.Close(drain)
	return err
}

// settle has the journal move records to their places until ctx ends.
func (g *Gateway) settle(ctx context.Context) <-chan struct{} {
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		_ = g.journal.Run(ctx) // it reports what goes wrong by itself
	}()
	return settled
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// assemble registers every route. The order is that of the API's description.
func (g *Gateway) assemble(version string) http.Handler {
	speakProblems()
	mux := http.NewServeMux()
	g.api = humago.New(mux, apiConfig(version))
	g.keyRoutes()
	g.budgetRoutes()
	g.contentRoutes()
	g.ingestionRoutes()
	g.collectionRoutes()
	g.searchRoutes()
	g.askRoutes()
	g.runRoutes()
	g.feedbackRoutes()
	g.chainRunRoutes()
	g.eventRoutes()
	g.callbackRoutes()
	g.releaseRoutes()
	g.importRoutes()
	g.recallRoutes()
	g.evalRoutes()
	g.labelRoutes()
	g.scheduleRoutes()
	g.exportRoutes()
	g.modelRoutes(mux)
	g.reconcileRoutes()
	g.healthRoutes(mux)
	g.schemaRoutes(mux)
	g.consoleRoutes(mux)
	tidy(g.api.OpenAPI())
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		newProblem(http.StatusNotFound, schemas.NotFound, "there is no such route or method; /openapi.json lists all").
			write(w, requestID(r.Context()))
	})
	return g.identify(g.observe(g.limit(mux)))
}
