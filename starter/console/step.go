package console

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/records"
)

// stepView is what a step did.
type stepView struct {
	Anchor, Path, Name, Kind, State string
	Folded                          bool // one of many, and nothing is wrong with it
	Problem                         *problem
	Chosen                          string
	Turns                           []turnView
	Hits                            []hitView
	MoreHits                        int
	Output                          *text
}

// turnView is one turn of a step; most have one.
type turnView struct {
	Number  int // from 1; 0 where there is only one
	Facts   []fact
	Queries []string
	Cuts    []cutView
	Repairs []string
	Calls   []callView
}

type cutView struct{ What, Tokens, Reason string }

type hitView struct {
	Rank            int
	Document, Where string
	Score           string
	Text            string
}

// callView is one model call, made or tried.
type callView struct {
	Purpose, Model string
	Facts          []fact
	Marks          []string
	Problem        *problem
	Sent           []messageView
	Settings       *text
	Came           []messageView
}

// messageView is a message of a prompt, or what came back.
type messageView struct {
	Role string
	*text
}

const hitsShown = 12

func (p *texts) step(n *records.Node) stepView {
	s := n.Step
	part := "steps/" + strconv.Itoa(n.Index)
	view := stepView{
		Anchor: "step-" + strconv.Itoa(n.Index), Path: s.Path, Name: s.ID, Kind: string(s.Kind), State: "done", Chosen: strings.Join(s.Chosen, ", "),
	}
	switch {
	case s.Failure != nil:
		view.State, view.Problem = "failed", &problem{Code: s.Failure.Code, Message: s.Failure.Message}
	case s.Skipped:
		view.State = "skipped"
	}
	view.Folded = strings.Contains(s.Path, "[") && view.Problem == nil
	for i, d := range s.Details {
		view.Turns = append(view.Turns, p.turn(d, len(s.Details), fmt.Sprintf("%s/turns/%d", part, i)))
	}
	if s.Kind == schemas.StepRetrieve {
		view.Hits, view.MoreHits = hitsOf(s.Output)
	}
	switch {
	case len(view.Hits) > 0:
	case !s.OutputRef.IsZero():
		view.Output = p.elsewhere(part+"/output", "Output", int(s.OutputRef.Bytes))
	case len(s.Output) > 0:
		view.Output = p.text(part+"/output", "Output", string(s.Output))
	}
	return view
}

func hitsOf(output json.RawMessage) (shown []hitView, more int) {
	var found struct {
		Hits []schemas.Hit `json:"hits"`
	}
	if json.Unmarshal(output, &found) != nil {
		return nil, 0
	}
	for _, h := range found.Hits[:min(len(found.Hits), hitsShown)] {
		where := h.Section
		if h.Title != "" && h.Title != h.Document {
			where = strings.TrimSuffix(h.Title+" · "+h.Section, " · ")
		}
		clipped, _ := clip(h.Text, 1200)
		shown = append(shown, hitView{Rank: h.Rank, Document: h.Document, Where: where, Score: strconv.FormatFloat(h.Score, 'g', 4, 64), Text: clipped})
	}
	return shown, len(found.Hits) - len(shown)
}

func (p *texts) turn(d schemas.StepDetail, of int, part string) turnView {
	view := turnView{Queries: d.Queries, Repairs: d.Repairs}
	if of > 1 {
		view.Number = d.Turn + 1
	}
	view.Facts = append(view.Facts, fact{Name: "Took", Value: took(d.TookMS)})
	if d.Retries > 0 {
		view.Facts = append(view.Facts, fact{Name: "Retries", Value: grouped(d.Retries)})
	}
	if d.Hits > 0 || len(d.Queries) > 0 {
		view.Facts = append(view.Facts, fact{Name: "Hits", Value: grouped(d.Hits)})
	}
	if h := d.HTTP; h != nil {
		answer := "no answer"
		if h.Status > 0 {
			answer = strconv.Itoa(h.Status)
		}
		view.Facts = append(view.Facts, fact{Name: h.Method, Value: h.URL + " → " + answer})
	}
	for _, c := range d.Cuts {
		view.Cuts = append(view.Cuts, cutView{strings.TrimSpace(c.Section + " " + c.Item), grouped(c.Tokens), c.Reason})
	}
	for i, c := range d.Calls {
		view.Calls = append(view.Calls, p.call(c, fmt.Sprintf("%s/calls/%d", part, i)))
	}
	return view
}

func (p *texts) call(c schemas.CallDetail, part string) callView {
	view := callView{Purpose: c.Purpose, Model: whoAnswered(c)}
	if c.Usage.Calls > 0 {
		view.Facts = append(view.Facts, fact{Name: "Tokens", Value: tokens(c.Usage)}, callCost(c))
	}
	for _, f := range []struct {
		set  bool
		fact fact
	}{
		{c.TookMS > 0, fact{Name: "Took", Value: took(c.TookMS)}},
		{c.WaitedMS >= 1, fact{Name: "Waited for its turn", Value: took(c.WaitedMS)}},
		{c.Finish != "" && c.Finish != model.FinishStop, fact{Name: "Ended by", Value: c.Finish}},
	} {
		if f.set {
			view.Facts = append(view.Facts, f.fact)
		}
	}
	for _, m := range []struct {
		set  bool
		text string
	}{
		{c.Recorded, "read back, not paid now"},
		{c.Cached, "from the response cache"},
		{c.Ambiguous, "ambiguous: an earlier answer was lost, it may have been paid for twice"},
	} {
		if m.set {
			view.Marks = append(view.Marks, m.text)
		}
	}
	if c.Failure != nil {
		view.Problem = &problem{Code: c.Failure.Code, Message: c.Failure.Message}
	}
	view.Sent, view.Settings = p.request(c.Request, part+"/request")
	view.Came = p.response(c.Response, part+"/response")
	return view
}

func callCost(c schemas.CallDetail) fact {
	if c.Cost == nil {
		return fact{Name: "Cost", Value: "unknown", Unknown: true}
	}
	return fact{Name: "Cost", Value: dollars(*c.Cost)}
}

// whoAnswered names the model as the bundle does, and behind it who was called and who says to have answered, where that differs.
func whoAnswered(c schemas.CallDetail) string {
	who := c.Model
	for _, name := range []string{c.Target, c.Answered} {
		if name != "" && name != who && !strings.HasSuffix(who, "→ "+name) && !strings.HasSuffix(who, "/"+name) {
			who += " → " + name
		}
	}
	if c.Fingerprint != "" {
		who += " (" + c.Fingerprint + ")"
	}
	return who
}

func (p *texts) request(data json.RawMessage, part string) (sent []messageView, settings *text) {
	if len(data) == 0 {
		return nil, nil
	}
	if ref, ok := refOf(data); ok {
		return []messageView{{"sent", p.elsewhere(part, "", int(ref.Bytes))}}, nil
	}
	var request model.Request
	if json.Unmarshal(data, &request) != nil || len(request.Messages) == 0 {
		return []messageView{{"sent", p.text(part, "", string(data))}}, nil
	}
	for i, m := range request.Messages {
		sent = append(sent, messageView{m.Role, p.text(fmt.Sprintf("%s/%d", part, i), "", textOf(m.Text, m.Calls, m.Media))})
	}
	request.Messages = nil
	if data, err := json.Marshal(request); err == nil {
		settings = p.text(part+"/settings", "", strings.Replace(string(data), `,"messages":null`, "", 1))
	}
	return sent, settings
}

func (p *texts) response(data json.RawMessage, part string) []messageView {
	if len(data) == 0 {
		return nil
	}
	if ref, ok := refOf(data); ok {
		return []messageView{{"came back", p.elsewhere(part, "", int(ref.Bytes))}}
	}
	var response model.Response
	if json.Unmarshal(data, &response) != nil || response.Text == "" && len(response.Calls) == 0 {
		return []messageView{{"came back", p.text(part, "", string(data))}}
	}
	return []messageView{{"came back", p.text(part, "", textOf(response.Text, response.Calls, nil))}}
}

// refOf reports whether a request or response stands beside the record, which then has its reference in its place.
func refOf(data json.RawMessage) (ref schemas.Ref, ok bool) {
	if len(data) > 1024 || json.Unmarshal(data, &ref) != nil {
		return ref, false
	}
	return ref, ref.Key != "" && len(ref.SHA256) == 64
}

// textOf is a message as text: what was said, then the tools called, then what came with it.
func textOf(said string, calls []model.ToolCall, media []model.Media) string {
	parts := []string{}
	if said != "" {
		parts = append(parts, said)
	}
	for _, call := range calls {
		parts = append(parts, "calls tool "+call.Name+" "+string(call.Arguments))
	}
	for _, m := range media {
		parts = append(parts, fmt.Sprintf("[%s, %s]", m.Type, bytesOf(len(m.Data)+len(m.URL))))
	}
	return strings.Join(parts, "\n")
}
