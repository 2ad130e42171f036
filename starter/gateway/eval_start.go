package gateway

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// maxSuitePackage is the largest package of a suite, unpacked: files of 32 MiB in base64, and a project beside them.
const maxSuitePackage = 64 << 20

// uploadSuite keeps a package under the hash of its bytes. A few uploads at a time are held in memory.
func (g *Gateway) uploadSuite(ctx context.Context, in *suitePackInput) (*suitePackageOutput, error) {
	if err := suiteOf(ctx, in.Suite); err != nil {
		return nil, err
	}
	tenant := caller(ctx).Tenant
	leave, err := g.listings.enter(ctx, tenant)
	if err != nil {
		return nil, err
	}
	defer leave()
	data, err := readSuitePackage(in.request)
	if err != nil {
		return nil, err
	}
	if err := checkSuitePackage(in.Suite, data); err != nil {
		return nil, err
	}
	hash := schemas.Hash(data)
	created, err := g.store.PutIfAbsent(ctx, schemas.SuitePackageKey(tenant, in.Suite, hash), data)
	return &suitePackageOutput{uploadStatus(!created), rest.EvalPackage{Package: hash, Bytes: int64(len(data)), Existed: !created}}, err
}

func readSuitePackage(r *http.Request) ([]byte, error) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, schemas.Wrap(schemas.Invalid, err, "the body is not compressed with gzip, as its Content-Encoding says")
		}
		body = unpacked
	}
	data, err := io.ReadAll(io.LimitReader(body, maxSuitePackage+1))
	switch _, coded := errors.AsType[*schemas.Error](err); {
	case coded:
		return nil, err
	case err != nil:
		return nil, schemas.Wrap(schemas.Invalid, err, "the package ends too early, or is damaged; send it again")
	case len(data) > maxSuitePackage:
		return nil, tooLarge(schemas.Errorf(schemas.Invalid, "a package may have %d MiB; divide the suite", maxSuitePackage>>20))
	}
	return data, nil
}

// checkSuitePackage reports why data is no package of the suite. What is wrong in the suite itself is found when it runs.
func checkSuitePackage(suite string, data []byte) error {
	var pack schemas.SuitePackage
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&pack)
	if err != nil && strings.HasPrefix(err.Error(), "json: unknown field ") {
		return schemas.Wrap(schemas.Invalid, err, "the body is no package of a suite: there is no field %.80s in one; \"tenuto eval run\" makes one", strings.TrimPrefix(err.Error(), "json: unknown field "))
	}
	if err != nil || decoder.More() {
		return schemas.Wrap(schemas.Invalid, cmp.Or(err, errors.New("more than one value")), "the body is no package of a suite; \"tenuto eval run\" makes one")
	}
	if pack.Suite != suite {
		return schemas.Errorf(schemas.Invalid, "the package is of suite %.80q, and the path names suite %s", pack.Suite, suite)
	}
	if _, ok := pack.Files[pack.File]; !ok {
		return schemas.Errorf(schemas.Invalid, "the package lacks the suite's own file %.80q", pack.File)
	}
	if err := checkAsked(pack.Chains); err != nil {
		return err
	}
	for name := range pack.Files {
		if !fs.ValidPath(name) || strings.ContainsFunc(name, unicode.IsControl) {
			return schemas.Errorf(schemas.Invalid, "the package has a file %.80q: files are named by their path below the suite's folder", name)
		}
	}
	return nil
}

func (g *Gateway) showSuitePackage(ctx context.Context, in *suitePackageInput) (*suitePackageOutput, error) {
	if err := suiteOf(ctx, in.Suite); err != nil {
		return nil, err
	}
	ref, err := g.suitePackage(ctx, caller(ctx).Tenant, in.Suite, in.Package)
	return &suitePackageOutput{http.StatusOK, rest.EvalPackage{Package: in.Package, Bytes: ref.Bytes, Existed: true}}, err
}

// suitePackage finds a package. Error: not_found, saying what to do.
func (g *Gateway) suitePackage(ctx context.Context, tenant, suite, hash string) (schemas.Ref, error) {
	key := schemas.SuitePackageKey(tenant, suite, hash)
	info, err := g.store.Stat(ctx, key)
	if err != nil && schemas.CodeOf(err) == schemas.NotFound {
		return schemas.Ref{}, schemas.Wrap(schemas.NotFound, err, "suite %s has no package %s; upload it first", suite, schemas.ShortRelease(hash))
	}
	return schemas.Ref{Key: key, SHA256: hash, Bytes: info.Bytes}, err
}

// evalClaim is what an idempotency key of a run stands for.
type evalClaim struct {
	Fingerprint string              `json:"fingerprint"`
	Request     schemas.EvalRequest `json:"request"`
}

// startEval starts a run of a suite, or finds the one that the same request under the same key started before.
func (g *Gateway) startEval(ctx context.Context, in *newEvalInput) (*startedEvalOutput, error) {
	if err := suiteOf(ctx, in.Suite); err != nil {
		return nil, err
	}
	mark := schemas.Hash(encode([]any{in.Suite, in.Body}))[:32]
	if in.IdempotencyKey != "" {
		if err := schemas.CheckRunID(in.IdempotencyKey); err != nil {
			return nil, err
		}
		before, err := g.claimedEval(ctx, caller(ctx).Tenant, in, mark)
		if before != nil || err != nil {
			return before, err
		}
	}
	request, err := g.evalRequest(ctx, in.Suite, in.Body)
	if err != nil {
		return nil, err
	}
	if in.IdempotencyKey != "" {
		key := schemas.EvalClaimKey(request.Tenant, in.Suite, in.IdempotencyKey)
		created, err := g.store.PutIfAbsent(ctx, key, encode(evalClaim{mark, request}))
		if err != nil {
			return nil, err
		}
		if !created { // the same request came at the same time
			return g.claimedEval(ctx, request.Tenant, in, mark)
		}
	}
	return g.beginEval(ctx, request, mark)
}

// claimedEval is the run that the key stands for, started now where that did not come about; nil for none. Error: conflict where it is of another
// request.
func (g *Gateway) claimedEval(ctx context.Context, tenant string, in *newEvalInput, mark string) (*startedEvalOutput, error) {
	claim, err := blob.GetJSON[evalClaim](ctx, g.store, schemas.Ref{Key: schemas.EvalClaimKey(tenant, in.Suite, in.IdempotencyKey)})
	switch {
	case err != nil && schemas.CodeOf(err) == schemas.NotFound:
		return nil, nil //nolint:nilnil // nothing was claimed
	case err != nil:
		return nil, err
	case claim.Fingerprint != mark:
		return nil, schemas.Errorf(schemas.Conflict, "idempotency key %s belongs to another request; use a new key for a new run", in.IdempotencyKey)
	}
	request := claim.Request
	_, err = g.store.Stat(ctx, schemas.EvalSummaryKey(tenant, request.Suite, request.ID))
	if err != nil && schemas.CodeOf(err) != schemas.NotFound {
		return nil, err
	}
	out := startedEvalOf(request)
	if err != nil { // it has not ended, or did not begin
		if out, err = g.beginEval(ctx, request, mark); err != nil {
			return nil, err
		}
	}
	out.Status, out.Body.Joined = http.StatusOK, true
	return out, nil
}

func startedEvalOf(r schemas.EvalRequest) *startedEvalOutput {
	return &startedEvalOutput{http.StatusAccepted, rest.StartedEval{
		Suite: r.Suite, ID: r.ID, WorkflowID: schemas.EvalID(r.Tenant, r.Suite, r.ID), Releases: r.Releases,
	}}
}

func (g *Gateway) beginEval(ctx context.Context, r schemas.EvalRequest, mark string) (*startedEvalOutput, error) {
	_, err := client.Once(ctx, g.temporal, sdk.StartWorkflowOptions{
		ID: schemas.EvalID(r.Tenant, r.Suite, r.ID), TaskQueue: schemas.QueueEval,
		StaticSummary: "evaluation of suite " + r.Suite, EnableEagerStart: true,
		Priority: temporal.Priority{PriorityKey: 4, FairnessKey: r.Tenant},
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword(schemas.AttrTenant).ValueSet(r.Tenant),
			temporal.NewSearchAttributeKeyKeyword(schemas.AttrSuite).ValueSet(r.Suite),
		),
	}, schemas.Evaluate, r, mark, false)
	if err != nil {
		return nil, err
	}
	return startedEvalOf(r), nil
}

// evalRequest checks what is asked for, and says what labels stand for now. Errors: invalid, not_found, refused for a release that was recalled.
func (g *Gateway) evalRequest(ctx context.Context, suite string, in rest.NewEval) (schemas.EvalRequest, error) {
	tenant := caller(ctx).Tenant
	request := schemas.EvalRequest{
		Tenant: tenant, Suite: suite, ID: newID(), StartMS: g.now().UnixMilli(), Baseline: in.Baseline, Grader: in.Grader,
		Repeat: in.Repeat, MaxRepeat: in.MaxRepeat, Budget: in.Budget, MaxCells: in.MaxCells, Bulk: in.Bulk, MaxAgeMS: in.MaxAgeMS,
		Trigger: schemas.EvalManual, By: actor(ctx), Payer: caller(ctx).Line(), Notify: in.Notify,
	}
	if in.MaxRepeat > 0 && in.MaxRepeat < in.Repeat {
		return request, schemas.Errorf(schemas.Invalid, "max_repeat is %d and repeat %d: the first is the larger", in.MaxRepeat, in.Repeat)
	}
	if err := cmp.Or(checkEvalBudget(in.Budget), g.checkNotify(in.Notify)); err != nil {
		return request, err
	}
	var err error
	if request.Package, err = g.suitePackage(ctx, tenant, suite, in.Package); err != nil {
		return request, err
	}
	if request.Releases, err = g.releasesUnderTest(ctx, tenant, in.Releases); err != nil {
		return request, err
	}
	return request, g.checkCompared(ctx, request)
}

func checkEvalBudget(b schemas.EvalBudget) error {
	if b.Tokens < 0 || !(b.USD >= 0) {
		return schemas.Errorf(schemas.Invalid, "a budget is not negative; 0 is no bound")
	}
	return nil
}

var repositoryPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$`)

func (g *Gateway) checkNotify(n schemas.EvalNotify) error {
	if n.Repository != "" && !repositoryPattern.MatchString(n.Repository) {
		return schemas.Errorf(schemas.Invalid, "repository %.80q: write OWNER/NAME", n.Repository)
	}
	if n.Webhook != "" {
		return g.notify.Check(n.Webhook)
	}
	return nil
}

// releasesUnderTest resolves labels, and checks that the releases are there and were not recalled.
func (g *Gateway) releasesUnderTest(ctx context.Context, tenant string, named map[string]string) (map[string]string, error) {
	var hashes map[string]string
	for _, chain := range slices.Sorted(maps.Keys(named)) {
		if err := schemas.CheckChain(chain); err != nil {
			return nil, err
		}
		release := named[chain]
		var found *registry.Loaded
		var err error
		if schemas.CheckRelease(release) == nil {
			found, err = g.registry.Pinned(ctx, tenant, chain, release)
		} else if err = schemas.CheckLabel(release); err == nil {
			found, err = g.registry.Resolve(ctx, registry.LabelName{Tenant: tenant, Chain: chain, Label: release})
		}
		if err != nil {
			return nil, err
		}
		if hashes == nil {
			hashes = map[string]string{}
		}
		hashes[chain] = found.Hash
	}
	return hashes, nil
}

// decideEval answers a run that is paused.
func (g *Gateway) decideEval(ctx context.Context, in *decideEvalInput) (*decidedEvalOutput, error) {
	if err := suiteOf(ctx, in.Suite); err != nil {
		return nil, err
	}
	if err := schemas.CheckRunID(in.ID); err != nil {
		return nil, err
	}
	if err := checkEvalBudget(in.Body.Budget); err != nil {
		return nil, err
	}
	out := &decidedEvalOutput{}
	handle, err := g.temporal.UpdateWorkflow(ctx, sdk.UpdateWorkflowOptions{
		WorkflowID: schemas.EvalID(caller(ctx).Tenant, in.Suite, in.ID), UpdateName: schemas.EvalDecide.Name(),
		Args:         []any{schemas.EvalDecision{Budget: in.Body.Budget, Stop: in.Body.Stop, By: actor(ctx)}},
		WaitForStage: sdk.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, &out.Body)
	}
	if err := client.Coded(err); err != nil {
		if schemas.CodeOf(err) == schemas.NotFound {
			return nil, schemas.Wrap(schemas.NotFound, err, "no run %s of suite %s is under way", in.ID, in.Suite)
		}
		return nil, err
	}
	return out, nil
}

// cancelTime is how long the end of a cancelled run is waited for.
const cancelTime = 5 * time.Second

func (g *Gateway) cancelEval(ctx context.Context, in *evalInput) (*evalOutput, error) {
	if err := suiteOf(ctx, in.Suite); err != nil {
		return nil, err
	}
	tenant := caller(ctx).Tenant
	found, err := g.evalStands(ctx, tenant, in.Suite, in.ID, 0)
	if err != nil || found.Status != rest.Running {
		return &evalOutput{found}, err
	}
	if err := g.temporal.CancelWorkflow(ctx, found.WorkflowID, ""); err != nil {
		return nil, client.Coded(err)
	}
	found, err = g.evalStands(ctx, tenant, in.Suite, found.ID, cancelTime)
	return &evalOutput{found}, err
}
