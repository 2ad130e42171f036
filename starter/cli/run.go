package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/google/uuid"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

type runCommand struct {
	Chain     string            `arg:"" help:"Name of the chain, or CHAIN@LABEL to run what is released under a label."`
	Project   string            `placeholder:"DIR" help:"Folder of the project (default: this one)."`
	Release   string            `placeholder:"HASH" help:"Run this release of the chain: its hash, or the beginning of it."`
	Input     []string          `sep:"none" placeholder:"K=V" help:"One value of the chain's input; V is text, and K:=V takes JSON. May be repeated."`
	InputJSON string            `name:"input-json" placeholder:"JSON|@FILE" help:"The whole input: a JSON object, or @ and the name of a file that holds one; @- is stdin. --input adds to it."`
	Stream    bool              `xor:"wait" help:"Print the answer while it comes in."`
	Detach    bool              `xor:"wait" help:"Do not wait: print the run's id as soon as the run is accepted."`
	Batch     bool              `help:"Nobody waits for it: its model calls go behind those that somebody waits for."`
	Execution schemas.Execution `default:"" enum:",auto,workflow,lane" placeholder:"HOW" help:"How the run is carried out: auto, workflow or lane (default: as the chain says)."`
	Metadata  map[string]string `placeholder:"K=V" help:"Short texts that are kept with the run of a release."`
	Callback  string            `placeholder:"URL" help:"Tell this URL how the run of a release ended, by a signed POST."`
	Key       string            `placeholder:"KEY" help:"Idempotency key, which becomes the run's id; the same key with the same request joins the run or has its result."`
}

// Help says what is printed.
func (runCommand) Help() string {
	return `Without a label or release the folder is checked, and the chain with all that it uses is sent along; problems are listed as tenuto check does. ` +
		`The output goes to stdout: the text of {"text"}, an answer with its citations, anything else as JSON; --json prints {"run_id", "status", ` +
		`"output", "usage", "cost"}. The run's id and what it cost go to stderr.

With --stream the text of the answer goes to stdout while it comes in, and its citations to stderr; --json prints each event as a line, {"event", "id", ` +
		`"data"}, of which the last is done or error. A connection that breaks is made again and goes on where it was.

Values: --input question='why?' is the text why?; --input count:=3 and --input list:='["a","b"]' are JSON.`
}

// Run runs a chain of a project's folder. Waiting again after the gateway's limit joins the run by its key.
func (c runCommand) Run(s *session) error {
	if strings.Contains(c.Chain, "@") || c.Release != "" {
		return c.released(s)
	}
	if len(c.Metadata) > 0 || c.Callback != "" {
		return schemas.Errorf(schemas.Invalid, "--metadata and --callback are of runs of a release: name CHAIN@LABEL or --release")
	}
	c.Project = cmp.Or(c.Project, ".")
	problems, err := wire.CheckProject(c.Project)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return checkCommand{Dir: c.Project}.Run(s)
	}
	bundle, err := wire.ProjectBundle(c.Project, c.Chain)
	if err != nil {
		return c.known(err)
	}
	input, err := c.input(s)
	if err != nil {
		return err
	}
	return c.carryOut(s, "/api/v1/runs", rest.NewRun{
		Bundle: bundle, Input: input, Execution: c.Execution, Batch: c.Batch, Detach: c.Detach, Stream: c.Stream,
	})
}

// released runs what is released under a label, or a release.
func (c runCommand) released(s *session) error {
	chain, label, err := schemas.CutLabel(c.Chain)
	switch {
	case err != nil:
		return err
	case label != "" && c.Release != "":
		return schemas.Errorf(schemas.Invalid, "name a label or a release, and not both")
	case c.Project != "" || c.Batch || c.Execution != "":
		return schemas.Errorf(schemas.Invalid, "--project, --batch and --execution are of runs of a folder: a release has its own choices")
	}
	input, err := c.input(s)
	if err != nil {
		return err
	}
	request := rest.NewChainRun{Input: input, Label: label, Metadata: c.Metadata, Mode: "wait"}
	switch {
	case c.Detach:
		request.Mode = "detach"
	case c.Stream:
		request.Mode = "stream"
	}
	if c.Callback != "" {
		request.Callback = &rest.Callback{URL: c.Callback}
	}
	if c.Release != "" {
		var found rest.ReleaseContent
		if err := s.request(http.MethodGet, "/api/v1/releases/"+url.PathEscape(c.Release), nil, &found); err != nil {
			return err
		}
		request.Release = found.Hash
	}
	return c.carryOut(s, "/api/v1/chains/"+url.PathEscape(chain)+"/runs", request)
}

// carryOut posts what starts the run, and prints what comes of it: at its end, or while it comes in.
func (c runCommand) carryOut(s *session, path string, in any) error {
	if c.Stream {
		return s.stream(path, c.Key, in)
	}
	return s.carryOut(path, c.Key, in)
}

// known adds the chains that there are to the news that one is missing.
func (c runCommand) known(err error) error {
	if schemas.CodeOf(err) != schemas.NotFound {
		return err
	}
	files, _ := os.ReadDir(c.Project + "/chains")
	var names []string
	for _, file := range files {
		if name, ok := strings.CutSuffix(file.Name(), ".yaml"); ok {
			names = append(names, name)
		}
	}
	return schemas.Wrap(schemas.NotFound, err, "there is no chain %s in %s; there are: %s", c.Chain, c.Project, strings.Join(names, ", "))
}

// input puts the input together.
func (c runCommand) input(s *session) (json.RawMessage, error) {
	values := map[string]any{}
	if c.InputJSON != "" {
		var err error
		if values, err = (renderCommand{Input: c.InputJSON}).input(s); err != nil {
			return nil, schemas.Wrap(schemas.CodeOf(err), err, "%s", strings.Replace(schemas.SafeMessage(err), "--input", "--input-json", 1))
		}
	}
	for _, part := range c.Input {
		name, value, ok := strings.Cut(part, "=")
		if !ok || strings.TrimSuffix(name, ":") == "" {
			return nil, schemas.Errorf(schemas.Invalid, "--input %q: write NAME=TEXT, or NAME:=JSON", part)
		}
		name, isJSON := strings.CutSuffix(name, ":")
		if !isJSON {
			values[name] = value
			continue
		}
		if !json.Valid([]byte(value)) {
			return nil, schemas.Errorf(schemas.Invalid, "--input %q: what stands behind := is no JSON; for text write %s=…", part, name)
		}
		values[name] = json.RawMessage(value)
	}
	return json.Marshal(values)
}

// carryOut posts what starts a run, and prints what comes of it. The call carries the run's id, so that repeating it starts no second one.
func (s *session) carryOut(path, id string, in any) error {
	if id == "" {
		id = uuid.Must(uuid.NewV7()).String()
	}
	request, err := jsonCall(http.MethodPost, path, in)
	if err != nil {
		return err
	}
	request.header["Idempotency-Key"] = id
	gateway, err := s.api()
	if err != nil {
		return err
	}
	var done rest.RunResult
	for {
		err = gateway.do(s.ctx, request, &done)
		if schemas.CodeOf(err) != schemas.Deadline || s.ctx.Err() != nil || !s.goesOn(id) {
			break
		}
	}
	if err != nil {
		if s.ctx.Err() != nil || s.begun(id) {
			fmt.Fprintf(s.stderr, "run %s: \"tenuto runs show %s\" says how it stands\n", id, id)
		}
		return err
	}
	fmt.Fprintln(s.stderr, runLine(done))
	return s.print(done, func(w io.Writer) { writeResult(w, done) })
}

// goesOn reports whether a run is under way.
func (s *session) goesOn(id string) bool {
	var found rest.Run
	err := s.request(http.MethodGet, "/api/v1/runs/"+url.PathEscape(id), nil, &found)
	return err == nil && found.Status == rest.RunRunning
}

// begun reports whether there is such a run.
func (s *session) begun(id string) bool {
	return s.request(http.MethodGet, "/api/v1/runs/"+url.PathEscape(id), nil, &rest.Run{}) == nil
}

func runLine(done rest.RunResult) string {
	if done.Status == rest.RunRunning {
		return fmt.Sprintf("run %s goes on; \"tenuto runs show %s\" says how it stands", done.RunID, done.RunID)
	}
	return fmt.Sprintf("run %s: %s, %s", done.RunID, tokens(done.Usage), costOf(done.Cost, done.Usage))
}

// writeResult prints an output for people.
func writeResult(w io.Writer, done rest.RunResult) {
	if done.Status == rest.RunRunning {
		fmt.Fprintln(w, done.RunID)
		return
	}
	writeOutput(w, done.Output)
}

// writeOutput prints the text of {"text"}, an answer with its citations, and anything else as indented JSON.
func writeOutput(w io.Writer, output json.RawMessage) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(output, &fields) == nil {
		var text string
		if len(fields) == 1 && json.Unmarshal(fields["text"], &text) == nil {
			fmt.Fprintln(w, text)
			return
		}
		var answer rest.Answered
		if fields["answer"] != nil && fields["citations"] != nil && json.Unmarshal(output, &answer) == nil {
			writeAnswer(w, answer)
			return
		}
	}
	var indented bytes.Buffer
	if json.Indent(&indented, output, "", "  ") != nil {
		indented.Write(output)
	}
	fmt.Fprintln(w, indented.String())
}
