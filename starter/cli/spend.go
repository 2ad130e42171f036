package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type spendCommand struct {
	By   string `enum:"key,chain,model,day,release" default:"chain" help:"What the sums are of: key, chain (default), model, day or release."`
	From string `placeholder:"DAY" help:"The first day in UTC, such as 2026-11-05 (default: today)."`
	To   string `placeholder:"DAY" help:"The last day (default: today)."`
}

// Run shows what was spent, by the records of runs and by the ledger.
func (c spendCommand) Run(s *session) error {
	query := url.Values{"by": {c.By}}
	for name, value := range map[string]string{"from": c.From, "to": c.To} {
		if value != "" {
			query.Set(name, value)
		}
	}
	var spend rest.Spend
	if err := s.request(http.MethodGet, "/api/v1/spend?"+query.Encode(), nil, &spend); err != nil {
		return err
	}
	return s.print(spend, func(w io.Writer) { writeSpend(w, spend) })
}

func writeSpend(w io.Writer, spend rest.Spend) {
	days := spend.From
	if spend.To != spend.From {
		days += " to " + spend.To
	}
	fmt.Fprintf(w, "by the records of %s (UTC)\n", days)
	table(w, fmt.Sprintf("%s\tRUNS\tCALLS\tTOKENS\tUS DOLLARS\tCALLS WITHOUT PRICE", spend.By), func(w io.Writer) {
		for _, g := range append(spend.Groups, spend.Total) {
			unknown := ""
			if g.Unknown > 0 {
				unknown = fmt.Sprint(g.Unknown)
			}
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%s\n", g.Name, g.Runs, g.Calls, g.Tokens, micros(g.USD), unknown)
		}
	})
	if spend.Damaged > 0 {
		fmt.Fprintf(w, "%d records cannot be read, and so are in no sum\n", spend.Damaged)
	}
	if len(spend.Budgets) > 0 {
		fmt.Fprintln(w, "\nby the ledger")
		writeBudgets(w, spend.Budgets)
	}
	for _, d := range spend.Differs {
		fmt.Fprintf(w, "%s, %s: the ledger has %s US dollars and %d tokens, the records %s and %d; %s\n", budgetName(d.Subject), d.Day,
			micros(d.USDLedger), d.TokensLedger, micros(d.USDRecords), d.TokensRecords, d.Reason)
	}
}
