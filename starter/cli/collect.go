package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type collectCases struct {
	Chain     string   `required:"" placeholder:"NAME" help:"Runs of this chain."`
	Where     []string `default:"low,failed" enum:"low,failed,any" help:"Which of them: low, for those with feedback below --below; failed; any (default: low,failed)."`
	Below     float64  `default:"0.5" placeholder:"X" help:"Feedback with a score below it is low (default: 0.5)."`
	Days      int      `default:"7" placeholder:"N" help:"Runs of the last N days (default: 7)."`
	Sample    int      `placeholder:"N" help:"Propose so many at most, chosen at random (default: all)."`
	Seed      uint64   `default:"1" placeholder:"N" help:"Of the choice: the same seed chooses the same of the same runs (default: 1)."`
	Out       string   `default:"cases.jsonl" placeholder:"FILE" help:"File that accepted cases are added to (default: cases.jsonl)."`
	AcceptAll bool     `xor:"how" help:"Accept all that is proposed."`
	Propose   string   `xor:"how" placeholder:"FILE" help:"Write what is proposed there, for a person to set \"accept\" to true in."`
	Review    string   `xor:"how" placeholder:"FILE" help:"Accept what a person set \"accept\" to true for in a file that --propose wrote; no run is looked at."`
}

// Help says what becomes of a run.
func (collectCases) Help() string {
	return `A case has the input of the run as its variables, and in its metadata an id and the run. Of feedback with a comment an assertion is proposed, which a model ` +
		`judges; the others have none, and pass whatever is answered until somebody writes one. A suite names the file as tests: file://cases.jsonl. Each case is ` +
		`asked about: y keeps it, n never proposes it again (FILE.declined), s leaves it for another time, q ends. What is accepted is written at once, and nothing in ` +
		`the file is changed; a case with the same variables is there once.

	tenuto eval collect --chain docs-qa --out suites/cases.jsonl
	tenuto eval collect --chain docs-qa --where any --sample 20 --propose review.jsonl`
}

// proposedCase is a case that a person has not accepted yet.
type proposedCase struct {
	Accept bool          `json:"accept"`
	Why    string        `json:"why"`
	Output string        `json:"output,omitempty"` // of the run, for who decides
	Case   collectedCase `json:"case"`
}

// collectedCase is a test as suites have it.
type collectedCase struct {
	Description string              `json:"description"`
	Vars        json.RawMessage     `json:"vars"`
	Assert      []schemas.Assertion `json:"assert,omitempty"`
	Options     map[string]any      `json:"options,omitempty"`
	Metadata    caseMetadata        `json:"metadata"`
}

type caseMetadata struct {
	ID   string   `json:"id"`
	Run  string   `json:"run"`
	Tags []string `json:"tags"`
}

// Run proposes cases.
func (c collectCases) Run(s *session) error {
	if c.Days < 1 || c.Sample < 0 {
		return schemas.Errorf(schemas.Invalid, "--days is at least 1, and --sample not below 0")
	}
	cases, err := openCases(c.Out)
	if err != nil {
		return err
	}
	defer cases.close()
	proposed, err := c.proposed(s, cases)
	if err != nil {
		return err
	}
	counts := collected{Out: c.Out, Proposed: len(proposed)}
	if len(proposed) == 0 && c.Review == "" {
		fmt.Fprintf(s.stderr, "no run of chain %s in the last %s is wanted that is not there already; --where any and --days N look at more\n", c.Chain, counted(c.Days, "day"))
	}
	switch {
	case c.Propose != "":
		return c.propose(s, proposed, counts)
	case c.AcceptAll, c.Review != "":
		for _, p := range proposed {
			if err := counts.add(cases, p); err != nil {
				return err
			}
		}
	default:
		err = askAbout(s, cases, proposed, &counts)
	}
	if printed := s.print(counts, counts.text); printed != nil {
		return printed
	}
	return err
}

// proposed are the cases to decide about: of runs, or of a file.
func (c collectCases) proposed(s *session, cases *caseFile) ([]proposedCase, error) {
	if c.Review != "" {
		return reviewed(c.Review)
	}
	runs, err := c.runs(s)
	if err != nil {
		return nil, err
	}
	rand.New(rand.NewPCG(c.Seed, 0)).Shuffle(len(runs), func(i, j int) { runs[i], runs[j] = runs[j], runs[i] }) //nolint:gosec // a seed that repeats is wanted
	var proposed []proposedCase
	known := map[string]bool{}
	for _, summary := range runs {
		if c.Sample > 0 && len(proposed) == c.Sample {
			break
		}
		var run rest.Run
		if err := s.request(http.MethodGet, oneRun{summary.RunID}.path("")+fmt.Sprintf("?start_ms=%d", summary.StartMS), nil, &run); err != nil {
			return nil, err
		}
		p, ok := c.caseOf(run)
		if !ok || known[p.Case.Metadata.ID] || cases.knows(p.Case.Metadata.ID) {
			continue
		}
		known[p.Case.Metadata.ID] = true
		proposed = append(proposed, p)
	}
	return proposed, nil
}

// runs lists the runs of the chain that may be wanted, the latest first. The list begins with the last day.
func (c collectCases) runs(s *session) ([]rest.RunSummary, error) {
	query := url.Values{"chain": {c.Chain}, "limit": {"200"}}
	if len(c.Where) == 1 && c.Where[0] == "failed" {
		query.Set("status", schemas.RunFailed)
	}
	since := time.Now().AddDate(0, 0, -c.Days).UnixMilli()
	var runs []rest.RunSummary
	for {
		var page rest.Runs
		if err := s.request(http.MethodGet, "/api/v1/runs?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		for _, run := range page.Runs {
			if run.StartMS >= since && run.Metadata[schemas.MetadataEval] == "" { // what a suite asked is one of its cases
				runs = append(runs, run)
			}
		}
		if n := len(page.Runs); page.Next == "" || n > 0 && page.Runs[n-1].StartMS < since-int64(24*time.Hour/time.Millisecond) {
			return runs, nil
		}
		query.Set("cursor", page.Next)
	}
}

// caseOf makes a case of a run; false for one that is not wanted, or whose input is no object.
func (c collectCases) caseOf(run rest.Run) (p proposedCase, ok bool) {
	if run.Record == nil {
		return p, false
	}
	vars, ok := varsOf(run.Record.Input)
	if !ok {
		return p, false
	}
	why, comment := c.why(run)
	if why == "" {
		return p, false
	}
	content, err := json.Marshal(vars) // keys are sorted
	if err != nil {
		return p, false
	}
	p = proposedCase{Why: why, Output: brief(string(run.Output)), Case: collectedCase{
		Description: "run " + run.RunID + ": " + why, Vars: content, Metadata: caseMetadata{ID: caseID(content), Run: run.RunID, Tags: []string{"collected"}},
	}}
	for _, value := range vars {
		if _, list := value.([]any); list {
			p.Case.Options = map[string]any{"disableVarExpansion": true}
		}
	}
	if comment != "" {
		p.Case.Assert = []schemas.Assertion{{Type: "llm-rubric", Value: "Of an earlier answer somebody said: \"" + comment + "\". This answer gives no reason to say so."}}
	}
	return p, true
}

// varsOf reads variables, an object that is not empty; numbers stay as they are written.
func varsOf(data []byte) (vars map[string]any, ok bool) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return vars, decoder.Decode(&vars) == nil && len(vars) > 0
}

// caseID names a case by its variables.
func caseID(vars []byte) string { return "case-" + schemas.Hash(vars)[:16] }

// why says why a run is wanted, and what somebody said of it; nothing for one that is not.
func (c collectCases) why(run rest.Run) (why, comment string) {
	if slices.Contains(c.Where, "low") {
		for _, f := range run.Feedback {
			if f.Score != nil && *f.Score < c.Below {
				return fmt.Sprintf("feedback %s is %g", f.Name, *f.Score), f.Comment
			}
		}
	}
	switch {
	case slices.Contains(c.Where, "failed") && run.Status == rest.RunFailed:
		why = "it failed"
		if run.Failure != nil {
			why += ": " + run.Failure.Message
		}
	case slices.Contains(c.Where, "any"):
		why = "sampled"
	}
	return why, ""
}

// collected says what came of it.
type collected struct {
	Out      string `json:"out"`
	Proposed int    `json:"proposed"`
	Accepted int    `json:"accepted"`
	Declined int    `json:"declined,omitempty"`
	Known    int    `json:"known,omitempty"`   // the same variables are in the file already
	Without  int    `json:"without,omitempty"` // accepted, without an assertion
}

func (n *collected) add(cases *caseFile, p proposedCase) error {
	added, err := cases.add(p.Case)
	switch {
	case err != nil:
		return err
	case !added:
		n.Known++
		return nil
	}
	n.Accepted++
	if len(p.Case.Assert) == 0 {
		n.Without++
	}
	return nil
}

func (n *collected) text(w io.Writer) {
	fmt.Fprintf(w, "%s proposed, %d accepted into %s\n", counted(n.Proposed, "case"), n.Accepted, n.Out)
	if n.Without > 0 {
		fmt.Fprintf(w, "%d of them have no assertion, and pass whatever is answered: write assert into them\n", n.Without)
	}
}
