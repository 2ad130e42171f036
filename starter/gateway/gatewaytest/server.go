package gatewaytest

import (
	"net/http/httptest"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway"
)

// AdminToken is the bootstrap key of a Server: an admin of the default tenant.
const AdminToken = "tnt_00000000cafe_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// Server is a gateway that listens on loopback, with all that stands behind it.
type Server struct {
	*httptest.Server
	Gateway  *gateway.Gateway
	Temporal *Temporal
	Work     *Work
	Store    *blob.Store
}

// Start starts a server that stops with the test. Change adds to the gateway's dependencies; it may be nil.
func Start(t testing.TB, change func(*gateway.Deps)) *Server {
	t.Helper()
	store := blob.New(&memblob.Driver{})
	work := &Work{Store: store}
	temporal := &Temporal{Handlers: work.Handlers(), Answers: map[string]any{
		schemas.LedgerShow.Name(): work.showLedger, schemas.EvalShow.Name(): work.showEval,
	}}
	work.Temporal = temporal
	return serve(t, &Server{Temporal: temporal, Work: work, Store: store}, change)
}

// Over starts another gateway over what stands behind a server, as a second process would be. It stops with the test.
func Over(t testing.TB, s *Server, change func(*gateway.Deps)) *Server {
	t.Helper()
	return serve(t, &Server{Temporal: s.Temporal, Work: s.Work, Store: s.Store}, change)
}

func serve(t testing.TB, s *Server, change func(*gateway.Deps)) *Server {
	t.Helper()
	deps := gateway.Deps{Temporal: s.Temporal, Store: s.Store, BootstrapKey: AdminToken, Version: "test"}
	if change != nil {
		change(&deps)
	}
	g, err := gateway.New(deps)
	if err != nil {
		t.Fatal(err)
	}
	s.Gateway, s.Server = g, httptest.NewServer(g.Handler())
	t.Cleanup(s.Close)
	return s
}
