package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// queriesAtOnce is how many queries of a file go into one request.
const queriesAtOnce = 64

// choices are what a search and a question have in common.
type choices struct {
	Collection string             `required:"" short:"c" help:"Collection to search."`
	Mode       schemas.SearchMode `default:"hybrid" enum:"hybrid,vector,keyword" help:"How chunks are found: hybrid, vector or keyword."`
	Filter     []string           `sep:"none" placeholder:"KEY=VALUE" help:"Only chunks whose metadata has this value; one key several times: any of its values."`
	Document   string             `placeholder:"GLOB" help:"Only documents that fit, * standing for any characters."`
	From       string             `name:"source" help:"Only this source."`
}

type searchCommand struct {
	choices
	Query   string   `arg:"" optional:"" help:"What to look for."`
	Limit   int      `default:"10" short:"k" help:"Hits of a query at most."`
	Alpha   *float64 `help:"Weight of the vector in hybrid search, 0 to 1 (default: the embedder's own)."`
	Queries string   `type:"existingfile" placeholder:"FILE" help:"Run the queries of a JSONL file (_id, text) instead of one."`
	Trec    string   `placeholder:"FILE" help:"Write the results of --queries as a TREC run."`
}

// Run searches by one query or by those of a file.
func (c searchCommand) Run(s *session) error {
	switch {
	case (c.Query == "") == (c.Queries == ""):
		return schemas.Errorf(schemas.Invalid, "say what to look for: a query, or --queries FILE")
	case c.Trec != "" && c.Queries == "":
		return schemas.Errorf(schemas.Invalid, "--trec writes the results of --queries; give both")
	case c.Limit < 1 || c.Limit > maxHits:
		return schemas.Errorf(schemas.Invalid, "--limit %d: choose 1 to %d", c.Limit, maxHits)
	}
	filter, err := c.filter()
	if err != nil {
		return err
	}
	request := rest.NewSearch{Query: c.Query, Mode: c.Mode, Limit: c.Limit, Alpha: c.Alpha, Filter: filter}
	if c.Queries != "" {
		return c.many(s, request)
	}
	var found rest.Found
	if err := s.request(http.MethodPost, c.path("search"), request, &found); err != nil {
		return err
	}
	return s.print(found, func(w io.Writer) { writeHits(w, found.Hits) })
}

func (c choices) path(action string) string {
	return "/api/v1/collections/" + url.PathEscape(c.Collection) + "/" + action
}

// filter is nil where nothing narrows the search.
func (c choices) filter() (*schemas.Filter, error) {
	if len(c.Filter) == 0 && c.Document == "" && c.From == "" {
		return nil, nil //nolint:nilnil // no filter is no error
	}
	filter := &schemas.Filter{Source: c.From, Document: c.Document}
	for _, condition := range c.Filter {
		key, value, ok := strings.Cut(condition, "=")
		if !ok || key == "" {
			return nil, schemas.Errorf(schemas.Invalid, "--filter %q: write KEY=VALUE", condition)
		}
		if filter.Metadata == nil {
			filter.Metadata = make(map[string][]string)
		}
		filter.Metadata[key] = append(filter.Metadata[key], value)
	}
	return filter, nil
}

// many runs the queries of a file, some in each request.
func (c searchCommand) many(s *session, request rest.NewSearch) error {
	queries, err := readQueries(c.Queries)
	if err != nil {
		return err
	}
	if c.Trec != "" {
		request.Limit = min(maxHits, chunksPerDocument*c.Limit)
	}
	show := newProgress(s.stderr, s.getenv)
	defer show.end()
	all := rest.Found{Results: []rest.SearchResult{}}
	for batch := range slices.Chunk(queries, queriesAtOnce) {
		var found rest.Found
		request.Queries = batch
		if err := s.request(http.MethodPost, c.path("search"), request, &found); err != nil {
			return err
		}
		all.Results = append(all.Results, found.Results...)
		show.part(fmt.Sprintf("%d of %d queries", len(all.Results), len(queries)), float64(len(all.Results))/float64(len(queries)))
	}
	show.end()
	return c.deliver(s, all)
}

func (c searchCommand) deliver(s *session, all rest.Found) error {
	if c.Trec == "" {
		return s.print(all, func(w io.Writer) {
			for _, result := range all.Results {
				fmt.Fprintf(w, "== %s\n", result.ID)
				writeHits(w, result.Hits)
			}
		})
	}
	file, err := os.Create(c.Trec)
	if err != nil {
		return schemas.Wrap(schemas.Invalid, err, "%s cannot be written", c.Trec)
	}
	lines, err := writeTrec(file, all.Results, c.Limit, "tenuto-"+string(c.Mode))
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return schemas.Wrap(schemas.OverBudget, err, "%s cannot be written whole; is the disk full?", c.Trec)
	}
	return s.print(map[string]any{"queries": len(all.Results), "lines": lines, "trec": c.Trec}, func(w io.Writer) {
		fmt.Fprintf(w, "%d lines for %d queries in %s\n", lines, len(all.Results), c.Trec)
	})
}

func writeHits(w io.Writer, hits []schemas.Hit) {
	if len(hits) == 0 {
		fmt.Fprintln(w, "nothing found")
	}
	for _, hit := range hits {
		place := hit.Document
		if hit.Section != "" {
			place += " > " + hit.Section
		}
		fmt.Fprintf(w, "%d. %s (%.4f)\n   %s\n", hit.Rank, place, hit.Score, brief(hit.Text))
	}
}

// brief is the beginning of a text on one line.
func brief(text string) string {
	line := []rune(strings.Join(strings.Fields(text), " "))
	if len(line) > 240 {
		return string(line[:240]) + "…"
	}
	return string(line)
}
