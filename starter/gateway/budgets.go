package gateway

import (
	"context"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type budgetInput struct {
	Subject string `path:"subject" pattern:"^(tenant|[0-9a-f]{12})$" doc:"tenant, or the id of an API key."`
}

type setBudgetInput struct {
	Subject string `path:"subject" pattern:"^(tenant|[0-9a-f]{12})$" doc:"tenant, or the id of an API key."`
	Body    rest.NewBudget
}

type budgetOutput struct{ Body rest.Budget }

type budgetsOutput struct{ Body rest.Budgets }

func (g *Gateway) budgetRoutes() {
	route(g, huma.Operation{
		OperationID: "list-budgets", Method: http.MethodGet, Path: "/api/v1/budgets",
		Summary: "List the tenant's budgets and how they stand", Tags: []string{"budgets"}, Errors: []int{http.StatusServiceUnavailable},
	}, operators, g.listBudgets)
	route(g, huma.Operation{
		OperationID: "set-budget", Method: http.MethodPut, Path: "/api/v1/budgets/{subject}",
		Summary: "Set the budget of the tenant or of an API key; it counts on every gateway after at most two seconds", Tags: []string{"budgets"},
		Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable},
	}, admins, g.setBudget)
	route(g, huma.Operation{
		OperationID: "unset-budget", Method: http.MethodDelete, Path: "/api/v1/budgets/{subject}",
		Summary: "End the budget of the tenant or of an API key", Tags: []string{"budgets"},
		Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable},
	}, admins, g.unsetBudget)
	g.spendRoutes()
}

func (g *Gateway) ledgers() client.Ledgers { return client.Ledgers{Temporal: g.temporal} }

// subject is whom a budget of the caller's tenant is for. Error: not_found for a key that there is not.
func (g *Gateway) subject(ctx context.Context, name string) (string, error) {
	if name == schemas.SubjectTenant {
		return name, nil
	}
	key, err := g.ownKey(ctx, name)
	return schemas.SubjectOfKey(key), err
}

func (g *Gateway) setBudget(ctx context.Context, in *setBudgetInput) (*budgetOutput, error) {
	subject, err := g.subject(ctx, in.Subject)
	if err != nil {
		return nil, err
	}
	set := schemas.Budget{
		Subject: subject, AllowUnknown: in.Body.Unknown == "allow",
		Day:   schemas.Limits{Micros: microsOf(in.Body.USDDay), Tokens: in.Body.TokensDay},
		Month: schemas.Limits{Micros: microsOf(in.Body.USDMonth), Tokens: in.Body.TokensMonth},
	}
	if set.IsZero() {
		return nil, schemas.Errorf(schemas.Invalid, "the budget limits nothing: give at least one of usd_day, usd_month, tokens_day and tokens_month, or unset it")
	}
	tenant := caller(ctx).Tenant
	if _, err := g.ledgers().Set(ctx, tenant, set); err != nil {
		return nil, err
	}
	figures, err := g.ledgers().Show(ctx, tenant)
	return &budgetOutput{budgetOf(set, figures, g.now())}, err
}

// microsOf rounds a limit to the millionth.
func microsOf(usd *float64) *schemas.Micros {
	if usd == nil {
		return nil
	}
	micros := schemas.Micros(math.Round(*usd * 1e6))
	return &micros
}

func (g *Gateway) unsetBudget(ctx context.Context, in *budgetInput) (*budgetOutput, error) {
	subject, err := g.subject(ctx, in.Subject)
	if err != nil {
		return nil, err
	}
	tenant := caller(ctx).Tenant
	figures, err := g.figures(ctx, tenant)
	if err != nil {
		return nil, err
	}
	for _, b := range figures.Budgets {
		if b.Subject == subject {
			_, err := g.ledgers().Set(ctx, tenant, schemas.Budget{Subject: subject})
			return &budgetOutput{budgetOf(b, figures, g.now())}, err
		}
	}
	return nil, schemas.Errorf(schemas.NotFound, "%s has no budget; \"tenuto budget list\" shows those there are", schemas.SubjectName(subject))
}

// figures are what the tenant's ledger knows: nothing, for a tenant that never had a budget.
func (g *Gateway) figures(ctx context.Context, tenant string) (schemas.LedgerFigures, error) {
	figures, err := g.ledgers().Show(ctx, tenant)
	if err != nil && schemas.CodeOf(err) == schemas.NotFound {
		return schemas.LedgerFigures{}, nil
	}
	return figures, err
}

func (g *Gateway) listBudgets(ctx context.Context, _ *noInput) (*budgetsOutput, error) {
	figures, err := g.figures(ctx, caller(ctx).Tenant)
	return &budgetsOutput{rest.Budgets{Budgets: budgetsOf(figures, g.now())}}, err
}

func budgetsOf(figures schemas.LedgerFigures, now time.Time) []rest.Budget {
	budgets := make([]rest.Budget, len(figures.Budgets))
	for i, b := range figures.Budgets {
		budgets[i] = budgetOf(b, figures, now)
	}
	return budgets
}

// budgetOf shows a budget with the windows of now.
func budgetOf(b schemas.Budget, figures schemas.LedgerFigures, now time.Time) rest.Budget {
	out := rest.Budget{Subject: subjectOf(b.Subject), Windows: []rest.BudgetWindow{}}
	out.USDDay, out.USDMonth, out.TokensDay, out.TokensMonth = usdOf(b.Day.Micros), usdOf(b.Month.Micros), b.Day.Tokens, b.Month.Tokens
	out.Unknown = "refuse"
	if b.AllowUnknown {
		out.Unknown = "allow"
	}
	day := schemas.DayOf(now)
	for window, limits := range map[string]schemas.Limits{day: b.Day, schemas.MonthOf(day): b.Month} {
		if !limits.IsZero() {
			out.Windows = append(out.Windows, windowOf(window, limits, standing(figures, b.Subject, window)))
		}
	}
	if len(out.Windows) == 2 && len(out.Windows[0].Window) < len(day) { // the day first
		out.Windows[0], out.Windows[1] = out.Windows[1], out.Windows[0]
	}
	return out
}

// subjectOf names a subject as routes and commands do.
func subjectOf(subject string) string { return strings.TrimPrefix(subject, "key/") }

func usdOf(micros *schemas.Micros) *float64 {
	if micros == nil {
		return nil
	}
	usd := micros.USD()
	return &usd
}

func standing(figures schemas.LedgerFigures, subject, window string) schemas.WindowFigures {
	for _, w := range figures.Windows {
		if w.Subject == subject && w.Window == window {
			return w
		}
	}
	return schemas.WindowFigures{}
}

func windowOf(window string, limits schemas.Limits, f schemas.WindowFigures) rest.BudgetWindow {
	out := rest.BudgetWindow{
		Window: window, USDLimit: usdOf(limits.Micros), TokensLimit: limits.Tokens,
		USDSpent: f.Spent.Micros.USD(), USDReserved: f.Reserved.Micros.USD(), TokensSpent: f.Spent.Tokens, TokensReserved: f.Reserved.Tokens,
	}
	out.Ends, _ = schemas.WindowEnd(window)
	if limits.Micros != nil {
		left := *limits.Micros - f.Spent.Micros - f.Reserved.Micros
		out.USDLeft = usdOf(&left)
	}
	if limits.Tokens != nil {
		left := *limits.Tokens - f.Spent.Tokens - f.Reserved.Tokens
		out.TokensLeft = &left
	}
	return out
}
