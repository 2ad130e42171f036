package workflows_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
)

// TestWithoutRoomInABudget pauses a run whose tenant's budget is used up, keeps what is done, and goes on by itself when there is room.
func TestWithoutRoomInABudget(t *testing.T) {
	t.Parallel()
	short := &schemas.EvalShort{Reason: "over the budget of the tenant", Need: schemas.Estimate{Amount: schemas.Amount{Micros: 7}, Unknown: []string{"m"}}}
	for name, test := range map[string]struct {
		room    time.Duration // until there is some
		every   time.Duration // it is looked at
		decide  *schemas.EvalDecision
		looks   int
		cells   int
		stopped bool
	}{
		"by itself": {room: 3 * time.Hour, every: time.Hour, looks: 4, cells: 4},
		"stopped":   {room: 1000 * time.Hour, every: time.Hour, decide: &schemas.EvalDecision{Stop: true}, looks: 2, cells: 3, stopped: true},
		"looked at": {room: time.Hour, every: 20 * time.Hour, decide: &schemas.EvalDecision{}, looks: 2, cells: 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEvaluating(t, 3)
			e.plan.Budget = schemas.EvalBudget{Tokens: 1000}
			e.cells = func(_ context.Context, in schemas.CellsRequest) (schemas.CellsOutcome, error) {
				if in.Batch == 1 && in.Try == 0 {
					return schemas.CellsOutcome{Done: 4, Passed: 4, Held: 6, Short: short}, nil
				}
				if in.Batch == 1 && (in.Fresh || in.Last) {
					t.Errorf("%+v", in)
				}
				return tenDone(), nil
			}
			begun, looks := e.Now(), 0
			e.room = func(in schemas.RoomRequest) error {
				looks++
				if diff := cmp.Diff(short.Need, in.Need); diff != "" || in.Run.Payer != "aaaaaaaaaaaa" || in.Run.Key != "k" {
					t.Errorf("%s %+v", diff, in.Run)
				}
				if e.Now().Sub(begun) >= test.room {
					return nil
				}
				return &schemas.Error{Code: schemas.Unavailable, Message: "no room", RetryAfter: test.every}
			}
			e.RegisterDelayedCallback(func() {
				p := e.progress(t)
				if p.State != schemas.EvalPaused || !strings.Contains(p.Waits, "over the budget of the tenant") || !strings.Contains(p.Waits, "tenuto budget set") || p.Short == nil {
					t.Errorf("paused %+v", p)
				}
			}, 30*time.Minute)
			var refused error
			if test.decide != nil {
				e.decide(2*time.Hour, *test.decide, &refused)
			}
			in := evalRequest()
			in.Payer, in.By = "aaaaaaaaaaaa", schemas.Actor{Key: "k"}
			e.run(t, in)
			if refused != nil || len(e.asked) != test.cells || e.judged[0].Stopped != test.stopped || looks < test.looks {
				t.Errorf("%v, asked %d times, looked %d times, %+v", refused, len(e.asked), looks, e.judged[0])
			}
			if p := e.progress(t); p.Budget.Tokens != 1000 || p.Short != nil {
				t.Errorf("%+v", p)
			}
		})
	}
}
