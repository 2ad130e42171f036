package cli

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/cli/scan"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// listRounds is how often a listing is sent while its source changes under the upload.
const listRounds = 4

type ingestCommand struct {
	Paths         []string `arg:"" name:"path" help:"A folder, a file, or a JSONL file with one document a line (_id or id, title, text)."`
	Collection    string   `required:"" short:"c" help:"Collection to ingest into; its first ingestion makes it."`
	Source        string   `help:"Name of the source (default: the base name of PATH). What the source held before and PATH does not is removed."`
	Include       []string `sep:"none" placeholder:"GLOB" help:"Only what fits one of these, such as *.md or docs/**."`
	Exclude       []string `sep:"none" placeholder:"GLOB" help:"Leave out what fits one of these."`
	GitIgnore     bool     `name:"gitignore" help:"Leave out what .gitignore files leave out."`
	AllowEmpty    bool     `help:"Accept a source without documents, which removes all it held."`
	Detach        bool     `help:"Do not wait for the end."`
	Strict        bool     `help:"Exit with 3 if documents were quarantined."`
	ChunkTokens   int      `placeholder:"N" help:"Tokens of a chunk at most (default: 320)."`
	OverlapTokens *int     `placeholder:"N" help:"Tokens that neighbouring chunks share (default: a tenth of a chunk)."`
	Embedder      string   `placeholder:"PROVIDER/MODEL" help:"Embedding model (default: the gateway's)."`
	Language      string   `placeholder:"CODE" help:"Language of the keyword analysis, such as en (default: found out)."`
}

// Run scans, uploads what is missing, starts the ingestion and follows it.
func (c *ingestCommand) Run(s *session) error {
	gateway, err := s.api()
	if err != nil {
		return err
	}
	show := newProgress(s.stderr, s.getenv)
	defer show.end()
	source, err := c.scan(s, show)
	if err != nil {
		return err
	}
	started, err := c.start(s, gateway, source, show)
	if err != nil {
		return err
	}
	if c.Detach {
		show.end()
		return s.print(started, func(w io.Writer) {
			fmt.Fprintf(w, "ingestion %s runs; follow it with: tenuto ingestions show %s %s\n", started.Ingestion, c.Collection, started.Ingestion)
		})
	}
	return c.follow(s, gateway, started, show)
}

func (c *ingestCommand) scan(s *session, show *progress) (*scan.Source, error) {
	show.say("reading documents")
	source, err := scan.Paths(s.ctx, c.Source, c.Paths, scan.Options{Include: c.Include, Exclude: c.Exclude, GitIgnore: c.GitIgnore})
	if err != nil {
		return nil, err
	}
	for _, note := range source.Notes {
		show.line(note)
	}
	if len(source.Documents) == 0 && !c.AllowEmpty {
		return nil, schemas.Errorf(schemas.Invalid,
			"no documents found in %s; nothing was changed (--allow-empty would remove all that source %s holds)", c.Paths[0], source.Name)
	}
	return source, nil
}

// start sends the listing, and the contents that the gateway lacks, until the ingestion runs.
func (c *ingestCommand) start(s *session, gateway *api, source *scan.Source, show *progress) (started rest.Started, err error) {
	header := map[string]string{
		"Content-Type": "application/json", "Content-Encoding": "gzip", "Idempotency-Key": uuid.Must(uuid.NewV7()).String(),
	}
	for range listRounds {
		show.say(fmt.Sprintf("listing %d documents", len(source.Documents)))
		started, err = c.list(s.ctx, gateway, source, header)
		if err != nil || len(started.Missing) == 0 {
			return started, err
		}
		u := &uploader{api: gateway, source: source, path: c.collectionPath() + "/contents", show: show}
		if err := u.send(s.ctx, started.Missing); err != nil {
			return started, err
		}
	}
	return started, schemas.Errorf(schemas.Conflict, "the source keeps changing while it is read; ingest it when it rests")
}

func (c *ingestCommand) list(ctx context.Context, gateway *api, source *scan.Source, header map[string]string) (started rest.Started, err error) {
	err = gateway.outlast(ctx, call{
		method: http.MethodPost, path: c.collectionPath() + "/ingestions", header: header,
		body: func() io.Reader { return c.listing(source) },
	}, &started)
	return started, err
}

func (c *ingestCommand) collectionPath() string {
	return "/api/v1/collections/" + url.PathEscape(c.Collection)
}

// listing streams the request's body, so that it is never in memory whole.
func (c *ingestCommand) listing(source *scan.Source) io.Reader {
	r, w := io.Pipe()
	go func() { w.CloseWithError(c.writeListing(w, source)) }()
	return r
}

func (c *ingestCommand) writeListing(w io.Writer, source *scan.Source) error {
	packed := gzip.NewWriter(w)
	head, err := json.Marshal(struct {
		Source string             `json:"source"`
		Recipe *rest.RecipeChoice `json:"recipe,omitempty"`
	}{source.Name, c.recipe()})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(packed, `%s,"documents":[`, head[:len(head)-1]); err != nil {
		return err
	}
	documents := json.NewEncoder(packed)
	for i := range source.Documents {
		if i > 0 {
			_, _ = packed.Write([]byte(",")) // a failure stays with the writer and shows at the next Encode
		}
		if err := documents.Encode(source.Documents[i].ListedDocument); err != nil {
			return err
		}
	}
	if _, err := packed.Write([]byte("]}")); err != nil {
		return err
	}
	return packed.Close()
}

func (c *ingestCommand) recipe() *rest.RecipeChoice {
	choice := rest.RecipeChoice{MaxTokens: c.ChunkTokens, OverlapTokens: c.OverlapTokens, Embedder: c.Embedder, Language: c.Language}
	if choice == (rest.RecipeChoice{}) {
		return nil
	}
	return &choice
}

// follow shows how far the ingestion is until it ends, and prints what it did. An interrupt leaves it running.
func (c *ingestCommand) follow(s *session, gateway *api, started rest.Started, show *progress) error {
	if started.Joined {
		show.line("the same listing is being ingested already; following that ingestion")
	}
	path := fmt.Sprintf("%s/ingestions/%s/wait?seconds=2", c.collectionPath(), url.PathEscape(started.Ingestion))
	away := time.Time{}
	for {
		var found rest.Ingestion
		err := gateway.do(s.ctx, call{method: http.MethodGet, path: path}, &found)
		switch {
		case s.ctx.Err() != nil:
			show.end()
			fmt.Fprintf(s.stderr, "ingestion %s goes on; follow it with: tenuto ingestions show %s %s\n", started.Ingestion, c.Collection, started.Ingestion)
			return s.ctx.Err()
		case err != nil:
			if away, err = bear(away, err, show, "the ingestion"); err != nil {
				return err
			}
			continue
		}
		away = time.Time{}
		if found.Status != rest.Running {
			show.end()
			return c.conclude(s, found)
		}
		show.ingestion(found)
	}
}

func (c *ingestCommand) conclude(s *session, found rest.Ingestion) error {
	if found.Report == nil {
		return failureOf(found)
	}
	if err := s.print(found.Report, func(w io.Writer) { writeReport(w, *found.Report) }); err != nil {
		return err
	}
	if c.Strict && len(found.Report.Quarantine) > 0 {
		return errFindings
	}
	return nil
}

// failureOf is why an ingestion ended without a report, with what to do.
func failureOf(found rest.Ingestion) error {
	if found.Failure == nil {
		return errors.New("the ingestion ended without a report")
	}
	text := fmt.Sprintf("ingestion %s %s: %s", found.Ingestion, found.Status, found.Failure.Message)
	if found.Failure.Advice != "" {
		text += "; " + found.Failure.Advice
	}
	if found.Failure.Code == schemas.Invalid { // of the ingestion, not of the command line
		return schemas.Errorf(schemas.Refused, "%s", text)
	}
	return schemas.Errorf(found.Failure.Code, "%s", text)
}
