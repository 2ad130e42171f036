package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	// recent is for how long a closed issue is opened again rather than another one made.
	recent = 14 * 24 * time.Hour
	// skew is how much the clocks of the code host and of workers may differ.
	skew = time.Hour
)

// keeping keeps the issue of one suite for one run of it.
type keeping struct {
	*Activities

	issues *forge.Issues
	in     schemas.EvalAlert
	since  time.Time // issues that were closed before it are over
}

// keep has the issue of a suite say what a run came to. Each step is looked for before it is done.
func (a *Activities) keep(ctx context.Context, in schemas.EvalAlert) (url, action string, err error) {
	k := keeping{Activities: a, in: in, since: a.Now().Add(-recent)}
	if err := forge.CheckLabels(in.Notify.Labels); err != nil {
		return "", none, err
	}
	if k.issues, err = a.Forge.Issues(in.Notify.Repository); err != nil {
		return "", none, err
	}
	issue, err := k.find(ctx, nil)
	switch {
	case err != nil:
		return "", none, err
	case issue != nil:
		return k.update(ctx, *issue)
	case in.Summary.Ruling != schemas.RulingFailed:
		return "", none, nil
	}
	release, err := k.claim(ctx)
	if err != nil {
		return "", none, err
	}
	defer release()
	if issue, err = k.find(ctx, nil); err != nil {
		return "", none, err
	}
	if issue != nil {
		return k.update(ctx, *issue)
	}
	return k.open(ctx)
}

const (
	// claimTime is how long a claim holds whose holder has died.
	claimTime = 5 * time.Minute
	// claimWait is when somebody else looks again.
	claimWait = 10 * time.Second
)

// claim lets one run of the suite at a time open an issue. It only spares people issues that find would close again: a holder that is slow may
// lose it. Code: unavailable while another run has it, those of the store.
func (k *keeping) claim(ctx context.Context) (release func(), err error) {
	key, now := schemas.EvalIssueClaimKey(k.in.Run.Tenant, k.in.Run.Suite), k.Now().UnixMilli()
	data, err := json.Marshal(schemas.EvalIssueClaim{Run: k.in.Run.ID, AtMS: now})
	if err != nil {
		return nil, err
	}
	created, err := k.Store.PutIfAbsent(ctx, key, data)
	if err == nil && !created {
		var held schemas.EvalIssueClaim
		if err := k.kept(ctx, key, &held); err != nil {
			return nil, err
		}
		if held.Run != k.in.Run.ID && now-held.AtMS < claimTime.Milliseconds() {
			busy := schemas.Errorf(schemas.Unavailable, "another run of suite %s opens the issue at this moment", k.in.Run.Suite)
			busy.RetryAfter = claimWait
			return nil, busy
		}
		err = k.Store.Put(ctx, key, data)
	}
	return func() { _ = k.Store.Delete(context.WithoutCancel(ctx), key) }, err
}

// find returns the issue of the suite: the oldest open one, else the newest closed one, if any. Further open ones were made at the same moment
// as the first, and are closed. Made is an issue that was just opened, which a list may not have yet.
func (k *keeping) find(ctx context.Context, made *forge.Issue) (*forge.Issue, error) {
	found, err := k.issues.Find(ctx, k.marker(), k.since)
	if err != nil {
		return nil, err
	}
	if made != nil && !slices.ContainsFunc(found, func(i forge.Issue) bool { return i.Number == made.Number }) {
		found = append(found, *made)
		slices.SortFunc(found, func(a, b forge.Issue) int { return a.Number - b.Number })
	}
	var stands *forge.Issue
	for _, issue := range found {
		if stands == nil || !stands.Open {
			stands = &issue
			continue
		}
		if !issue.Open {
			continue
		}
		change := forge.IssueChange{Title: issue.Title, Body: fmt.Sprintf("Another issue of the same regression: #%d.\n", stands.Number), State: forge.IssueDropped}
		if _, err := k.issues.Update(ctx, issue.Number, change); err != nil {
			return nil, err
		}
	}
	return stands, nil
}

// open opens the issue. If another one was opened meanwhile, that one stands and is told of the run too.
func (k *keeping) open(ctx context.Context) (url, action string, err error) {
	text := forge.IssueText{Title: k.title(), Body: k.body(k.in.Run.ID), Labels: k.in.Notify.Labels}
	made, err := k.issues.Open(ctx, k.marker(), text)
	if err != nil {
		return "", none, err
	}
	stands, err := k.find(ctx, &made)
	if err != nil {
		return "", none, err
	}
	if stands.Number == made.Number {
		return made.URL, opened, nil
	}
	return k.update(ctx, *stands)
}

// update has an issue say what the run came to: a comment first, and then the issue itself, which says that the run is done with.
func (k *keeping) update(ctx context.Context, issue forge.Issue) (url, action string, err error) {
	told := readTold(issue.Body)
	change := forge.IssueChange{Title: k.title(), State: forge.IssueOpen}
	switch action = k.action(issue, told); {
	case action == none:
		return "", none, nil
	case told.run == k.in.Run.ID || told.after(k.in.Run):
		return issue.URL, action, nil
	}
	if err := k.issues.Comment(ctx, issue.Number, k.runMarker(), k.comment(action), time.UnixMilli(k.in.Run.StartMS).Add(-skew)); err != nil {
		return "", none, err
	}
	first := told.first
	switch action {
	case opened:
		first = k.in.Run.ID
	case closed:
		change.State = forge.IssueDone
	}
	if k.unclear() {
		return issue.URL, action, nil // the issue goes on to say what the last run said that could be judged
	}
	change.Body = k.body(first)
	_, err = k.issues.Update(ctx, issue.Number, change)
	return issue.URL, action, err
}

// action is what the run does to an issue that there is, or has done.
func (k *keeping) action(issue forge.Issue, told told) string {
	own := told.run == k.in.Run.ID
	switch {
	case told.after(k.in.Run) && told.first == k.in.Run.ID:
		return opened
	case told.after(k.in.Run):
		return none
	case k.unclear() && issue.Open:
		return updated
	case k.in.Summary.Ruling == schemas.RulingPassed && (issue.Open || own):
		return closed
	case k.in.Summary.Ruling != schemas.RulingFailed:
		return none
	case !issue.Open, told.first == k.in.Run.ID:
		return opened
	}
	return updated
}

// unclear reports whether the run says neither that the suite fails nor that it does not.
func (k *keeping) unclear() bool {
	return k.in.Summary.Ruling != schemas.RulingFailed && k.in.Summary.Ruling != schemas.RulingPassed
}

// marker is what bodies of the suite's issues begin with.
func (k *keeping) marker() string {
	return "<!-- tenuto:eval-issue:" + schemas.EvalIssueID(k.in.Run.Tenant, k.in.Run.Suite) + " "
}

// runMarker is what the run's comment begins with.
func (k *keeping) runMarker() string { return "<!-- tenuto:eval-run:" + k.in.Run.ID + " " }

// told is what the first line of an issue says of the runs that it tells of.
type told struct {
	first, run string // the one that opened it, and the last one
	start      int64  // of the last one, Unix milliseconds
}

var toldPattern = regexp.MustCompile(`^<!-- \S+ first=(\S+) run=(\S+) start=([0-9]{1,18}) -->`)

// readTold reads what was told. The zero value stands for a line that somebody has changed.
func readTold(body string) told {
	line, _, _ := strings.Cut(body, "\n")
	found := toldPattern.FindStringSubmatch(line)
	if found == nil {
		return told{}
	}
	start, err := strconv.ParseInt(found[3], 10, 64)
	if err != nil {
		return told{}
	}
	return told{found[1], found[2], start}
}

// after reports whether a later run than that was told of.
func (t told) after(run schemas.EvalRun) bool {
	return t.start > run.StartMS || t.start == run.StartMS && t.run > run.ID
}
