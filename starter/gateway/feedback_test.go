package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// said is a piece of feedback without what the gateway adds.
func said(f schemas.Feedback) string {
	value := f.Label
	if f.Score != nil {
		value = fmt.Sprint(*f.Score)
	}
	return strings.Join(strings.Fields(f.Name+" "+value+" "+f.Comment), " ")
}

func allSaid(all []schemas.Feedback) []string {
	texts := []string{}
	for _, f := range all {
		texts = append(texts, said(f))
	}
	return texts
}

func TestFeedbackOfLaneAndWorkflow(t *testing.T) {
	t.Parallel()
	for name, execution := range map[string]schemas.Execution{"lane": schemas.ExecutionLane, "workflow": schemas.ExecutionWorkflow} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := gatewaytest.Start(t, laned)
			c := admin(t, s)
			run := hello()
			run.Execution = execution
			var done rest.RunResult
			c.send("POST", "/api/v1/runs", run, "Idempotency-Key", "chosen").want(t, 200, &done)
			path := "/api/v1/runs/" + done.RunID + "/feedback"

			var none rest.RunFeedback
			c.send("GET", path, nil).want(t, 200, &none)
			if none.Feedback == nil || len(none.Feedback)+len(none.History) != 0 {
				t.Errorf("no feedback is %+v", none)
			}
			zero := 0.0
			var first schemas.Feedback
			c.send("POST", path, rest.NewFeedback{Name: "helpful", Score: &zero}).want(t, 201, &first)
			if first.Score == nil || *first.Score != 0 || first.Chain != "two" || first.Key != "00000000cafe" {
				t.Errorf("kept %+v", first)
			}
			happened := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
			for _, f := range []rest.NewFeedback{
				{Name: "helpful", Score: &zero, User: "ada", Comment: "off topic"},
				{Name: "tone", Label: "wrong"},
				{Name: "helpful", Label: "yes"},
				{Name: "helpful", Comment: "better now", User: "ada", HappenedAt: &happened},
			} {
				c.send("POST", path, f).want(t, 201, nil)
			}
			var all rest.RunFeedback
			c.send("GET", path, nil).want(t, 200, &all)
			if diff := cmp.Diff([]string{"helpful 0", "helpful 0 off topic", "tone wrong", "helpful yes", "helpful better now"}, allSaid(all.History)); diff != "" {
				t.Error(diff)
			}
			current := []string{"tone wrong", "helpful yes", "helpful better now"}
			if diff := cmp.Diff(current, allSaid(all.Feedback)); diff != "" {
				t.Error(diff)
			}
			if at := all.Feedback[2].HappenedAt; at == nil || !at.Equal(happened) {
				t.Errorf("happened at %v", at)
			}
			var shown rest.Run
			c.send("GET", "/api/v1/runs/"+done.RunID, nil).want(t, 200, &shown)
			if diff := cmp.Diff(current, allSaid(shown.Feedback)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFeedbackIsKeptOnceForAKey(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	var done rest.RunResult
	c.send("POST", "/api/v1/runs", hello()).want(t, 200, &done)
	path := "/api/v1/runs/" + done.RunID + "/feedback"
	var first, again schemas.Feedback
	c.send("POST", path, rest.NewFeedback{Name: "tone", Label: "kind"}, "Idempotency-Key", "f1").want(t, 201, &first)
	c.send("POST", path, rest.NewFeedback{Name: "tone", Label: "kind"}, "Idempotency-Key", "f1").want(t, 201, &again)
	if diff := cmp.Diff(first, again); diff != "" || first.ID != "f1" {
		t.Error(diff)
	}
	c.send("POST", path, rest.NewFeedback{Name: "tone", Label: "rude"}, "Idempotency-Key", "f1").wantProblem(t, 409, schemas.Conflict, "says something else")
	var all rest.RunFeedback
	c.send("GET", path, nil).want(t, 200, &all)
	if diff := cmp.Diff([]string{"tone kind"}, allSaid(all.History)); diff != "" {
		t.Error(diff)
	}
}

// TestFeedbackHasTheReleaseOfItsRun gives it on a record that stands in another process's journal only.
func TestFeedbackHasTheReleaseOfItsRun(t *testing.T) {
	t.Parallel()
	store := blob.New(&memblob.Driver{})
	other := journal.New(store, "other")
	id := "019b7ca9-8c88-7000-8000-00000000000a"
	start := time.UnixMilli(1767323045000)
	data, _ := json.Marshal(schemas.Exchange{RunID: id, Tenant: "default", Chain: "c", Status: schemas.RunDone, StartMS: start.UnixMilli(), Release: "abc"})
	ticket := other.Append(journal.Entry{Tenant: "default", Run: id, Key: schemas.RunKey("default", id, start), Data: data, Keep: true})
	if err := ticket.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := gatewaytest.Start(t, func(d *gateway.Deps) { d.Store = store })
	var kept schemas.Feedback
	admin(t, s).send("POST", "/api/v1/runs/"+id+"/feedback", rest.NewFeedback{Name: "ok", Comment: "fine"}).want(t, 201, &kept)
	if kept.Release != "abc" || kept.Chain != "c" {
		t.Errorf("kept %+v", kept)
	}
	if page, err := store.List(t.Context(), "tenants/default/feedback/2026/01/02/"+id+"/", "", 0); err != nil || len(page) != 1 {
		t.Errorf("%v, %v", page, err)
	}
}

func TestFeedbackThatIsRefused(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	var done rest.RunResult
	c.send("POST", "/api/v1/runs", hello()).want(t, 200, &done)
	path := "/api/v1/runs/" + done.RunID + "/feedback"
	score, later := 1.0, time.Now().Add(time.Hour)
	for name, test := range map[string]struct {
		path string
		body any
		code schemas.Code
		says string
	}{
		"no such run":      {"/api/v1/runs/none/feedback", rest.NewFeedback{Name: "a", Label: "b"}, schemas.NotFound, "there is no run none"},
		"nothing said":     {path, rest.NewFeedback{Name: "a"}, schemas.Invalid, "says nothing"},
		"two values":       {path, rest.NewFeedback{Name: "a", Label: "b", Score: &score}, schemas.Invalid, "a name of its own"},
		"a name to inject": {path, rest.NewFeedback{Name: "a\r\nX: y", Label: "b"}, schemas.Invalid, "feedback name"},
		"a label of lines": {path, rest.NewFeedback{Name: "a", Label: "b\nc"}, schemas.Invalid, "one line"},
		"the future":       {path, rest.NewFeedback{Name: "a", Label: "b", HappenedAt: &later}, schemas.Invalid, "future"},
		"a long comment":   {path, rest.NewFeedback{Name: "a", Comment: strings.Repeat("x", 16385)}, schemas.Invalid, "comment"},
		"an endless score": {path, []byte(`{"name":"a","score":1e999}`), schemas.Invalid, ""},
		"unknown fields":   {path, []byte(`{"name":"a","label":"b","verdict":"c"}`), schemas.Invalid, "verdict"},
	} {
		status := map[schemas.Code]int{schemas.NotFound: 404, schemas.Invalid: 400}[test.code]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.send("POST", test.path, test.body).wantProblem(t, status, test.code, test.says)
		})
	}
	t.Run("a key that is none", func(t *testing.T) {
		t.Parallel()
		c.send("POST", path, rest.NewFeedback{Name: "a", Label: "b"}, "Idempotency-Key", "../x").wantProblem(t, 400, schemas.Invalid, "idempotency key")
	})
	t.Run("another tenant", func(t *testing.T) {
		t.Parallel()
		var foreign rest.CreatedKey
		c.send("POST", "/api/v1/keys", rest.NewKey{Tenant: "other", Roles: []schemas.Role{schemas.RoleService}}).want(t, 201, &foreign)
		caller{t, s.URL, foreign.Token}.send("GET", path, nil).wantProblem(t, 404, schemas.NotFound, "there is no run")
	})
}

func TestFeedbackWaitsForTheRun(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	s.Work.Gate = make(chan struct{})
	c := admin(t, s)
	run := hello()
	run.Detach = true
	var started rest.RunResult
	c.send("POST", "/api/v1/runs", run).want(t, 202, &started)
	path := "/api/v1/runs/" + started.RunID + "/feedback"
	c.send("POST", path, rest.NewFeedback{Name: "a", Label: "b"}).wantProblem(t, 409, schemas.Conflict, "when it has ended")
	close(s.Work.Gate)
	for ctx, end := context.WithTimeout(t.Context(), 10*time.Second); ; {
		if got := c.send("POST", path, rest.NewFeedback{Name: "a", Label: "b"}); got.status == 201 || ctx.Err() != nil {
			got.want(t, 201, nil)
			end()
			return
		}
	}
}

func TestARunTakesSoMuchFeedback(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	var done rest.RunResult
	c.send("POST", "/api/v1/runs", hello()).want(t, 200, &done)
	start, _ := schemas.RunStart(done.RunID)
	for i := range 500 {
		key := schemas.FeedbackKey("default", done.RunID, start, fmt.Sprintf("f%03d", i))
		if err := s.Store.Put(t.Context(), key, []byte(`{"name":"a","label":"b"}`)); err != nil {
			t.Fatal(err)
		}
	}
	c.send("POST", "/api/v1/runs/"+done.RunID+"/feedback", rest.NewFeedback{Name: "a", Label: "b"}).wantProblem(t, 402, schemas.OverBudget, "no more are taken")
}
