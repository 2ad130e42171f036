package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/records"
)

// itemsShown is how many items of a map are shown unless all are asked for; those that failed always are.
const itemsShown = 10

// writeRecord shows the record of a run as a tree.
func writeRecord(w io.Writer, e schemas.Exchange, full bool) {
	what, how := "chain "+e.Chain, "as a workflow of its own"
	switch {
	case e.Lane:
		how = "in a lane"
	case strings.HasPrefix(e.Chain, schemas.ModelChain("")):
		what, how = e.Chain, "passed through"
	}
	fmt.Fprintf(w, "run %s of %s: %s in %s, %s\n", e.RunID, what, e.Status, took(float64(e.TookMS)), how)
	fmt.Fprintf(w, "started    %s\n", localTime(time.UnixMilli(e.StartMS)))
	if e.FilledMS > 0 {
		fmt.Fprintf(w, "filled in  %s, from the history of the run's workflow: it had left no record\n", localTime(time.UnixMilli(e.FilledMS)))
	}
	if e.Retries > 0 {
		fmt.Fprintf(w, "continued  %s; steps without a time were done before\n", counted(e.Retries, "time"))
	}
	writePin(w, e)
	fmt.Fprintf(w, "tokens     %s\n", tokens(e.Usage))
	fmt.Fprintf(w, "cost       %s\n", costOf(e.Cost, e.Usage))
	if e.Failure != nil {
		fmt.Fprintf(w, "failure    %s: %s\n", e.Failure.Code, e.Failure.Message)
	}
	p := treePrinter{w: w, full: full, kept: e.Retries > 0}
	p.text("input      ", string(e.Input))
	for _, node := range records.Tree(e.Steps).Below {
		p.node(node, "")
	}
	if len(e.Output) > 0 {
		p.text("output     ", string(e.Output))
	}
	if !e.OutputRef.IsZero() {
		fmt.Fprintf(w, "output     %d bytes; --json has them\n", e.OutputRef.Bytes)
	}
}

// treePrinter writes nodes, each line behind an indent.
type treePrinter struct {
	w    io.Writer
	full bool
	kept bool // the run went on from another: steps without details were done in that
}

// text writes a text behind a label: whole if everything is wanted, else its beginning.
func (p treePrinter) text(label, text string) {
	if !p.full {
		fmt.Fprintln(p.w, label+brief(text))
		return
	}
	for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if i > 0 {
			label = strings.Repeat(" ", len(label))
		}
		fmt.Fprintln(p.w, strings.TrimRight(label+line, " "))
	}
}

func (p treePrinter) node(n *records.Node, indent string) {
	fmt.Fprintln(p.w, indent+n.Name+p.state(n))
	indent += "  "
	if n.Step != nil {
		for _, d := range n.Step.Details {
			p.detail(d, indent)
		}
		if n.Step.Failure != nil {
			fmt.Fprintf(p.w, "%sfailed: %s: %s\n", indent, n.Step.Failure.Code, n.Step.Failure.Message)
		}
		if len(n.Step.Chosen) > 0 {
			fmt.Fprintf(p.w, "%schose %s\n", indent, strings.Join(n.Step.Chosen, ", "))
		}
	}
	hidden, items := 0, 0
	for _, c := range n.Below {
		if c.Item {
			items++
		}
		if items > itemsShown && !p.full && !c.Broken {
			hidden++
			continue
		}
		p.node(c, indent)
	}
	if hidden > 0 {
		fmt.Fprintf(p.w, "%sand %d more; --full shows all\n", indent, hidden)
	}
	if p.full && n.Step != nil && len(n.Step.Output) > 0 {
		p.text(indent+"output ", string(n.Step.Output))
	}
}

// state is what stands behind a step's name: its kind, and how long it took or why it did not.
func (p treePrinter) state(n *records.Node) string {
	switch {
	case n.Step == nil && n.From == 0:
		return ""
	case n.Step == nil:
		return "  " + took(n.To-n.From)
	case n.Step.Skipped:
		return fmt.Sprintf(" (%s)  skipped", n.Step.Kind)
	case n.From == 0 && p.kept && n.Step.Failure == nil:
		return fmt.Sprintf(" (%s)  done before", n.Step.Kind)
	case n.From == 0:
		return fmt.Sprintf(" (%s)", n.Step.Kind)
	}
	return fmt.Sprintf(" (%s)  %s", n.Step.Kind, took(n.To-n.From))
}

func (p treePrinter) detail(d schemas.StepDetail, indent string) {
	for _, query := range d.Queries {
		fmt.Fprintln(p.w, indent+"query  "+brief(query))
	}
	if len(d.Queries) > 0 || d.Hits > 0 {
		fmt.Fprintln(p.w, indent+counted(d.Hits, "hit"))
	}
	for _, cut := range d.Cuts {
		fmt.Fprintf(p.w, "%scut  %s: %s tokens: %s\n", indent, strings.TrimSpace(cut.Section+" "+cut.Item), grouped(cut.Tokens), cut.Reason)
	}
	for _, c := range d.Calls {
		p.call(c, indent)
	}
	for _, repair := range d.Repairs {
		fmt.Fprintln(p.w, indent+"mended  "+repair)
	}
	if h := d.HTTP; h != nil {
		fmt.Fprintln(p.w, strings.TrimSuffix(fmt.Sprintf("%s%s %s -> %d", indent, h.Method, h.URL, h.Status), " -> 0"))
	}
}

func (p treePrinter) call(c schemas.CallDetail, indent string) {
	fmt.Fprintln(p.w, indent+strings.Join(callParts(c), "  "))
	if c.Failure != nil {
		fmt.Fprintf(p.w, "%s  failed: %s: %s\n", indent, c.Failure.Code, c.Failure.Message)
	}
	if !p.full {
		return
	}
	p.request(c.Request, indent+"  ")
	p.response(c.Response, indent+"  ")
	if len(c.Events) > 0 {
		p.text(indent+"  came back as events ", string(c.Events))
	}
}

// callParts say which model was asked for what, who answered, and what it took.
func callParts(c schemas.CallDetail) []string {
	who := c.Model
	for _, name := range []string{c.Target, c.Answered} {
		if name != "" && name != who && !strings.HasSuffix(who, " -> "+name) && !strings.HasSuffix(who, "/"+name) {
			who += " -> " + name
		}
	}
	if c.Fingerprint != "" {
		who += " (" + c.Fingerprint + ")"
	}
	parts := []string{c.Purpose, who}
	if c.Usage.Calls > 0 {
		parts = append(parts, tokens(c.Usage), callCost(c))
	}
	if c.TookMS > 0 {
		parts = append(parts, took(c.TookMS))
	}
	if c.WaitedMS >= 1 {
		parts = append(parts, "waited "+took(c.WaitedMS)+" for its turn")
	}
	if c.Finish != "" && c.Finish != model.FinishStop {
		parts = append(parts, "ended by "+c.Finish)
	}
	for _, mark := range []struct {
		set  bool
		text string
	}{
		{c.Recorded, "recorded: read back, not paid now"},
		{c.Cached, "cached: from the response cache"},
		{c.Ambiguous, "ambiguous: an earlier answer was lost, it may have been paid for twice"},
	} {
		if mark.set {
			parts = append(parts, mark.text)
		}
	}
	return parts
}

func (p treePrinter) request(data json.RawMessage, indent string) {
	var request model.Request
	if len(data) == 0 {
		return
	}
	if json.Unmarshal(data, &request) != nil || len(request.Messages) == 0 {
		p.text(indent+"sent ", string(data))
		return
	}
	for _, m := range request.Messages {
		if m.Text != "" || len(m.Calls) == 0 {
			p.text(indent+m.Role+": ", m.Text)
		}
		p.toolCalls(m.Calls, indent)
		for _, media := range m.Media {
			fmt.Fprintf(p.w, "%s[%s %s]\n", indent, media.Type, brief(media.URL))
		}
	}
	request.Messages = nil
	if settings, err := json.Marshal(request); err == nil {
		p.text(indent+"settings ", strings.Replace(string(settings), `,"messages":null`, "", 1))
	}
}

func (p treePrinter) response(data json.RawMessage, indent string) {
	var response model.Response
	if len(data) == 0 {
		return
	}
	if json.Unmarshal(data, &response) != nil || response.Text == "" && len(response.Calls) == 0 {
		p.text(indent+"came back ", string(data))
		return
	}
	if response.Text != "" {
		p.text(indent+"-> ", response.Text)
	}
	p.toolCalls(response.Calls, indent)
}

func (p treePrinter) toolCalls(calls []model.ToolCall, indent string) {
	for _, call := range calls {
		p.text(indent+"calls tool "+call.Name+" ", string(call.Arguments))
	}
}

// tokens counts the tokens of calls.
func tokens(u schemas.Usage) string {
	in := grouped(u.InputTokens) + " in"
	if u.CachedTokens > 0 {
		in += " (" + grouped(u.CachedTokens) + " cached)"
	}
	out := grouped(u.OutputTokens) + " out"
	if u.ReasoningTokens > 0 {
		out += " (" + grouped(u.ReasoningTokens) + " reasoning)"
	}
	if u.Calls != 1 {
		out += ", " + counted(u.Calls, "call")
	}
	return in + ", " + out
}

// costOf never shows what is unknown as nothing.
func costOf(c schemas.Cost, u schemas.Usage) string {
	switch {
	case c.Unknown > 0 && c.USD == 0:
		return "price unknown"
	case c.Unknown > 0:
		return fmt.Sprintf("%s and %s whose price is unknown", dollars(c.USD), counted(c.Unknown, "call"))
	case u.Calls == 0 && c.USD == 0:
		return "no paid calls"
	}
	return dollars(c.USD)
}

func callCost(c schemas.CallDetail) string {
	if c.Cost == nil {
		return "price unknown"
	}
	return dollars(*c.Cost)
}

// dollars shows small amounts, too, with four digits that say something.
func dollars(usd float64) string {
	if usd >= 1 || usd == 0 {
		return "$" + strconv.FormatFloat(usd, 'f', 2, 64)
	}
	text := strconv.FormatFloat(usd, 'g', 4, 64)
	if strings.Contains(text, "e") {
		text = strconv.FormatFloat(usd, 'f', 10, 64)
	}
	return "$" + text
}

// took shows milliseconds.
func took(ms float64) string {
	d := time.Duration(ms * float64(time.Millisecond))
	switch {
	case d < time.Second:
		return strconv.FormatFloat(float64(d.Round(100*time.Microsecond).Microseconds())/1000, 'f', -1, 64) + " ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s"
	}
	return d.Round(time.Second).String()
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return grouped(n) + " " + what
}

// grouped writes a number with commas between thousands.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
