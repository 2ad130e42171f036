package recall

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	metMost    = 200              // runs that a sweep acts on
	rerunMost  = 4                // runs that it has started anew: they travel in its answer
	lostAfter  = 30 * time.Second // that a run may be neither in flight nor recorded: what is in flight is known with a delay
	lifeGone   = 8 * time.Second  // without a sign of life a process counts as dead, by the store's clock
	clockShift = time.Minute      // that clocks may differ
)

// sweep is one call of Sweep.
type sweep struct {
	a      *Activities
	in     schemas.RecallRequest
	on     *registry.Loaded // that runs start anew on
	flying map[string]Execution
	lanes  map[string]schemas.LaneRunning
	open   map[string]schemas.RecalledRun
	out    schemas.RecallSweep
}

// look finds what is in flight, and what was found before and is open.
func (s *sweep) look(ctx context.Context) error {
	release := s.in.Recall.Release
	executions, err := s.a.Runs.InFlight(ctx, s.in.Tenant, release)
	if err != nil {
		return err
	}
	for _, e := range executions {
		s.flying[e.Workflow[strings.LastIndexByte(e.Workflow, '/')+1:]] = e
	}
	if err := s.lookIntoLanes(ctx); err != nil {
		return err
	}
	for info, err := range s.a.Store.All(ctx, schemas.OpenRecalledPrefix(s.in.Tenant, release)) {
		if err != nil {
			return err
		}
		run, err := blob.GetJSON[schemas.RecalledRun](ctx, s.a.Store, schemas.Ref{Key: info.Key})
		switch {
		case err == nil:
			s.open[run.RunID] = run
		case schemas.CodeOf(err) != schemas.NotFound:
			return err
		}
	}
	return nil
}

// lookIntoLanes reads what living processes say that they have in their lanes.
func (s *sweep) lookIntoLanes(ctx context.Context) error {
	var signs []blob.Info
	newest := s.a.Now().Add(-clockShift)
	for info, err := range s.a.Store.All(ctx, schemas.LifePrefix) {
		if err != nil {
			return err
		}
		signs = append(signs, info)
		if info.Modified.After(newest) {
			newest = info.Modified
		}
	}
	for _, info := range signs {
		if newest.Sub(info.Modified) >= lifeGone {
			continue
		}
		life, err := blob.GetJSON[schemas.Life](ctx, s.a.Store, schemas.Ref{Key: info.Key})
		if err != nil { // it has ended meanwhile
			continue
		}
		for _, run := range life.Lanes {
			if run.Tenant == s.in.Tenant && run.Release == s.in.Recall.Release {
				s.lanes[run.RunID] = run
			}
		}
	}
	return nil
}

// meet writes down the runs in flight that are new, and acts on those that were not acted on.
func (s *sweep) meet(ctx context.Context) error {
	for id, lane := range s.lanes { // those end by themselves, or become workflows
		if _, known := s.open[id]; !known {
			run := schemas.RecalledRun{
				RunID: id, Chain: lane.Chain, Release: lane.Release, Label: lane.Label, Key: lane.Key, StartMS: lane.StartMS, Lane: true, Action: s.in.Recall.Action,
			}
			if err := s.save(ctx, run); err != nil {
				return err
			}
		}
	}
	met := 0
	for _, id := range slices.Sorted(maps.Keys(s.flying)) {
		run, known := s.open[id]
		if known && !run.Lane && run.Action == s.in.Recall.Action {
			continue
		}
		if met++; met > metMost {
			s.out.More = true
			return nil
		}
		if err := s.act(ctx, id, s.flying[id]); err != nil {
			return err
		}
	}
	return nil
}

// act writes down a run that is a workflow and what becomes of it, and then asks it to end, unless it is to end by itself.
func (s *sweep) act(ctx context.Context, id string, execution Execution) error {
	request, err := s.a.Runs.Request(ctx, execution)
	if err != nil {
		return err
	}
	run := schemas.RecalledRun{
		RunID: id, Chain: request.Plan.Chain, Release: request.Release, Label: request.Label, Key: request.Key, Metadata: request.Metadata,
		StartMS: request.StartMS, Batch: request.Batch, Callback: request.Callback, Action: s.in.Recall.Action,
	}
	if s.on != nil {
		if run.RerunAs, run.Note, err = s.anew(ctx, request); err != nil {
			return err
		}
	}
	if err := s.save(ctx, run); err != nil || s.in.Recall.Action == schemas.RecallFinish {
		return err
	}
	return s.a.Runs.Cancel(ctx, execution)
}

// anew is the id under which a run starts on the other release, or why it cannot.
func (s *sweep) anew(ctx context.Context, request schemas.RunRequest) (id, note string, err error) {
	input, err := blob.Text(ctx, s.a.Store, request.Input)
	if err != nil {
		return "", "", err
	}
	if err := s.a.CheckInput(s.on.Content, json.RawMessage(input)); err != nil {
		return "", schemas.SafeMessage(err), nil
	}
	return schemas.RerunID(request.RunID, s.on.Hash, s.in.Recall.AtMS), "", nil
}

func (s *sweep) save(ctx context.Context, run schemas.RecalledRun) error {
	s.open[run.RunID] = run
	_, err := blob.PutJSON(ctx, s.a.Store, schemas.OpenRecalledKey(s.in.Tenant, run.Release, run.RunID), run)
	return err
}

// settle finds the outcomes of runs that are no longer in flight.
func (s *sweep) settle(ctx context.Context) error {
	for _, id := range slices.Sorted(maps.Keys(s.open)) {
		_, flying := s.flying[id]
		_, lane := s.lanes[id]
		if flying || lane {
			s.wait(id)
			continue
		}
		if err := s.ended(ctx, s.open[id]); err != nil {
			return err
		}
	}
	for id := range s.flying {
		if _, met := s.open[id]; !met {
			s.wait(id)
		}
	}
	return nil
}

func (s *sweep) wait(id string) {
	s.out.InFlight++
	if s.out.Oldest == "" || id < s.out.Oldest {
		s.out.Oldest = id
	}
}

// ended settles one run by its record.
func (s *sweep) ended(ctx context.Context, run schemas.RecalledRun) error {
	data, recorded, err := s.a.Journal.Get(ctx, s.in.Tenant, schemas.RunKey(s.in.Tenant, run.RunID, time.UnixMilli(run.StartMS)))
	if err != nil {
		return err
	}
	now := s.a.Now().UnixMilli()
	if !recorded {
		switch {
		case run.MissingMS == 0:
			run.MissingMS = now
		case now-run.MissingMS > lostAfter.Milliseconds():
			run.Outcome = schemas.RecalledUnknown
			return s.close(ctx, run)
		}
		s.wait(run.RunID)
		return s.save(ctx, run)
	}
	var exchange schemas.Exchange
	if err := json.Unmarshal(data, &exchange); err != nil {
		return schemas.Wrap(schemas.Internal, err, "the record of run %s cannot be read", run.RunID)
	}
	run.Metadata, run.Outcome = exchange.Metadata, exchange.Status
	if exchange.Status != schemas.RunCancelled || run.RerunAs == "" {
		run.RerunAs = ""
		return s.close(ctx, run)
	}
	return s.restart(ctx, run, exchange)
}

// restart has a cancelled run start anew, until it has.
func (s *sweep) restart(ctx context.Context, run schemas.RecalledRun, exchange schemas.Exchange) error {
	_, err := s.a.Runs.Request(ctx, Execution{Workflow: schemas.RunWorkflowID(s.in.Tenant, run.RerunAs)})
	if err == nil {
		run.Outcome = schemas.RecalledRerun
		return s.close(ctx, run)
	}
	if schemas.CodeOf(err) != schemas.NotFound {
		return err
	}
	s.wait(run.RunID)
	if s.on == nil || len(s.out.Rerun) == rerunMost { // with another action, the recall that wrote it down goes on with it
		s.out.More = s.out.More || s.on != nil
		return nil
	}
	input, err := s.content(ctx, exchange.Input)
	if err != nil {
		return err
	}
	s.out.Rerun = append(s.out.Rerun, schemas.RunRequest{
		Tenant: s.in.Tenant, RunID: run.RerunAs, Bundle: s.on.Bundle, Plan: s.on.Plan, Input: input, StartMS: s.in.Recall.AtMS, Batch: run.Batch,
		Release: s.on.Hash, Label: run.Label, Key: run.Key, Metadata: run.Metadata, RerunOf: run.RunID, Callback: run.Callback,
	})
	return nil
}

// content makes the input part of a message.
func (s *sweep) content(ctx context.Context, input json.RawMessage) (schemas.Content, error) {
	if len(input) <= schemas.InlineBytes {
		return schemas.Content{Text: string(input)}, nil
	}
	ref, err := blob.PutContent(ctx, s.a.Store, s.in.Tenant, input)
	return schemas.Content{Ref: ref}, err
}

// close moves a run to those whose outcome is known.
func (s *sweep) close(ctx context.Context, run schemas.RecalledRun) error {
	run.EndMS, run.MissingMS = s.a.Now().UnixMilli(), 0
	if _, err := blob.PutJSON(ctx, s.a.Store, schemas.ClosedRecalledKey(s.in.Tenant, run.Release, run.RunID), run); err != nil {
		return err
	}
	return s.a.Store.Delete(ctx, schemas.OpenRecalledKey(s.in.Tenant, run.Release, run.RunID))
}
