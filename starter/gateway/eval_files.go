package gateway

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/compare"
)

// filePiece is how much of a file of a run is in memory at once.
const filePiece = 1 << 20

// fileKinds are the media types of the files of a run.
var fileKinds = map[schemas.EvalFile]string{
	schemas.EvalFileResult: "application/json", schemas.EvalFileHTML: "text/html; charset=utf-8",
	schemas.EvalFileMarkdown: "text/markdown; charset=utf-8", schemas.EvalFileJUnit: "application/xml",
}

func evalFileAnswers() map[string]*huma.Response {
	text := &huma.MediaType{Schema: &huma.Schema{Type: "string"}}
	return map[string]*huma.Response{"200": {Description: "The file, whose kind its name says.", Content: map[string]*huma.MediaType{
		"application/json": {Schema: &huma.Schema{Type: "object"}}, "text/html": text, "text/markdown": text, "application/xml": text,
	}}}
}

// evalFile streams a file of a run. What stands in it is what models wrote, so a browser may do nothing with it but show it.
func (g *Gateway) evalFile(ctx context.Context, in *evalFileInput) (*huma.StreamResponse, error) {
	if err := suiteOf(ctx, in.Suite); err != nil {
		return nil, err
	}
	key, info, err := g.findEvalFile(ctx, caller(ctx).Tenant, in.Suite, in.ID, schemas.EvalFile(in.File))
	if err != nil {
		return nil, err
	}
	kind := fileKinds[schemas.EvalFile(in.File)]
	return &huma.StreamResponse{Body: func(out huma.Context) { //nolint:contextcheck // it passes that of the answer
		out.SetHeader("Content-Type", kind)
		out.SetHeader("Content-Length", strconv.FormatInt(info.Bytes, 10))
		out.SetHeader("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'")
		out.SetStatus(http.StatusOK)
		for offset := int64(0); offset < info.Bytes; offset += filePiece {
			piece, err := g.store.GetRange(out.Context(), key, offset, filePiece)
			if err != nil { // the caller notices that the answer is too short
				g.log.Warn("a file of an evaluation broke off", zap.String("request_id", requestID(out.Context())), zap.String("cause", schemas.LogText(err)))
				return
			}
			if _, err := out.BodyWriter().Write(piece); err != nil {
				return // the caller is gone
			}
		}
	}}, nil
}

// findEvalFile finds a file of a run that ended. Error: not_found.
func (g *Gateway) findEvalFile(ctx context.Context, tenant, suite, id string, file schemas.EvalFile) (string, blob.Info, error) {
	if id == latestEval {
		ids, err := g.endedEvals(ctx, tenant, suite)
		if err != nil {
			return "", blob.Info{}, err
		}
		if len(ids) > 0 {
			id = ids[0]
		}
	}
	if err := schemas.CheckRunID(id); err != nil {
		return "", blob.Info{}, err
	}
	key := schemas.EvalFileKey(tenant, suite, id, file)
	info, err := g.store.Stat(ctx, key)
	if err != nil && schemas.CodeOf(err) == schemas.NotFound {
		if summary, fault := g.evalSummary(ctx, tenant, suite, id); fault == nil && summary.SameAs != "" { // its files are another's
			key = schemas.EvalFileKey(tenant, suite, summary.SameAs, file)
			info, err = g.store.Stat(ctx, key)
		}
	}
	if err != nil && schemas.CodeOf(err) == schemas.NotFound {
		err = schemas.Wrap(schemas.NotFound, err, "run %s of suite %s has left no %s: there is no such run, or none that has ended with a verdict; \"tenuto eval list %s\" shows those there are", id, suite, file, suite)
	}
	return key, info, err
}

// compareEvals holds both results in memory, so few are compared at once.
func (g *Gateway) compareEvals(ctx context.Context, in *compareEvalsInput) (*comparedEvalsOutput, error) {
	if err := suiteOf(ctx, in.Suite); err != nil {
		return nil, err
	}
	leave, err := g.listings.enter(ctx, caller(ctx).Tenant)
	if err != nil {
		return nil, err
	}
	defer leave()
	var results [2]schemas.EvalResult
	for i, id := range []string{in.Run, in.With} {
		if results[i], err = g.evalResult(ctx, caller(ctx).Tenant, in.Suite, id); err != nil {
			return nil, err
		}
	}
	return &comparedEvalsOutput{compare.Evals(results[0], results[1])}, nil
}

func (g *Gateway) evalResult(ctx context.Context, tenant, suite, id string) (schemas.EvalResult, error) {
	key, _, err := g.findEvalFile(ctx, tenant, suite, id, schemas.EvalFileResult)
	if err != nil {
		return schemas.EvalResult{}, err
	}
	return blob.GetJSON[schemas.EvalResult](ctx, g.store, schemas.Ref{Key: key})
}
