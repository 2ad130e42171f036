package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// Schedules finds when suites run by themselves. The gateway implements it.
type Schedules interface {
	// Schedules lists those that the holder of a key may see; none for one who may not.
	Schedules(ctx context.Context, key schemas.APIKey) ([]rest.Schedule, error)
}

// scheduleView is a suite that runs by itself.
type scheduleView struct {
	Suite, URL, Cron, Zone     string
	State, Class, Note         string
	Next, NextMachine          string
	Last, LastMachine          string
	LastURL, Ruling, RuleClass string
	Missed, Skipped            string
	Backfill                   string
}

// schedules are those that are shown beside the suites, and why there are none.
func (c *Console) schedules(r *http.Request, v visit) (views []scheduleView, problem string) {
	ctx, cancel := context.WithTimeout(r.Context(), searchTime)
	defer cancel()
	all, err := c.Schedules.Schedules(ctx, v.key)
	if err != nil {
		return nil, "The schedules cannot be listed now: " + schemas.SafeMessage(err)
	}
	for _, s := range all {
		views = append(views, c.scheduleOf(s))
	}
	return views, ""
}

func (c *Console) scheduleOf(s rest.Schedule) scheduleView {
	view := scheduleView{Suite: s.Suite, URL: suiteURL(s.Suite), Cron: line(s.Cron, 60), Zone: cmp.Or(line(s.TimeZone, 40), "UTC"), State: "on", Class: "done", Note: line(s.Note, 160)}
	if s.Paused {
		view.State, view.Class = "paused", "running"
	} else if len(s.Next) > 0 {
		view.Next, view.NextMachine = s.Next[0].UTC().Format("2 Jan 15:04"), s.Next[0].UTC().Format(time.RFC3339)
	}
	if len(s.Runs) > 0 {
		last := s.Runs[0]
		view.Last, view.LastMachine = last.PlannedAt.UTC().Format("2 Jan 15:04"), last.PlannedAt.UTC().Format(time.RFC3339)
		view.Ruling, view.RuleClass = cmp.Or(rulingOf(last.Ruling), string(last.Status)), cmp.Or(string(last.Ruling), string(last.Status))
		if last.ID != "" {
			view.LastURL = evalURL(s.Suite, last.ID)
		}
		if last.Failure != "" {
			view.Ruling, view.RuleClass = "broke: "+line(last.Failure, 120), "failed"
		}
	}
	if s.Skipped > 0 {
		view.Skipped = counted(s.Skipped, "start") + " left out, because a run was under way"
	}
	if s.Missed > 0 {
		view.Missed = counted(s.Missed, "start") + " missed"
		view.Backfill = backfill(s, c.Now())
	}
	return view
}

// backfill is the command that makes up for what was missed, from the last run that is known until today.
func backfill(s rest.Schedule, now time.Time) string {
	from := now.AddDate(0, 0, -min(s.Missed, 30))
	if len(s.Runs) > 0 {
		if last := s.Runs[0].PlannedAt.AddDate(0, 0, 1); last.Before(now) && now.Sub(last) < 31*24*time.Hour {
			from = last
		}
	}
	return fmt.Sprintf("tenuto schedule backfill %s --from %s --to %s", s.Suite, from.UTC().Format(time.DateOnly), now.UTC().Format(time.DateOnly))
}
