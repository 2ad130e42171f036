package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/internal/ledger"
)

// sumOf is a report of one lease that the tenant pays for.
func sumOf(lease string, spent int64, running int) schemas.SumReport {
	return schemas.SumReport{Leases: []schemas.LeaseSum{{
		Lease: lease, Running: running, Shares: []schemas.ShareSum{{Subject: tenant, Spent: usd(spent)}},
	}}}
}

// due returns the task of that time, which there must be.
func due(t *testing.T, b *ledger.Book, now time.Time) ledger.Task {
	t.Helper()
	task, at := b.Next(now)
	if task == nil {
		t.Fatalf("nothing is to be done at %s; next is %s", now, at)
	}
	return *task
}

// resting requires that nothing is to be done before the time given.
func resting(t *testing.T, b *ledger.Book, now, until time.Time) {
	t.Helper()
	if task, at := b.Next(now); task != nil || !at.Equal(until) {
		t.Errorf("at %s: task %+v, next at %s, want %s", now, task, at, until)
	}
}

func TestALostProcess(t *testing.T) {
	t.Parallel()
	b := dollar()
	sync(t, b, one("g", 1, 7, usd(0), usd(1000), usd(1000)))
	sync(t, b, one("g", 2, 7, usd(300), usd(0), usd(1000)))
	silent := noon.Add(20 * time.Second)
	resting(t, b, noon, silent)
	task := due(t, b, silent)
	want := schemas.SumRequest{Day: day, Instance: "g", Leases: []string{"g/7"}, FromMS: noon.UnixMilli()}
	if diff := cmp.Diff(want, task.Sum); diff != "" {
		t.Error(diff)
	}
	// It lives after all.
	b.Counted(silent, task, schemas.SumReport{Alive: true})
	resting(t, b, silent, silent.Add(20*time.Second))

	// It does not, and a run of it goes on: what is not spent stays reserved.
	later := silent.Add(20 * time.Second)
	b.Counted(later, due(t, b, later), sumOf("g/7", 450, 1))
	if spent, reserved := figures(b); spent != 450 || reserved != 550 {
		t.Errorf("while a run goes on: spent %d, reserved %d", spent, reserved)
	}
	resting(t, b, later, later.Add(5*time.Second))
	if reply := sync(t, b, one("g", 3, 7, usd(900), usd(900), usd(900))); !reply.Leases[0].Lost {
		t.Error("the process was not told that its lease is lost")
	}
	later = later.Add(5 * time.Second)
	task = due(t, b, later)
	if !task.Sum.Dead {
		t.Error("a lost process is asked for signs of life")
	}
	b.Counted(later, task, sumOf("g/7", 500, 1))
	resting(t, b, later, later.Add(10*time.Second))

	// The run has ended.
	later = later.Add(10 * time.Second)
	b.Counted(later, due(t, b, later), sumOf("g/7", 620, 0))
	if spent, reserved := figures(b); spent != 620 || reserved != 0 {
		t.Errorf("in the end: spent %d, reserved %d", spent, reserved)
	}
	if f := b.Figures(); f.Open != 0 || f.Lost != 0 {
		t.Errorf("%+v", f)
	}
	// It is counted twice more, absolutely.
	for i, spent := range []int64{621, 600} {
		task, at := b.Next(later)
		if task != nil {
			t.Fatalf("recount %d comes too soon", i)
		}
		later = at
		task = new(due(t, b, later))
		if task.Recount != "g/7" || !task.Sum.Dead {
			t.Errorf("recount %d: %+v", i, task)
		}
		b.Counted(later, *task, sumOf("g/7", spent, 0))
		if got, _ := figures(b); got != spent {
			t.Errorf("recount %d: spent %d, want %d", i, got, spent)
		}
	}
	resting(t, b, later, time.Date(2026, 11, 6, 1, 0, 0, 0, time.UTC)) // the audit
}

func TestAProcessThatSpeaksDuringTheCountKeepsItsLease(t *testing.T) {
	t.Parallel()
	b := dollar()
	sync(t, b, one("g", 1, 1, usd(0), usd(1000), usd(1000)))
	later := noon.Add(time.Minute)
	task := due(t, b, later)
	b.Sync(later, one("g", 2, 1, usd(10), usd(0), usd(1000)))
	b.Counted(later, task, sumOf("g/1", 5, 0))
	if spent, reserved := figures(b); spent != 10 || reserved != 990 {
		t.Errorf("spent %d, reserved %d", spent, reserved)
	}
}

func TestLeasesOfOneProcessAreCountedTogether(t *testing.T) {
	t.Parallel()
	b := dollar()
	in := one("g", 1, 1, usd(0), usd(10), usd(10))
	second, tomorrow := in.Leases[0], in.Leases[0]
	second.Number, second.FromMS = 2, 5
	tomorrow.Number, tomorrow.Day = 3, "2026-11-06"
	in.Leases = append(in.Leases, second, tomorrow)
	sync(t, b, in)
	later := noon.Add(time.Minute)
	task := due(t, b, later)
	if diff := cmp.Diff(schemas.SumRequest{Day: day, Instance: "g", Leases: []string{"g/1", "g/2"}, FromMS: 5}, task.Sum); diff != "" {
		t.Error(diff)
	}
	report := schemas.SumReport{Leases: []schemas.LeaseSum{{Lease: "g/1"}, {Lease: "g/2"}}}
	b.Counted(later, task, report)
	if task = due(t, b, later); task.Sum.Day != "2026-11-06" || len(task.Sum.Leases) != 1 {
		t.Errorf("next: %+v", task.Sum)
	}
}

func TestAnAuditCorrectsDayAndMonth(t *testing.T) {
	t.Parallel()
	b := dollar()
	sync(t, b, closed(one("g", 1, 1, usd(500), usd(0), usd(0))))
	tomorrow := closed(one("g", 2, 2, usd(70), usd(0), usd(0)))
	tomorrow.Leases[0].Day = "2026-11-06"
	sync(t, b, tomorrow)
	night := time.Date(2026, 11, 6, 1, 0, 0, 0, time.UTC)
	resting(t, b, noon, night)
	task := due(t, b, night)
	if diff := cmp.Diff(schemas.SumRequest{Day: day}, task.Sum); diff != "" {
		t.Error(diff)
	}
	b.Counted(night, task, schemas.SumReport{Leases: []schemas.LeaseSum{{Shares: []schemas.ShareSum{
		{Subject: tenant, Spent: usd(510)}, {Subject: keyA, Spent: usd(3)},
	}}}})
	want := []schemas.WindowFigures{
		{Subject: keyA, Window: month, Spent: usd(3), Corrected: usd(3)},
		{Subject: keyA, Window: day, Spent: usd(3), Corrected: usd(3), Audited: true},
		{Subject: tenant, Window: month, Spent: usd(580), Corrected: usd(10)},
		{Subject: tenant, Window: day, Spent: usd(510), Corrected: usd(10), Audited: true},
		{Subject: tenant, Window: "2026-11-06", Spent: usd(70)},
	}
	if diff := cmp.Diff(want, b.Figures().Windows); diff != "" {
		t.Error(diff)
	}
	resting(t, b, night, night.AddDate(0, 0, 1))
}

// TestAnAuditWaits: while leases of the day are open, records of theirs may be missing.
func TestAnAuditWaits(t *testing.T) {
	t.Parallel()
	b := dollar()
	sync(t, b, closed(one("a", 1, 1, usd(5), usd(0), usd(0))))
	sync(t, b, one("b", 1, 1, usd(5), usd(0), usd(5)))
	night := time.Date(2026, 11, 6, 2, 0, 0, 0, time.UTC)
	b.Sync(night, one("b", 2, 1, usd(5), usd(0), usd(5)))
	resting(t, b, night, night.Add(20*time.Second))
	b.Sync(night, closed(one("b", 3, 1, usd(6), usd(0), usd(0))))
	if task := due(t, b, night); task.Sum.Day != day || task.Sum.Leases != nil {
		t.Errorf("%+v", task)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	b := dollar()
	sync(t, b, closed(one("g", 1, 1, usd(5), usd(0), usd(0))))
	count := func() [2]int { return [2]int{len(b.State.Accounts), len(b.State.Instances)} }
	for _, step := range []struct {
		after time.Duration
		audit bool
		want  [2]int
	}{
		{time.Hour, false, [2]int{2, 1}},
		{25 * time.Hour, false, [2]int{2, 0}},
		{20 * 24 * time.Hour, false, [2]int{2, 0}}, // not audited yet
		{20 * 24 * time.Hour, true, [2]int{1, 0}},
		{40 * 24 * time.Hour, true, [2]int{0, 0}},
	} {
		if step.audit {
			b.Audit(day, []schemas.ShareSum{{Subject: tenant, Spent: usd(5)}})
		}
		b.Prune(noon.Add(step.after))
		if got := count(); got != step.want {
			t.Errorf("after %s: %v accounts and processes, want %v", step.after, got, step.want)
		}
	}
}

func TestTheStateSurvives(t *testing.T) {
	t.Parallel()
	b := dollar()
	sync(t, b, one("g", 1, 1, usd(10), usd(0), usd(100)))
	next := ledger.Open(&b.State)
	if diff := cmp.Diff(b.Figures(), next.Figures()); diff != "" {
		t.Error(diff)
	}
	if code := schemas.CodeOf(next.Check(noon, one("g", 1, 1, usd(10), usd(0), usd(100)))); code != schemas.Conflict {
		t.Errorf("an old message after the continuation: %s", code)
	}
}
