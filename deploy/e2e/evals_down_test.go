package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model/batchtest"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// The time that TestEvalsDown has the platform away: around a full minute, at which suites are due.
const (
	awayBefore = 2 * time.Second
	awayAfter  = 14 * time.Second // longer than the shortest time that Temporal makes up for
)

// TestEvalsDown has Temporal, the store and the worker killed while batches are under way at their vendors, and be away at a time at which suites are
// due. Both batches expire with rows unanswered, and one is cancelled at its vendor besides: only rows without an answer are ordered again. The suite that is made up for late starts runs when the platform is back; of the other one the missed start is listed, and made up for by hand.
func TestEvalsDown(t *testing.T) {
	t.Parallel()
	h := open(t, options{noIndex: true})
	fake := batchtest.NewHandler(batchtest.Options{Delay: 12 * time.Second, Soon: 2, Fate: func(order, n int) batchtest.Fate {
		if order < 2 && n%4 == 1 {
			return batchtest.Expired
		}
		return batchtest.Answered
	}})
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	due := time.Now().Truncate(time.Minute).Add(time.Minute)
	if time.Until(due) < 10*time.Second {
		due = due.Add(time.Minute)
	}
	h.scheduled(t, "late", due, 6*time.Hour)
	h.scheduled(t, "missed", due, time.Second) // Temporal makes up for ten at least

	const cases = 20
	time.Sleep(time.Until(due) - awayBefore - 6*time.Second)
	run := h.evaluation(t, schemas.EvalRequest{Suite: "bulk", Package: h.bulkSuite(t, server.URL, cases), Bulk: true})
	await(t, startLimit, "batches to be ordered", func() bool { return fake.Stats().Batches == 2 })
	time.Sleep(time.Until(due) - awayBefore)
	h.worker.kill()
	h.servers.kill()
	cancelMessages(t, server.URL)
	time.Sleep(time.Until(due) + awayAfter)
	h.start(t, h.servers)
	h.startWorker(t)

	u := h.admin()
	u.madeUp(t, "late", due)
	u.missed(t, "missed", due)
	s := ended(t, run)
	stats := fake.Stats()
	if s.Counts.Passed != 2*cases || stats.Batches != 4 || stats.Orders != 4 || stats.Singles != 0 || stats.Answered != 2*cases {
		t.Errorf("%+v\n%+v", s, stats)
	}
	twice := 0
	for _, times := range stats.Rows {
		if times > 2 {
			t.Errorf("a row was ordered %d times", times)
		}
		twice += times - 1
	}
	if twice != cases/4+cases/2 { // what had expired of both, and of the cancelled one every other row
		t.Errorf("%d rows were ordered again, want %d", twice, cases/4+cases/2)
	}
}

// cancelMessages cancels the batch of Messages, as somebody does at the vendor's console. It is the first or the second that was ordered.
func cancelMessages(t *testing.T, url string) {
	t.Helper()
	cancelled := 0
	for n := range 2 {
		response, err := http.Post(fmt.Sprintf("%s/v1/messages/batches/msgbatch_%03d/cancel", url, n), "application/json", nil)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			cancelled++
		}
	}
	if cancelled != 1 {
		t.Fatalf("%d batches were cancelled", cancelled)
	}
}

// scheduled has a suite run once, at a time.
func (h *house) scheduled(t *testing.T, name string, due time.Time, catchUp time.Duration) {
	t.Helper()
	at := due.UTC()
	put, _ := json.Marshal(rest.PutSchedule{
		Cron: fmt.Sprintf("%d %d %d %d *", at.Minute(), at.Hour(), at.Day(), at.Month()), CatchUpS: int(catchUp.Seconds()),
		Package: h.suiteOf(t, name, askedSuite(3, "model:one"), 4).SHA256,
	})
	if status, body := h.admin().http(t, http.MethodPut, "/api/v1/schedules/"+name, string(put)); status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
}

func (u user) schedule(t *testing.T, suite string) rest.Schedule {
	t.Helper()
	status, body := u.http(t, http.MethodGet, "/api/v1/schedules/"+suite, "")
	if status != http.StatusOK {
		return rest.Schedule{} // the platform comes up
	}
	return decode[rest.Schedule](t, body)
}

// madeUp waits for the verdict of the run that was due at a time, and requires that nothing is missed.
func (u user) madeUp(t *testing.T, suite string, due time.Time) {
	t.Helper()
	var found rest.Schedule
	await(t, startLimit, "the run that was due", func() bool {
		found = u.schedule(t, suite)
		return len(found.Runs) > 0 && found.Runs[0].Ruling != ""
	})
	if len(found.Runs) != 1 || !found.Runs[0].PlannedAt.Equal(due) || found.Runs[0].Ruling != schemas.RulingPassed {
		t.Errorf("schedule %+v, due at %s", found, due)
	}
	if runs := u.evals(t, suite); len(runs) != 1 || runs[0].Summary == nil || runs[0].Summary.PlannedMS != due.UnixMilli() {
		t.Errorf("runs %+v", runs)
	}
}

// missed requires that a start is listed as missed, and makes up for it by hand.
func (u user) missed(t *testing.T, suite string, due time.Time) {
	t.Helper()
	await(t, startLimit, "the missed start to be counted", func() bool { return u.schedule(t, suite).Missed == 1 })
	if runs := u.evals(t, suite); len(runs) != 0 {
		t.Errorf("runs %+v", runs)
	}
	if listed := u.run(t, "schedule", "list"); !strings.Contains(listed, suite+" missed 1 start; \"tenuto schedule backfill "+suite) {
		t.Errorf("listed is\n%s", listed)
	}
	at := due.UTC().Format(time.RFC3339)
	u.run(t, "schedule", "backfill", suite, "--from", at, "--to", at)
	u.madeUp(t, suite, due)
}
