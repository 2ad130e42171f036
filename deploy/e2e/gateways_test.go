package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
)

// gateways are several workers with the gateway, each on a port of its own, over the servers of one house.
type gateways []*front

// front is one of them. Each process that it ever was has another key of the model's provider, so that the model sees who calls.
type front struct {
	*house

	place  int
	births atomic.Int64
}

// openGateways starts a house with so many.
func openGateways(t *testing.T, n int, o options) gateways {
	t.Helper()
	h := open(t, o)
	h.worker.kill() // in its place comes one with a key of its own
	all := make(gateways, n)
	for i, port := range freePorts(t, n) {
		own := *h
		own.ports.gateway, own.starts = port, h.starts+1000*(i+1) // their logs have other names
		all[i] = &front{house: &own, place: i}
		all[i].begin(t)
	}
	return all
}

// begin starts the next process.
func (f *front) begin(t *testing.T) {
	t.Helper()
	f.births.Add(1)
	f.env = append(slices.Clip(f.env), "OPENAI_API_KEY="+f.name())
	f.startWorker(t)
}

// name is that of the process that runs.
func (f *front) name() string { return fmt.Sprintf("gateway-%d-%d", f.place, f.births.Load()) }

// any is a gateway by chance, for a user with this key.
func (g gateways) any(random *rand.Rand, key string) user {
	return user{g[random.IntN(len(g))].house, key}
}
