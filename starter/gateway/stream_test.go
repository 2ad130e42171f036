package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
)

// heard are the events of an answer: their names, the text that the deltas make, and the id of the last one.
func heard(answer []byte) (names []string, text, last string) {
	for event := range strings.SplitSeq(string(answer), "\n\n") {
		for line := range strings.SplitSeq(event, "\n") {
			switch field, value, _ := strings.Cut(line, ": "); field {
			case "event":
				names = append(names, value)
			case "id":
				last = value
			case "data":
				if names[len(names)-1] == "delta" {
					text += strings.TrimSuffix(strings.TrimPrefix(value, `{"text":"`), `"}`)
				}
			}
		}
	}
	return names, text, last
}

func TestStreamsOfRuns(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{"lane": "", "workflow": "workflow"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, c, _ := served(t, laned)
			if change != "" {
				s, _, c, _ = served(t, nil)
			}
			ask := says("hello")
			ask.Mode = "stream"
			got := c.send("POST", byProduction, ask, "Idempotency-Key", "mine")
			names, text, last := heard(got.body)
			if got.status != http.StatusOK || strings.Join(names, " ") != "run delta done" || text == "" || last == "" {
				t.Fatalf("status %d: %s", got.status, got.body)
			}
			if !strings.Contains(string(got.body), `"status":"done"`) || !strings.Contains(string(got.body), `"label":"production"`) {
				t.Errorf("%s", got.body)
			}
			made := s.Work.Made("first")
			for what, again := range map[string][]byte{
				"asked again":  c.send("POST", byProduction, ask, "Idempotency-Key", "mine").body,
				"followed":     c.send("GET", "/api/v1/runs/mine/events", nil).body,
				"followed new": caller{t, gatewaytest.Over(t, s, nil).URL, c.token}.send("GET", "/api/v1/runs/mine/events", nil).body,
			} {
				if names, same, _ := heard(again); same != text || strings.Join(names, " ") != "run delta done" {
					t.Errorf("%s: %s", what, again)
				}
			}
			rest := c.send("GET", "/api/v1/runs/mine/events", nil, "Last-Event-ID", last)
			if names, more, _ := heard(rest.body); more != "" || strings.Join(names, " ") != "run done" {
				t.Errorf("what was shown is shown again: %s", rest.body)
			}
			other := strings.Repeat("0", 16)
			void := c.send("GET", "/api/v1/runs/mine/events", nil, "Last-Event-ID", "2-"+other)
			if names, whole, _ := heard(void.body); whole != text || strings.Join(names, " ") != "run reset delta done" {
				t.Errorf("what contradicts the record stands: %s", void.body)
			}
			if s.Work.Made("first") != made {
				t.Error("a repeated request ran anew")
			}
		})
	}
}

func TestStreamsThatCannotBe(t *testing.T) {
	t.Parallel()
	s, operator, c, _ := served(t, laned)
	c.send("GET", "/api/v1/runs/unknown/events", nil).wantProblem(t, 404, schemas.NotFound, "no run unknown")
	c.send("GET", "/api/v1/runs/a%20b/events", nil).wantProblem(t, 400, schemas.Invalid, "run id")
	c.send("GET", "/api/v1/runs/unknown/events", nil, "Last-Event-ID", "yesterday").wantProblem(t, 400, schemas.Invalid, "Last-Event-ID")
	operator.key("nobody", schemas.RoleReviewer).send("GET", "/api/v1/runs/unknown/events", nil).wantProblem(t, 403, schemas.Unauthorized, "role")
	s.Work.Break("second", schemas.Refused)
	ask := says("hello")
	ask.Mode = "stream"
	got := c.send("POST", byProduction, ask)
	if names, text, _ := heard(got.body); strings.Join(names, " ") != "run error" || text != "" || !strings.Contains(string(got.body), `"code":"refused"`) {
		t.Errorf("%s", got.body)
	}
}

func TestStreamsOfRunsThatAreSentAlong(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*gateway.Deps){"lane": laned, "workflow": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := gatewaytest.Start(t, change)
			c := admin(t, s)
			run := hello()
			run.Stream = true
			got := c.send("POST", "/api/v1/runs", run, "Idempotency-Key", "mine")
			names, text, last := heard(got.body)
			if strings.Join(names, " ") != "run delta done" || text != "hello" || !strings.Contains(string(got.body), `"run_id":"mine"`) {
				t.Fatalf("status %d: %s", got.status, got.body)
			}
			again := c.send("POST", "/api/v1/runs", run, "Idempotency-Key", "mine", "Last-Event-ID", last)
			if names, more, _ := heard(again.body); strings.Join(names, " ") != "run done" || more != "" {
				t.Errorf("asked again: %s", again.body)
			}
			if names, text, _ := heard(c.send("GET", "/api/v1/runs/mine/events", nil).body); strings.Join(names, " ") != "run delta done" || text != "hello" {
				t.Errorf("followed: %v %q", names, text)
			}
			if made := s.Work.Made("first"); made != 1 {
				t.Errorf("carried out %d times", made)
			}
			if names, _, _ := heard(c.send("POST", "/api/v1/runs", run).body); strings.Join(names, " ") != "run delta done" {
				t.Errorf("without a key: %v", names)
			}
			run.Detach = true
			c.send("POST", "/api/v1/runs", run).wantProblem(t, 400, schemas.Invalid, "not both")
		})
	}
}
