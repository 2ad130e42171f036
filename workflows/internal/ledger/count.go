package ledger

import (
	"iter"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	silence    = 20 * time.Second // after which somebody looks whether a process with leases lives
	firstCheck = 5 * time.Second  // of runs that a lost process left behind; it doubles
	lastCheck  = 5 * time.Minute
	recounts   = 2               // of a lost lease after it is closed, for a record that became durable late
	recountIn  = 2 * time.Minute // the first; the second comes later
	recountOut = 30 * time.Minute
	auditAfter = time.Hour // of the end of a day
	keepDays   = 8         // that accounts are kept after their window
)

// inOrder ranges over a map by its sorted keys.
func inOrder[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, key := range workflow.DeterministicKeys(m) {
			if !yield(key, m[key]) {
				return
			}
		}
	}
}

// Task is a sum that must be made of the records.
type Task struct {
	Sum     schemas.SumRequest
	Recount string // the closed lease that is counted once more
	SeenMS  int64  // of a check: when the process was last heard of
}

// Next returns what is to be done now. Without that it returns when something will be; the zero time is never.
func (b *Book) Next(now time.Time) (task *Task, due time.Time) {
	sooner := func(at time.Time) {
		if due.IsZero() || at.Before(due) {
			due = at
		}
	}
	for _, lease := range inOrder(b.State.Leases) {
		at := b.checkAt(lease)
		if !at.After(now) {
			return b.check(now, lease), now
		}
		sooner(at)
	}
	for id, r := range inOrder(b.State.Recounts) {
		at := millis(r.DueMS)
		if !at.After(now) {
			sum := schemas.SumRequest{Day: r.Day, Instance: r.Instance, Leases: []string{id}, FromMS: r.FromMS, Dead: true}
			return &Task{Recount: id, Sum: sum}, now
		}
		sooner(at)
	}
	for name, account := range inOrder(b.State.Accounts) {
		_, day := parted(name)
		at, ok := b.auditAt(day, account)
		if !ok {
			continue
		}
		if !at.After(now) {
			return &Task{Sum: schemas.SumRequest{Day: day}}, now
		}
		sooner(at)
	}
	return nil, due
}

func (b *Book) checkAt(lease schemas.LeaseState) time.Time {
	if lease.Lost {
		return millis(lease.CheckMS)
	}
	return millis(b.State.Instances[lease.Instance].SeenMS).Add(silence)
}

// check asks about all leases of a process and day that are to be looked at.
func (b *Book) check(now time.Time, like schemas.LeaseState) *Task {
	task := &Task{
		Sum:    schemas.SumRequest{Day: like.Day, Instance: like.Instance, Dead: like.Lost, FromMS: like.FromMS},
		SeenMS: b.State.Instances[like.Instance].SeenMS,
	}
	for id, lease := range inOrder(b.State.Leases) {
		if lease.Instance == like.Instance && lease.Day == like.Day && lease.Lost == like.Lost && !b.checkAt(lease).After(now) {
			task.Sum.Leases = append(task.Sum.Leases, id)
			task.Sum.FromMS = min(task.Sum.FromMS, lease.FromMS)
		}
	}
	return task
}

// auditAt is when the records of a day are added up; not ok for one that is, and while leases of the day are open.
func (b *Book) auditAt(day string, account schemas.Account) (time.Time, bool) {
	if account.Audited || len(day) != len(time.DateOnly) {
		return time.Time{}, false
	}
	for _, lease := range inOrder(b.State.Leases) {
		if lease.Day == day {
			return time.Time{}, false
		}
	}
	for _, r := range inOrder(b.State.Recounts) {
		if r.Day == day {
			return time.Time{}, false
		}
	}
	end, ok := schemas.WindowEnd(day)
	return end.Add(auditAfter), ok
}

// Counted books what a sum brought.
func (b *Book) Counted(now time.Time, task Task, report schemas.SumReport) {
	switch {
	case task.Recount != "":
		b.recounted(now, task.Recount, sharesOf(report, task.Recount))
	case len(task.Sum.Leases) == 0:
		b.Audit(task.Sum.Day, sharesOf(report, ""))
	case report.Alive:
		b.heard(now, task)
	case task.Sum.Dead || task.SeenMS == b.State.Instances[task.Sum.Instance].SeenMS:
		for _, sum := range report.Leases {
			b.lost(now, sum)
		}
	}
}

func sharesOf(report schemas.SumReport, lease string) []schemas.ShareSum {
	for _, sum := range report.Leases {
		if sum.Lease == lease {
			return sum.Shares
		}
	}
	return nil
}

// heard notes that a silent process lives.
func (b *Book) heard(now time.Time, task Task) {
	instance := b.State.Instances[task.Sum.Instance]
	instance.SeenMS = max(instance.SeenMS, now.UnixMilli())
	b.State.Instances[task.Sum.Instance] = instance
}

// lost takes a lease from a process that is gone. What its records add up to is spent; the rest stays reserved for as long as runs that it
// admitted go on elsewhere.
func (b *Book) lost(now time.Time, sum schemas.LeaseSum) {
	lease, ok := b.State.Leases[sum.Lease]
	if !ok {
		return
	}
	counted := map[string]schemas.Amount{}
	for _, s := range sum.Shares {
		counted[s.Subject] = s.Spent
	}
	for subject, share := range inOrder(lease.Shares) {
		share.Settled = counted[subject]
		lease.Shares[subject] = share
	}
	for subject, amount := range inOrder(counted) {
		share := lease.Shares[subject]
		share.Settled = amount
		lease.Shares[subject] = share
	}
	lease.Lost, lease.Running = true, sum.Running
	if sum.Running > 0 {
		lease.CheckMS = now.Add(min(lastCheck, firstCheck<<min(lease.Checks, 10))).UnixMilli()
		lease.Checks++
		b.State.Leases[sum.Lease] = lease
		return
	}
	b.close(sum.Lease, lease)
	b.State.Recounts[sum.Lease] = schemas.Recount{
		Instance: lease.Instance, Day: lease.Day, FromMS: lease.FromMS, Counted: counted, DueMS: now.Add(recountIn).UnixMilli(), Left: recounts,
	}
}

// recounted corrects what the accounts have of a lease that is closed.
func (b *Book) recounted(now time.Time, id string, shares []schemas.ShareSum) {
	r, ok := b.State.Recounts[id]
	if !ok {
		return
	}
	before := r.Counted
	r.Counted = map[string]schemas.Amount{}
	for _, s := range shares {
		r.Counted[s.Subject] = s.Spent
		b.add(s.Subject, r.Day, s.Spent.Sub(before[s.Subject]))
	}
	for subject, amount := range inOrder(before) {
		if _, still := r.Counted[subject]; !still {
			b.add(subject, r.Day, schemas.Amount{}.Sub(amount))
		}
	}
	r.Left--
	r.DueMS = now.Add(recountOut).UnixMilli()
	b.State.Recounts[id] = r
	if r.Left <= 0 {
		delete(b.State.Recounts, id)
	}
}

// Audit has the accounts of a day say what all its records add up to.
func (b *Book) Audit(day string, shares []schemas.ShareSum) {
	truth := map[string]schemas.Amount{}
	for name := range inOrder(b.State.Accounts) {
		if subject, window := parted(name); window == day {
			truth[subject] = schemas.Amount{}
		}
	}
	for _, s := range shares {
		truth[s.Subject] = s.Spent
	}
	for subject, amount := range inOrder(truth) {
		wrong := amount.Sub(b.State.Accounts[schemas.AccountOf(subject, day)].Spent)
		b.add(subject, day, wrong)
		for _, window := range windows(day) {
			name := schemas.AccountOf(subject, window)
			account := b.State.Accounts[name]
			account.Corrected = account.Corrected.Add(wrong)
			account.Audited = window == day
			b.State.Accounts[name] = account
		}
	}
}

// Prune forgets what nobody asks for any more.
func (b *Book) Prune(now time.Time) {
	for name, account := range inOrder(b.State.Accounts) {
		_, window := parted(name)
		end, _ := schemas.WindowEnd(window)
		day := len(window) == len(time.DateOnly)
		if now.After(end.Add(keepDays*aDay)) && (account.Audited || !day) {
			delete(b.State.Accounts, name)
		}
	}
	busy := map[string]bool{}
	for _, lease := range inOrder(b.State.Leases) {
		busy[lease.Instance] = true
	}
	for name, instance := range inOrder(b.State.Instances) {
		if !busy[name] && now.After(millis(instance.SeenMS).Add(aDay)) {
			delete(b.State.Instances, name)
		}
	}
}

// Rebuild has the accounts of a day say what its records add up to, in a book that knows nothing of the day yet.
func (b *Book) Rebuild(day string, report schemas.SumReport) {
	for _, s := range sharesOf(report, "") {
		b.add(s.Subject, day, s.Spent)
	}
}
