package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/githubforge/githubtest"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/memforge"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// TestRecordReleases records what makes, recalls and pays for releases, in a house of its own.
func TestRecordReleases(t *testing.T) {
	t.Parallel()
	if os.Getenv("TENUTO_RECORD") == "" {
		t.Skip("TENUTO_RECORD is not set; histories are recorded on purpose only")
	}
	host := &memforge.Driver{}
	host.Push(forge.Repository{Owner: "octo", Name: "bots"}, map[string]memforge.File{
		"tenuto.yaml":      {Data: "name: qa\n"},
		"models.yaml":      {Data: "providers: {local: {driver: local}}\nmodels: {local: {provider: local}}\n"},
		"prompts/p.prompt": {Data: "Say {{text}}"},
		"chains/one.yaml":  {Data: "input: {text: string}\nsteps:\n  - id: say\n    generate: {prompt: p, model: local, with: {text: input.text}}\n"},
	}, "main")
	github := httptest.NewServer(&githubtest.API{Host: host})
	t.Cleanup(github.Close)
	h := open(t, options{noIndex: true, env: []string{"GITHUB_API_URL=" + github.URL}})
	u := h.admin()
	u.sends(t, "/api/v1/releases/import", "recorded", `{"source":"github://octo/bots@main"}`)
	record(t, h, "Release-imported", schemas.ReleaseID("default", "recorded"))
	recordRecall(t, h, u)
	recordLedger(t, h, u)
}

// recordRecall recalls a release while a run is in flight, which starts anew on another release.
func recordRecall(t *testing.T, h *house, u user) {
	t.Helper()
	bad := u.release(t, pair()).Hash
	good := u.release(t, repeating(schemas.ChainDef{Steps: []schemas.StepDef{repeat("a", "input.word")}}, nil)).Hash
	before := h.models.handler.Stats().Chats
	h.models.handler.Fail(modeltest.Failure{Hang: true})
	u.sends(t, "/api/v1/chains/main/runs", "recalled", `{"release":"`+bad+`","mode":"detach","input":{"word":"heron"}}`)
	await(t, soon, "the model to be asked", func() bool { return h.models.handler.Stats().Chats == before+1 })
	time.Sleep(3 * time.Second) // until visibility knows of the run
	u.sends(t, "/api/v1/recalls", "", `{"release":"`+bad+`","action":"rerun-on","on":"`+good+`"}`)
	await(t, 2*time.Minute, "the recall to end", func() bool {
		status, body := u.http(t, http.MethodGet, "/api/v1/recalls/"+bad, "")
		return status == http.StatusOK && decode[rest.Recall](t, body).Status == rest.Completed
	})
	record(t, h, "Recall-rerun", schemas.RecallID("default", bad, schemas.RecallRerun))
}

// recordLedger has a ledger lease to a process that is killed, count its records, and continue as new with what it knows.
func recordLedger(t *testing.T, h *house, u user) {
	t.Helper()
	u.run(t, "budget", "set", "--tenant", "--tokens-day", "100000")
	for range 3 {
		u.chain(t, pair(), `{"word":"egret"}`, schemas.ExecutionLane)
	}
	ledgers := client.Ledgers{Temporal: h.temporal(t)}
	leases := func() (open, spent int64) {
		figures, err := ledgers.Show(t.Context(), "default")
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range figures.Windows {
			if w.Window == schemas.DayOf(time.Now()) && w.Subject == schemas.SubjectTenant {
				spent = w.Spent.Tokens
			}
		}
		return int64(figures.Open + figures.Lost), spent
	}
	_, settled := leases()
	h.worker.kill()
	h.startWorker(t)
	await(t, 2*time.Minute, "the lease of the process that is gone to be counted", func() bool {
		open, _ := leases()
		return open == 0
	})
	_, spent := leases()
	if spent < settled || spent == 0 {
		t.Errorf("%d tokens are spent, and %d were before", spent, settled)
	}
	record(t, h, "Ledger-lost", schemas.LedgerID("default"))
	for i := range 1000 { // after as many it continues as new
		_, err := ledgers.Sync(t.Context(), "default", schemas.LedgerSync{Instance: "recorded", Seq: int64(i + 1)})
		if err != nil {
			t.Fatal(err)
		}
	}
	share := schemas.ShareSync{Subject: schemas.SubjectTenant, Need: schemas.Amount{Tokens: 10}, Want: schemas.Amount{Tokens: 10}}
	for i, closed := range []bool{false, true} {
		share.Settled.Tokens = int64(7 * i)
		_, err := ledgers.Sync(t.Context(), "default", schemas.LedgerSync{Instance: "recorded", Seq: int64(2000 + i), Leases: []schemas.LeaseSync{{
			Number: 1, Day: schemas.DayOf(time.Now()), FromMS: time.Now().UnixMilli(), Closed: closed, Shares: []schemas.ShareSync{share},
		}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	record(t, h, "Ledger-continued", schemas.LedgerID("default"))
	if _, now := leases(); now != spent+7 {
		t.Errorf("%d tokens are spent, want %d", now, spent+7)
	}
}
