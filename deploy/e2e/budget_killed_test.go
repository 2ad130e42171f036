package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const (
	budgetLimit   = schemas.Micros(1_000_000)
	budgetCallers = 64
	budgetKills   = 8
	budgetRest    = budgetLimit / 40 // that may be left when all refuse: what a few runs may cost at most
	budgetEnd     = 2 * time.Minute  // after the last kill, for the budget to be used up, and again for it to be settled
)

// TestBudgetKilled has 64 callers spend a budget of one dollar by four gateways, on runs of a chain and on calls of a model, while the gateways
// are killed and come back. What the
// ledger has promised never exceeds the budget. The model's bills exceed it at most by what the killed gateways had leased and could not
// settle. What is refused is refused for the budget and says so. In the end ledger and records agree to the micro, lease by lease.
func TestBudgetKilled(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	endpoint := serveBilling(t, modeltest.Options{Latency: 50 * time.Millisecond})
	all := openGateways(t, 4, options{noIndex: true, env: []string{"TENUTO_MODELS=" + endpoint.installed(t)}})
	u := all[0].admin()
	u.serves(t, endpoint.twoPaidSteps())
	u.sends(t, "/api/v1/chains/main@production/runs", "run-first", `{"input":{"run":"run-first"}}`) // before there is a budget: it counts for none
	free := endpoint.spent()
	u.run(t, "budget", "set", "--tenant", "--usd-month", budgetLimit.String())
	time.Sleep(2500 * time.Millisecond) // a budget counts on every gateway after two seconds
	start, watch := time.Now(), watchLedger(t, all[0].house)
	load := spend(t, all, random)
	killed := all.die(t, random, func() float64 { return float64(endpoint.spent()-free) / float64(budgetLimit) })
	calm := time.Now()
	await(t, budgetEnd, "all gateways to refuse", func() bool { return load.refusedBy() == len(all) && watch.left() < budgetRest })
	load.end()
	settling := time.Now()
	await(t, budgetEnd, "the leases to be settled", func() bool { return watch.settled() })
	t.Logf("%.0f s: %.0f s with kills, %.0f s until the budget was used up, %.0f s until it was settled; answers by status: %v", time.Since(start).Seconds(),
		calm.Sub(start).Seconds(), settling.Sub(calm).Seconds(), time.Since(settling).Seconds(), load.statuses)
	account(t, all[0].house, endpoint, watch.now(t), killed)
}

// die kills gateways at random over the first four fifths of the spending, sometimes two at once, and returns the names of the processes
// that are gone.
func (g gateways) die(t *testing.T, random *rand.Rand, spent func() float64) map[string]bool {
	t.Helper()
	killed, points := map[string]bool{}, make([]float64, budgetKills)
	for i := range points {
		points[i] = 0.8 * random.Float64()
	}
	slices.Sort(points)
	for i, point := range points {
		await(t, budgetEnd, fmt.Sprintf("%.3f of the budget to be spent", point), func() bool { return spent() >= point })
		victims := []*front{g[random.IntN(len(g))]}
		if other := g[random.IntN(len(g))]; i%4 == 0 && other != victims[0] {
			victims = append(victims, other)
		}
		for _, f := range victims {
			killed[f.name()] = true
			f.worker.kill()
		}
		t.Logf("kill %d: %d of the gateways at %.3f of the budget", i+1, len(victims), spent())
		for _, f := range victims {
			f.begin(t)
		}
	}
	return killed
}

// ledgerWatch looks at the ledger all the time.
type ledgerWatch struct {
	ledgers client.Ledgers

	mu   sync.Mutex
	last schemas.LedgerFigures
}

// watchLedger requires, as long as the test runs, that what is spent and promised stays within the budget.
func watchLedger(t *testing.T, h *house) *ledgerWatch {
	t.Helper()
	w := &ledgerWatch{ledgers: client.Ledgers{Temporal: h.temporal(t)}}
	var watching sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	watching.Go(func() {
		for looks := 0; ctx.Err() == nil; looks++ {
			figures, err := w.look(ctx)
			if at := windowOf(figures); err == nil && at.Spent.Micros+at.Reserved.Micros > budgetLimit {
				t.Errorf("look %d: %s spent and %s promised of %s", looks, at.Spent.Micros, at.Reserved.Micros, budgetLimit)
				return
			}
			select {
			case <-time.After(5 * pollEvery):
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() { stop(); watching.Wait() })
	return w
}

func (w *ledgerWatch) look(ctx context.Context) (schemas.LedgerFigures, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // the worker that is asked may be one that was killed
	defer cancel()
	figures, err := w.ledgers.Show(ctx, "default")
	if err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.last = figures
	}
	return figures, err
}

// now are the figures of this moment.
func (w *ledgerWatch) now(t *testing.T) schemas.LedgerFigures {
	t.Helper()
	figures, err := w.ledgers.Show(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	return figures
}

// left is what is not spent of the budget, promised or not.
func (w *ledgerWatch) left() schemas.Micros {
	w.mu.Lock()
	defer w.mu.Unlock()
	return budgetLimit - windowOf(w.last).Spent.Micros
}

func (w *ledgerWatch) settled() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last.Open+w.last.Lost == 0
}

// windowOf is how the tenant stands in this month.
func windowOf(figures schemas.LedgerFigures) schemas.WindowFigures {
	for _, w := range figures.Windows {
		if w.Subject == schemas.SubjectTenant && w.Window == schemas.MonthOf(schemas.DayOf(time.Now())) {
			return w
		}
	}
	return schemas.WindowFigures{}
}

// spenders are callers who spend as fast as they can.
type spenders struct {
	gateways

	t       *testing.T
	key     string
	stop    chan struct{}
	callers sync.WaitGroup

	mu       sync.Mutex
	statuses map[int]int
	refused  map[string]bool // by process
}

// spend starts the callers: of each five one comes back with its key until it has its result, one has no key and goes on when its
// connection breaks, one has its runs accepted and looks for their ends, one calls the chain by OpenAI's API, and one a model.
func spend(t *testing.T, all gateways, random *rand.Rand) *spenders {
	t.Helper()
	s := &spenders{gateways: all, t: t, key: all[0].keys.APIKey, stop: make(chan struct{}), statuses: map[int]int{}, refused: map[string]bool{}}
	ways := []func(c *spender, run string){(*spender).insists, (*spender).goesOn, (*spender).detaches, (*spender).chats, (*spender).passes}
	for i := range budgetCallers {
		c := &spender{spenders: s, random: rand.New(rand.NewPCG(random.Uint64(), uint64(i)))}
		s.callers.Go(func() {
			for n := 0; !s.ended(); n++ {
				ways[i%len(ways)](c, fmt.Sprintf("run-%02d-%04d", i, n))
			}
		})
	}
	return s
}

func (s *spenders) ended() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

func (s *spenders) end() {
	close(s.stop)
	s.callers.Wait()
}

// refusedBy is how many of the processes that run have refused something.
func (s *spenders) refusedBy() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, f := range s.gateways {
		if s.refused[f.name()] {
			n++
		}
	}
	return n
}

// spender is one of them.
type spender struct {
	*spenders

	random *rand.Rand
}

// asks sends one request to a gateway by chance. Its answer is final unless the request is to be sent again.
func (c *spender) asks(path, key, body string) (final bool) {
	f := c.gateways[c.random.IntN(len(c.gateways))]
	name := f.name()
	got, err := user{f.house, c.key}.attempt(c.t.Context(), path, key, body)
	if err != nil {
		time.Sleep(10 * pollEvery)
		return false
	}
	c.mu.Lock()
	c.statuses[got.status]++
	c.mu.Unlock()
	switch {
	case got.status == http.StatusPaymentRequired, strings.Contains(got.body, "insufficient_quota"): // OpenAI's word, with 429
		c.refusal(name, got.body)
		time.Sleep(10 * pollEvery)
	case slices.Contains(comeBack, got.status), got.status == http.StatusConflict && strings.Contains(got.body, "under way"):
		time.Sleep(10 * pollEvery)
		return false
	case got.status >= http.StatusBadRequest:
		c.t.Errorf("%s: status %d, %s", path, got.status, got.body)
	}
	return true
}

// refusal requires that a refusal says what it is for.
func (c *spender) refusal(process, body string) {
	for _, part := range []string{"over the budget of the tenant: of 1.00 US dollars for the month", "are left", "opens again at"} {
		if !strings.Contains(body, part) {
			c.t.Errorf("a refusal does not say %q: %s", part, body)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused[process] = true
}

const spendPath = "/api/v1/chains/main@production/runs"

func (c *spender) insists(run string) {
	for !c.asks(spendPath, run, `{"input":{"run":"`+run+`"}}`) && !c.ended() {
	}
}

func (c *spender) goesOn(run string) { c.asks(spendPath, "", `{"input":{"run":"`+run+`"}}`) }

func (c *spender) detaches(run string) {
	if !c.asks(spendPath, run, `{"mode":"detach","input":{"run":"`+run+`"}}`) {
		return
	}
	for range 50 { // until it has ended, so that not too many are under way
		got, err := c.any(c.random, c.key).exchange(c.t.Context(), http.MethodGet, "/api/v1/runs/"+run, "", "")
		var found rest.Run
		if err == nil && (got.status == http.StatusNotFound || json.Unmarshal([]byte(got.body), &found) == nil && found.Status != "" && found.Status != rest.RunRunning) {
			return
		}
		time.Sleep(10 * pollEvery)
	}
}

func (c *spender) chats(run string) {
	key := ""
	if c.random.IntN(2) == 0 {
		key = run
	}
	c.asks("/v1/chat/completions", key, `{"model":"main@production","messages":[{"role":"user","content":"`+run+`"}]}`)
}

// passes calls a model, as a stream or whole, and comes back if it has a key.
func (c *spender) passes(run string) {
	stream := []string{"false", "true"}[c.random.IntN(2)]
	body := `{"model":"paid/` + modeltest.ChatModel + `","max_tokens":20,"stream":` + stream + `,"messages":[{"role":"user","content":"` + run + `"}]}`
	if c.random.IntN(2) == 0 {
		c.asks("/v1/chat/completions", "", body)
		return
	}
	for !c.asks("/v1/chat/completions", run, body) && !c.ended() {
	}
}
