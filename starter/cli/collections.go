package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/tenuto-dev/tenuto/schemas"
)

type collectionsCommand struct {
	List   listCollections  `cmd:"" help:"List collections."`
	Show   showCollection   `cmd:"" help:"Show a collection and its recipe."`
	Delete deleteCollection `cmd:"" help:"Delete a collection, its chunks and its uploads."`
}

type listCollections struct {
	Limit int `default:"200" help:"At most so many."`
}

type oneCollection struct {
	Collection string `arg:"" help:"Name of the collection."`
}

type (
	showCollection   struct{ oneCollection }
	deleteCollection struct {
		oneCollection
		Yes bool `help:"Do not ask: there is no way back."`
	}
)

func (c oneCollection) path() string { return "/api/v1/collections/" + url.PathEscape(c.Collection) }

// Run lists collections.
func (c listCollections) Run(s *session) error {
	page, err := list[schemas.Collection](s, "/api/v1/collections", c.Limit)
	if err != nil {
		return err
	}
	return s.print(page, func(w io.Writer) {
		table(w, "COLLECTION\tCLASS\tEMBEDDER\tCREATED", func(w io.Writer) {
			for _, c := range page.Items {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Name, c.Class, c.Recipe.Embedder, c.Created)
			}
		})
	})
}

// Run shows a collection.
func (c showCollection) Run(s *session) error {
	var found schemas.Collection
	if err := s.request(http.MethodGet, c.path(), nil, &found); err != nil {
		return err
	}
	return s.print(found, func(w io.Writer) {
		r := found.Recipe
		fmt.Fprintf(w, "collection  %s (alias %s of class %s)\n", found.Name, found.Alias, found.Class)
		fmt.Fprintf(w, "created     %s\n", found.Created)
		fmt.Fprintf(w, "recipe      chunks of %d tokens (%s) with an overlap of %d, embedder %s, language %s, parser %d\n",
			r.Chunk.MaxTokens, r.Chunk.Tokenizer, r.Chunk.OverlapTokens, r.Embedder, r.Language, r.Parser)
	})
}

// Run deletes a collection, after asking on a terminal.
func (c deleteCollection) Run(s *session) error {
	if !c.Yes && !s.confirmed(c.Collection) {
		return schemas.Errorf(schemas.Invalid, "nothing was deleted; type the collection's name, or add --yes, to delete it")
	}
	var report schemas.DropReport
	if err := s.request(http.MethodDelete, c.path(), nil, &report); err != nil {
		return err
	}
	return s.print(report, func(w io.Writer) {
		fmt.Fprintf(w, "collection %s is gone: %d chunks and %d objects\n", c.Collection, report.Chunks, report.Objects)
	})
}

// confirmed asks for the collection's name.
func (s *session) confirmed(name string) bool {
	fmt.Fprintf(s.stderr, "This deletes collection %s, its chunks and its uploads. Type its name to go on: ", name)
	var typed string
	_, err := fmt.Fscanln(s.stdin, &typed)
	return err == nil && typed == name
}
