package e2e

import (
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
)

// balancer is an address behind which several gateways are. Each connection goes to one that answers, in turn.
type balancer struct {
	net.Listener

	targets []string
	next    atomic.Int64
}

func balance(t *testing.T, ports ...int) *balancer {
	t.Helper()
	listener, err := net.Listen("tcp", loopback(0))
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{Listener: listener}
	for _, port := range ports {
		b.targets = append(b.targets, loopback(port))
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() { b.pass(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		open.Wait()
	})
	return b
}

// pass joins a connection with one to a gateway; where either ends, so does the other.
func (b *balancer) pass(conn net.Conn) {
	defer conn.Close()
	for range b.targets {
		to, err := net.DialTimeout("tcp", b.targets[int(b.next.Add(1))%len(b.targets)], time.Second)
		if err != nil {
			continue
		}
		var both sync.WaitGroup
		for _, way := range [][2]net.Conn{{conn, to}, {to, conn}} {
			both.Go(func() {
				_, _ = io.Copy(way[0], way[1])
				conn.Close()
				to.Close()
			})
		}
		both.Wait()
		return
	}
}

func (b *balancer) url() string { return "http://" + b.Addr().String() }

// What the chain of three steps takes and brings.
type (
	asking struct {
		Run string `json:"run"`
	}
	told struct {
		Text string `json:"text"`
	}
)

// lastAnswer is what the chain of three steps answers.
func lastAnswer(run string) string {
	texts := threeAnswers(run)
	return texts[len(texts)-1]
}

// TestGoClientStreamsKilled has Go clients follow runs through two gateways, each of which is killed and comes back meanwhile. Every one ends with
// exactly the recorded answer.
func TestGoClientStreamsKilled(t *testing.T) {
	t.Parallel()
	h := open(t, options{noIndex: true})
	u := h.admin()
	endpoint := serveChats(t, modeltest.Options{Latency: 50 * time.Millisecond, Pace: 20 * time.Millisecond})
	u.serves(t, threeSteps(endpoint.models(schemas.RateDef{Concurrency: 4})))
	second := *h
	second.ports.gateway, second.dir = freePorts(t, 1)[0], t.TempDir()
	second.startWorker(t)
	c, err := client.New(nil, client.WithGateway(balance(t, h.ports.gateway, second.ports.gateway).url(), u.key), client.WithReconnects(30))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	const streams = 40
	var watching sync.WaitGroup
	var resets atomic.Int64
	for i := range streams {
		watching.Go(func() {
			name := "go-" + strconv.Itoa(i)
			text, done := "", 0
			for event, err := range client.ChainOf[asking, told](c, "main@production").Stream(ctx, asking{name}) {
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				switch event.Kind {
				case client.Started:
				case client.Delta:
					text += event.Text
				case client.Reset:
					text = ""
					resets.Add(1)
				case client.Done:
					done++
					if got := event.Result.Output.Text; got != lastAnswer(name) || text != got {
						t.Errorf("%s: the client shows %q, the result says %q, want %q", name, text, got, lastAnswer(name))
					}
				}
			}
			if done != 1 {
				t.Errorf("%s ended %d times", name, done)
			}
		})
	}
	for i, house := range []*house{h, &second, h} {
		await(t, time.Minute, "the model to be asked", func() bool { return endpoint.distinct() >= (i+1)*streams*len(threeStepNames)/5 })
		house.worker.kill()
		house.startWorker(t)
	}
	watching.Wait()
	t.Logf("%d streams, %d resets, %d calls of the model", streams, resets.Load(), len(endpoint.history()))
}

// TestGoClientOverTemporal runs chains by label without a gateway, and has the same requests come through one.
func TestGoClientOverTemporal(t *testing.T) {
	t.Parallel()
	h := open(t, options{noIndex: true})
	u := h.admin()
	endpoint := serveChats(t, modeltest.Options{})
	u.serves(t, threeSteps(endpoint.models(schemas.RateDef{})))
	over, err := client.New(h.temporal(t))
	if err != nil {
		t.Fatal(err)
	}
	through, err := client.New(nil, client.WithGateway(u.url(), u.key))
	if err != nil {
		t.Fatal(err)
	}
	defer through.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ask := func(c *client.Client, run, key string) (client.Result[told], error) {
		return client.ChainOf[asking, told](c, "main@production").Run(ctx, asking{run}, client.WithKey(key))
	}
	for i, pair := range [][2]*client.Client{{over, through}, {through, over}, {over, over}} {
		key := "both-" + strconv.Itoa(i)
		for _, c := range pair {
			if got, err := ask(c, key, key); err != nil || got.Output.Text != lastAnswer(key) || got.RunID != key {
				t.Errorf("%s: %+v, %v", key, got, err)
			}
			if _, err := ask(c, "another", key); schemas.CodeOf(err) != schemas.Conflict {
				t.Errorf("%s, another request: %v", key, err)
			}
		}
	}
	if calls := len(endpoint.history()); calls != 3*len(threeStepNames) {
		t.Errorf("%d calls of the model for three runs", calls)
	}
	run, err := client.ChainOf[asking, told](over, "main@production").Start(ctx, asking{"later"})
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for event, err := range client.Find[told](through, run.ID()).Events(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		text += event.Text
	}
	if text != lastAnswer("later") {
		t.Errorf("followed through the gateway: %q", text)
	}
	if _, err := through.Feedback(ctx, run.ID(), client.Feedback{Name: "helpful", Score: new(1.0)}); err != nil {
		t.Error(err)
	}
	listed := u.run(t, "runs", "list", "--release", "main@production", "--json")
	for _, id := range []string{"both-0", "both-1", "both-2", run.ID()} {
		if !strings.Contains(listed, `"`+id+`"`) {
			t.Errorf("run %s is not in the list of its release", id)
		}
	}
}
