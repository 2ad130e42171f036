package modeltest

import (
	"net/http/httptest"
	"testing"
)

// Server is a Handler on a free port of 127.0.0.1.
type Server struct {
	*Handler
	URL string // of the API, ending in /v1
}

// NewServer starts a server that stops with the test.
func NewServer(t testing.TB, o Options) *Server {
	t.Helper()
	h := NewHandler(o)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return &Server{Handler: h, URL: server.URL + "/v1"}
}
