package gateway_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

func TestSchedules(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	const one = "/api/v1/schedules/smoke"
	put := rest.PutSchedule{Cron: "0 3 * * *", TimeZone: "Europe/Berlin", Package: packSuite(t, s, "smoke"), Source: "answers"}
	var outcomes []string
	apply := func(put rest.PutSchedule) {
		t.Helper()
		var applied rest.AppliedSchedule
		c.send("PUT", one, put).want(t, 200, &applied)
		outcomes = append(outcomes, applied.Outcome)
	}
	dry, later := put, put
	dry.Dry, later.Cron = true, "0 4 * * *"
	for _, body := range []rest.PutSchedule{dry, put, put, later, put} {
		apply(body)
	}
	if diff := cmp.Diff([]string{"created", "created", "unchanged", "updated", "updated"}, outcomes); diff != "" {
		t.Error(diff)
	}
	var shown rest.Schedule
	c.send("GET", one, nil).want(t, 200, &shown)
	if shown.Cron != put.Cron || shown.Package != put.Package || shown.CatchUpS != 6*3600 || shown.Missed != 1 || len(shown.Next) != 1 || shown.Source != "answers" {
		t.Errorf("%+v", shown)
	}
	c.send("POST", one+"/pause", rest.PauseSchedule{Why: "holidays"}).want(t, 200, &shown)
	if !shown.Paused || shown.Note != "paused by bootstrap: holidays" {
		t.Errorf("paused %+v", shown)
	}
	shown = rest.Schedule{}
	c.send("POST", one+"/resume", rest.PauseSchedule{}).want(t, 200, &shown)
	if shown.Paused || shown.Note != "resumed by bootstrap" {
		t.Errorf("resumed %+v", shown)
	}
	from := time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	c.send("POST", one+"/backfill", rest.BackfillSchedule{From: from, To: from.AddDate(0, 0, 1)}).want(t, 200, nil)
	c.send("POST", one+"/trigger", nil).want(t, 200, nil)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		shown = rest.Schedule{}
		c.send("GET", one, nil).want(t, 200, &shown)
		if len(shown.Runs) == 3 && !slices.ContainsFunc(shown.Runs, func(r rest.ScheduledRun) bool { return r.Status == rest.Running }) {
			break // they have all ended
		}
	}
	if len(shown.Runs) != 3 || shown.Runs[0].Ruling != schemas.RulingPassed || !shown.Runs[2].PlannedAt.Equal(from) || shown.Runs[0].Status != rest.Completed {
		t.Errorf("runs %+v", shown.Runs)
	}
	var page rest.Page[rest.Schedule]
	c.send("GET", "/api/v1/schedules", nil).want(t, 200, &page)
	if len(page.Items) != 1 || page.Items[0].Suite != "smoke" {
		t.Errorf("list %+v", page.Items)
	}
	c.send("DELETE", one, nil).want(t, 204, nil)
	c.send("GET", "/api/v1/schedules", nil).want(t, 200, &page)
	if len(page.Items) != 0 {
		t.Errorf("list %+v", page.Items)
	}
}

func TestWhatIsNoSchedule(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	hash := packSuite(t, s, "smoke")
	put := func(suite string, body rest.PutSchedule) reply {
		return c.send("PUT", "/api/v1/schedules/"+suite, body)
	}
	put("smoke", rest.PutSchedule{Cron: "whenever", Package: hash}).wantProblem(t, 400, schemas.Invalid, "a cron text of five fields")
	put("smoke", rest.PutSchedule{Cron: "0 3 * * *", Package: "x"}).wantProblem(t, 400, schemas.Invalid, "package")
	put("other", rest.PutSchedule{Cron: "0 3 * * *", Package: hash}).wantProblem(t, 404, schemas.NotFound, "suite other has no package")
	put("No", rest.PutSchedule{Cron: "0 3 * * *", Package: hash}).wantProblem(t, 400, schemas.Invalid, "suite")
	put("smoke", rest.PutSchedule{Cron: "0 3 * * *", Package: hash, Notify: schemas.EvalNotify{Webhook: "https://example.com"}}).
		wantProblem(t, 422, schemas.Refused, "cannot sign callbacks")
	for _, path := range []string{"/pause", "/resume", "/trigger", "/backfill"} {
		at := time.Now()
		body := any(rest.PauseSchedule{})
		if path == "/backfill" {
			body = rest.BackfillSchedule{From: at, To: at}
		}
		c.send("POST", "/api/v1/schedules/smoke"+path, body).wantProblem(t, 404, schemas.NotFound, "has no schedule")
	}
	c.send("POST", "/api/v1/schedules/smoke/backfill", rest.BackfillSchedule{From: time.Now(), To: time.Now().Add(-time.Hour)}).wantProblem(t, 400, schemas.Invalid, "behind")
	service := c.key("app", schemas.RoleService)
	service.send("GET", "/api/v1/schedules", nil).wantProblem(t, 403, schemas.Unauthorized, "role")
}
