package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type ingestionsCommand struct {
	List   listIngestions  `cmd:"" help:"List ingestions, newest first."`
	Show   showIngestion   `cmd:"" help:"Show how far an ingestion is, why it waits, or what it did."`
	Cancel cancelIngestion `cmd:"" help:"Cancel an ingestion; what it has published stays."`
}

type listIngestions struct {
	Collection string `arg:"" optional:"" help:"Only those of this collection."`
	Limit      int    `default:"50" help:"At most so many."`
}

type oneIngestion struct {
	Collection string `arg:"" help:"Name of the collection."`
	Ingestion  string `arg:"" optional:"" default:"latest" help:"Id of the ingestion."`
}

type (
	showIngestion   struct{ oneIngestion }
	cancelIngestion struct{ oneIngestion }
)

// Run lists ingestions.
func (c listIngestions) Run(s *session) error {
	path := "/api/v1/ingestions"
	if c.Collection != "" {
		path = "/api/v1/collections/" + url.PathEscape(c.Collection) + "/ingestions"
	}
	page, err := list[rest.Ingestion](s, path, c.Limit)
	if err != nil {
		return err
	}
	return s.print(page, func(w io.Writer) {
		table(w, "STARTED\tCOLLECTION\tSOURCE\tDOCUMENTS\tSTATUS\tINGESTION", func(w io.Writer) {
			for _, i := range page.Items {
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", localTime(i.StartedAt), i.Collection, i.Source, i.Documents, i.Status, i.Ingestion)
			}
		})
	})
}

// Run shows an ingestion.
func (c showIngestion) Run(s *session) error { return c.ask(s, http.MethodGet, "") }

// Run cancels an ingestion.
func (c cancelIngestion) Run(s *session) error { return c.ask(s, http.MethodPost, "/cancel") }

func (c oneIngestion) ask(s *session, method, action string) error {
	var found rest.Ingestion
	path := "/api/v1/collections/" + url.PathEscape(c.Collection) + "/ingestions/" + url.PathEscape(c.Ingestion) + action
	if err := s.request(method, path, nil, &found); err != nil {
		return err
	}
	return s.print(found, func(w io.Writer) { writeIngestion(w, found) })
}

// list reads pages until it has limit items.
func list[T any](s *session, path string, limit int) (rest.Page[T], error) {
	all := rest.Page[T]{Items: []T{}}
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	for len(all.Items) < limit {
		var page rest.Page[T]
		query := url.Values{"limit": {fmt.Sprint(min(limit-len(all.Items), 200))}}
		if all.Next != "" {
			query.Set("cursor", all.Next)
		}
		if err := s.request(http.MethodGet, path+separator+query.Encode(), nil, &page); err != nil {
			return all, err
		}
		all.Items, all.Next = append(all.Items, page.Items...), page.Next
		if page.Next == "" {
			break
		}
	}
	return all, nil
}
