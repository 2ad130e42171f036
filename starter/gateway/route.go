package gateway

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/schemas"
)

// The callers of a route; an admin may call every one.
var (
	anybody   []schemas.Role // also without a key
	services  = []schemas.Role{schemas.RoleService, schemas.RoleOperator}
	operators = []schemas.Role{schemas.RoleOperator}
	admins    = []schemas.Role{schemas.RoleAdmin}
)

// apiConfig leaves out what huma's default has for browsers: a documentation page that loads scripts from elsewhere, and links to
// schemas in every answer.
func apiConfig(version string) huma.Config {
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Tenuto", Version: version,
				Description: "Durable ingestion, search and answers. Errors are problem details (RFC 9457) with a code.",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"key": {Type: "http", Scheme: "bearer", BearerFormat: "tnt_<id>_<secret>"}, //nolint:gosec // the form of a key
				},
			},
		},
		OpenAPIPath:   "/openapi",
		Formats:       huma.DefaultFormats,
		DefaultFormat: "application/json",
	}
	config.Transformers = []huma.Transformer{finishProblem}
	return config
}

// finishProblem gives a problem what only the response knows.
func finishProblem(ctx huma.Context, _ string, v any) (any, error) {
	if p, ok := v.(*problem); ok {
		p.RequestID = requestID(ctx.Context())
		p.setHeaders(ctx.SetHeader)
	}
	return v, nil
}

// route registers one operation for callers with one of the roles, which the description lists as x-roles.
func route[I, O any](g *Gateway, op huma.Operation, roles []schemas.Role, handle func(context.Context, *I) (*O, error)) {
	if len(roles) > 0 {
		op.Middlewares = append(op.Middlewares, g.authorize(roles))
		op.Security = []map[string][]string{{"key": {}}}
		op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests)
		op.Extensions = map[string]any{"x-roles": slices.Compact(append(slices.Clone(roles), schemas.RoleAdmin))}
	}
	body := op.RequestBody
	op.RequestBody = nil // or huma would read and check the body that the handler streams
	if body == nil {
		op.BodyReadTimeout = bodyGrace
		op.Middlewares = append(op.Middlewares, g.counted)
	}
	huma.Register(g.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, g.report(ctx, err)
		}
		return out, nil
	})
	if body != nil {
		operationAt(g.api.OpenAPI(), op.Method, op.Path).RequestBody = body
	}
}

// counted counts the body of a request, which is read into memory.
func (g *Gateway) counted(ctx huma.Context, next func(huma.Context)) {
	r, _ := humago.Unwrap(ctx)
	defer weigh(r.Body, &g.bodies)()
	next(ctx)
}

func operationAt(api *huma.OpenAPI, method, path string) *huma.Operation {
	item := api.Paths[path]
	return map[string]*huma.Operation{
		http.MethodGet: item.Get, http.MethodPut: item.Put, http.MethodPost: item.Post, http.MethodDelete: item.Delete,
	}[method]
}

// report turns an error into a problem, and logs its cause where the fault is on our side.
func (g *Gateway) report(ctx context.Context, err error) *problem {
	p := problemOf(err)
	if p.Status >= http.StatusInternalServerError {
		g.log.Warn("request failed", zap.String("request_id", requestID(ctx)), zap.String("code", string(p.Code)), zap.String("cause", schemas.LogText(p.cause)))
	}
	return p
}

// rawBody gives a handler the request itself, for bodies that must not be held in memory whole. Reading may take up to ten minutes.
type rawBody struct{ request *http.Request }

// Resolve implements huma.Resolver.
func (b *rawBody) Resolve(ctx huma.Context) []error {
	r, _ := humago.Unwrap(ctx)
	lengthen(r.Body)
	b.request = r
	return nil
}

// refuses marks operations that 422 is an answer of: a policy or a provider declined.
const refuses = "refuses"

// tidy corrects the description: huma documents 422 for every operation with input, where we answer 400.
func tidy(api *huma.OpenAPI) {
	for _, path := range api.Paths {
		for _, op := range []*huma.Operation{path.Get, path.Put, path.Post, path.Delete} {
			if op != nil {
				describeInvalid(op)
			}
		}
	}
}

func describeInvalid(op *huma.Operation) {
	unprocessable, invalid := strconv.Itoa(http.StatusUnprocessableEntity), strconv.Itoa(http.StatusBadRequest)
	documented, ok := op.Responses[unprocessable]
	if !ok {
		return
	}
	answer := *documented
	answer.Description = http.StatusText(http.StatusBadRequest)
	op.Responses[invalid] = &answer
	if op.Metadata[refuses] == nil {
		delete(op.Responses, unprocessable)
	}
}
