package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type suitePackInput struct {
	rawBody
	Suite    string `path:"suite" doc:"Name of the suite: lower-case letters, digits and hyphens."`
	Encoding string `header:"Content-Encoding" enum:"gzip,identity" doc:"gzip if the body is compressed."`
}

type suitePackageInput struct {
	Suite   string `path:"suite"`
	Package string `path:"package" pattern:"^[0-9a-f]{64}$" doc:"Hash of the package."`
}

type suitePackageOutput struct {
	Status int
	Body   rest.EvalPackage
}

type newEvalInput struct {
	Suite          string `path:"suite"`
	IdempotencyKey string `header:"Idempotency-Key" doc:"The same key with the same request is the same run, on the releases that its labels pointed to at first."`
	Body           rest.NewEval
}

type startedEvalOutput struct {
	Status int
	Body   rest.StartedEval
}

type evalSuitesInput struct {
	Latest int `query:"latest" minimum:"1" maximum:"100" default:"10" doc:"Summaries of each suite at most."`
}

type evalSuitesOutput struct{ Body rest.Page[rest.EvalSuite] }

type evalsInput struct {
	Suite  string `path:"suite"`
	Cursor string `query:"cursor" doc:"The next of the page before."`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Items of a page at most, besides the runs under way, which the first page has."`
}

type evalInput struct {
	Suite string `path:"suite"`
	ID    string `path:"id" doc:"Id of the run, or latest."`
}

type evalWaitInput struct {
	Suite string `path:"suite"`
	ID    string `path:"id" doc:"Id of the run, or latest."`
	Wait  int    `query:"wait" minimum:"0" maximum:"60" doc:"Seconds to wait for the end."`
}

type evalFileInput struct {
	Suite string `path:"suite"`
	ID    string `path:"id" doc:"Id of the run, or latest."`
	File  string `path:"file" enum:"result.json,report.html,report.md,junit.xml"`
}

type decideEvalInput struct {
	Suite string `path:"suite"`
	ID    string `path:"id" doc:"Id of the run."`
	Body  rest.DecideEval
}

type compareEvalsInput struct {
	Suite string `path:"suite"`
	Run   string `query:"run" required:"true" doc:"Id of a run that ended, or latest."`
	With  string `query:"with" required:"true" doc:"Id of the run that it is compared with."`
}

type evalOutput struct{ Body rest.Eval }

type decidedEvalOutput struct{ Body schemas.EvalProgress }

type comparedEvalsOutput struct{ Body rest.EvalDifference }

// Paths of evaluations.
const (
	evalSuitePath = "/api/v1/evals/{suite}"
	evalRunPath   = evalSuitePath + "/runs/{id}"
)

func (g *Gateway) evalRoutes() {
	add := func(id, method, path, summary string, errors ...int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"evals"},
			Errors: append(errors, http.StatusServiceUnavailable),
		}
	}
	g.evalStartRoutes(add)
	route(g, add("list-eval-suites", http.MethodGet, "/api/v1/evals", "List suites with their latest results"), services,
		func(ctx context.Context, in *evalSuitesInput) (*evalSuitesOutput, error) {
			if err := seesSuites(ctx); err != nil {
				return nil, err
			}
			suites, err := g.evalSuites(ctx, caller(ctx).Tenant, in.Latest)
			return &evalSuitesOutput{rest.Page[rest.EvalSuite]{Items: suites}}, err
		})
	route(g, add("list-evals", http.MethodGet, evalSuitePath+"/runs", "List the runs of a suite, those under way first, then the latest first"), services, g.listEvals)
	route(g, add("show-eval", http.MethodGet, evalRunPath, "Show how far a run of a suite is, or what it came to", http.StatusNotFound), services, g.showEval)
	file := add("show-eval-file", http.MethodGet, evalRunPath+"/files/{file}", "Read the result or a report of a run that ended", http.StatusNotFound)
	file.Responses = evalFileAnswers()
	route(g, file, services, g.evalFile)
	route(g, add("compare-evals", http.MethodGet, evalSuitePath+"/compare", "Show which cases changed between two runs", http.StatusNotFound), services, g.compareEvals)
}

func (g *Gateway) evalStartRoutes(add func(id, method, path, summary string, errors ...int) huma.Operation) {
	upload := add("upload-eval-package", http.MethodPost, evalSuitePath+"/packages", "Upload a suite with its files and what its project says", http.StatusRequestEntityTooLarge)
	upload.DefaultStatus = http.StatusCreated
	upload.Description = "The answer has the hash by which runs are started: the SHA-256 of the body, unpacked. Repeating an upload is harmless."
	upload.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json": {Schema: huma.SchemaFromType(g.api.OpenAPI().Components.Schemas, typeOf[schemas.SuitePackage]())},
	}}
	route(g, upload, operators, g.uploadSuite)
	route(g, add("show-eval-package", http.MethodGet, evalSuitePath+"/packages/{package}", "Say whether a package is there, so that it need not be uploaded", http.StatusNotFound),
		operators, g.showSuitePackage)
	start := add("start-eval", http.MethodPost, evalSuitePath+"/runs", "Run a suite", http.StatusNotFound, http.StatusConflict)
	start.DefaultStatus, start.Metadata = http.StatusAccepted, map[string]any{refuses: true}
	route(g, start, operators, g.startEval)
	route(g, add("decide-eval", http.MethodPost, evalRunPath+"/decide", "Let a run whose budget is used up go on, or end it; one that waits for a budget of the tenant or of a key looks at once whether there is room", http.StatusNotFound, http.StatusConflict),
		operators, g.decideEval)
	stop := add("cancel-eval", http.MethodDelete, evalRunPath, "Cancel a run of a suite", http.StatusNotFound)
	stop.Description = "What was paid for is kept, and a later run uses it. Cancelling one that has ended changes nothing."
	route(g, stop, operators, g.cancelEval)
}

// seesSuites reports why the caller's key does not open suites: their cells are of any chain and model. Error: unauthorized, as 403.
func seesSuites(ctx context.Context) error {
	if key := caller(ctx); len(key.Chains)+len(key.Models) > 0 {
		return forbidden("suites ask any chain and model, and this API key has a list of them; use a key without one")
	}
	return nil
}

// suiteOf checks the name of a suite, and that the caller's key opens suites. Errors: invalid, unauthorized as 403.
func suiteOf(ctx context.Context, suite string) error {
	if err := seesSuites(ctx); err != nil {
		return err
	}
	return schemas.CheckSuite(suite)
}

func (g *Gateway) listEvals(ctx context.Context, in *evalsInput) (*pageOutput[rest.Eval], error) {
	if err := suiteOf(ctx, in.Suite); err != nil {
		return nil, err
	}
	page, err := g.evalPage(ctx, caller(ctx).Tenant, in.Suite, in.Cursor, in.Limit)
	return &pageOutput[rest.Eval]{page}, err
}

func (g *Gateway) showEval(ctx context.Context, in *evalWaitInput) (*evalOutput, error) {
	if err := suiteOf(ctx, in.Suite); err != nil {
		return nil, err
	}
	found, err := g.evalStands(ctx, caller(ctx).Tenant, in.Suite, in.ID, time.Duration(in.Wait)*time.Second)
	return &evalOutput{found}, err
}
