package cli

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type budgetCommand struct {
	Set   setBudget   `cmd:"" help:"Bound what the tenant or an API key may spend in a day and in a month (UTC); what is not given is not limited."`
	List  listBudgets `cmd:"" help:"List budgets: spent, reserved and left."`
	Unset unsetBudget `cmd:"" help:"End a budget."`
}

// budgetSubject is whom a budget is for.
type budgetSubject struct {
	Key    string `xor:"subject" required:"" placeholder:"ID" help:"The budget of this API key, and of those that replace it."`
	Tenant bool   `xor:"subject" required:"" help:"The budget of the whole tenant."`
}

func (b budgetSubject) path() string {
	return "/api/v1/budgets/" + url.PathEscape(cmp.Or(b.Key, schemas.SubjectTenant))
}

type setBudget struct {
	budgetSubject

	UsdDay      *float64 `placeholder:"N" help:"US dollars a day; 0 allows nothing."`
	UsdMonth    *float64 `placeholder:"N" help:"US dollars a month."`
	TokensDay   *int64   `placeholder:"N" help:"Tokens of input and output a day."`
	TokensMonth *int64   `placeholder:"N" help:"Tokens a month."`
	Unknown     string   `enum:"refuse,allow" default:"refuse" help:"What becomes of calls whose price is not known, under a limit of US dollars: refuse (default) or allow."`
}

type listBudgets struct{}

type unsetBudget struct{ budgetSubject }

// Run sets a budget.
func (c setBudget) Run(s *session) error {
	var set rest.Budget
	request := rest.NewBudget{USDDay: c.UsdDay, USDMonth: c.UsdMonth, TokensDay: c.TokensDay, TokensMonth: c.TokensMonth, Unknown: c.Unknown}
	if err := s.request(http.MethodPut, c.path(), request, &set); err != nil {
		return err
	}
	return s.print(set, func(w io.Writer) {
		writeBudgets(w, []rest.Budget{set})
		fmt.Fprintln(s.stderr, "it counts on every gateway after two seconds at most, from now on: what was spent before it was set is not in it")
	})
}

// Run lists budgets.
func (c listBudgets) Run(s *session) error {
	var list rest.Budgets
	if err := s.request(http.MethodGet, "/api/v1/budgets", nil, &list); err != nil {
		return err
	}
	return s.print(list, func(w io.Writer) { writeBudgets(w, list.Budgets) })
}

// Run ends a budget.
func (c unsetBudget) Run(s *session) error {
	var ended rest.Budget
	if err := s.request(http.MethodDelete, c.path(), nil, &ended); err != nil {
		return err
	}
	return s.print(ended, func(w io.Writer) { fmt.Fprintf(w, "%s has no budget any more\n", budgetName(ended.Subject)) })
}

func budgetName(subject string) string {
	if subject == schemas.SubjectTenant {
		return "the tenant"
	}
	return "key " + subject
}

// writeBudgets has a line for every limit.
func writeBudgets(w io.Writer, budgets []rest.Budget) {
	table(w, "BUDGET\tWINDOW\tUNIT\tLIMIT\tSPENT\tRESERVED\tLEFT\tOPENS AGAIN\tUNKNOWN PRICES", func(w io.Writer) {
		for _, b := range budgets {
			for _, win := range b.Windows {
				row := func(unit, unknown string, amounts ...string) {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", budgetName(b.Subject), win.Window, unit, strings.Join(amounts, "\t"),
						win.Ends.Format("2006-01-02 15:04 MST"), unknown)
				}
				if win.USDLimit != nil {
					row("US dollars", b.Unknown, micros(*win.USDLimit), micros(win.USDSpent), micros(win.USDReserved), micros(*win.USDLeft))
				}
				if win.TokensLimit != nil {
					row("tokens", "", fmt.Sprint(*win.TokensLimit), fmt.Sprint(win.TokensSpent), fmt.Sprint(win.TokensReserved), fmt.Sprint(*win.TokensLeft))
				}
			}
		}
	})
}

// micros writes an amount as exactly as it is known.
func micros(usd float64) string {
	if usd < 0 {
		return "-" + schemas.MicrosOf(-usd).String()
	}
	return schemas.MicrosOf(usd).String()
}
