package listing

import (
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// Decode reads a listing, a rest.NewIngestion in JSON, one document at a time, and checks all of it. Errors: invalid, and what
// reading r says.
func Decode(r io.Reader) (*Listing, error) {
	bounded := &stretch{Reader: r, left: maxEntry}
	d := decoder{json: json.NewDecoder(bounded), read: bounded, media: make(map[string]string), listing: &Listing{}}
	d.json.DisallowUnknownFields()
	if err := d.object(); err != nil {
		return nil, d.explain(err)
	}
	if !d.listed {
		return nil, schemas.Errorf(schemas.Invalid, "the listing has no documents; send an empty list to empty a source")
	}
	if err := schemas.CheckSource(d.listing.Source); err != nil {
		return nil, err
	}
	return d.listing, d.listing.arrange()
}

// maxEntry bounds the bytes of a document in a listing, and of what stands around the documents. The decoder holds an entry whole.
const maxEntry = 1 << 20

// stretch bounds what is read until more is allowed.
type stretch struct {
	io.Reader

	left int
}

// Read implements io.Reader.
func (s *stretch) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, schemas.Errorf(schemas.Invalid, "the listing has an entry of more than %d KB; list paths, sizes and hashes only", maxEntry>>10)
	}
	n, err := s.Reader.Read(p[:min(len(p), s.left)])
	s.left -= n
	return n, err
}

type decoder struct {
	json    *json.Decoder
	read    *stretch
	listing *Listing
	listed  bool
	media   map[string]string // one string for all documents of a media type
}

var errShape = errors.New("another JSON value was expected")

// object reads the members of the outer object in any order.
func (d *decoder) object() error {
	if err := d.expect('{'); err != nil {
		return err
	}
	for d.json.More() {
		name, err := d.json.Token()
		if err != nil {
			return err
		}
		if err := d.member(name); err != nil {
			return err
		}
	}
	if err := d.expect('}'); err != nil {
		return err
	}
	if _, err := d.json.Token(); !errors.Is(err, io.EOF) {
		return schemas.Errorf(schemas.Invalid, "something follows the listing in the request's body")
	}
	return nil
}

func (d *decoder) member(name json.Token) error {
	switch name {
	case "source":
		return d.json.Decode(&d.listing.Source)
	case "recipe":
		return d.json.Decode(&d.listing.Recipe)
	case "documents":
		return d.documents()
	}
	return schemas.Errorf(schemas.Invalid, "the listing has an unknown member %.80q; it takes source, recipe and documents", name)
}

func (d *decoder) documents() error {
	if d.listed {
		return schemas.Errorf(schemas.Invalid, "the listing has documents twice")
	}
	d.listed = true
	if err := d.expect('['); err != nil {
		return err
	}
	for d.json.More() {
		var doc schemas.ListedDocument
		if err := d.json.Decode(&doc); err != nil {
			return err
		}
		d.read.left = maxEntry
		doc.MediaType = d.intern(doc.MediaType)
		if err := d.listing.add(doc); err != nil {
			return err
		}
	}
	return d.expect(']')
}

// intern makes equal media types share one string, up to a number that honest listings never reach.
func (d *decoder) intern(media string) string {
	if known, ok := d.media[media]; ok {
		return known
	}
	if len(d.media) < 1000 {
		d.media[media] = strings.Clone(media)
	}
	return media
}

func (d *decoder) expect(want json.Delim) error {
	token, err := d.json.Token()
	if err != nil {
		return err
	}
	if token != want {
		return errShape
	}
	return nil
}

// explain makes what the JSON decoder says an error for the caller.
func (d *decoder) explain(err error) error {
	if _, ok := errors.AsType[*schemas.Error](err); ok {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return schemas.Wrap(schemas.Invalid, err, "the listing ends too early, at byte %d", d.json.InputOffset())
	}
	return schemas.Wrap(schemas.Invalid, err, "the listing cannot be read at byte %d: %s", d.json.InputOffset(), strings.TrimPrefix(err.Error(), "json: "))
}

// Choose completes what a caller chose of a recipe. The parser's version stays zero; the ingestion's plan fills it in. Error: invalid.
func Choose(choice *rest.RecipeChoice, embedder string) (schemas.Recipe, error) {
	recipe := schemas.Recipe{
		Chunk:    schemas.ChunkSettings{MaxTokens: 320, OverlapTokens: 32, Tokenizer: "cl100k_base"},
		Embedder: embedder, Language: "auto",
	}
	if choice != nil {
		apply(*choice, &recipe)
	}
	if !languagePattern.MatchString(recipe.Language) {
		return recipe, schemas.Errorf(schemas.Invalid, "language %.20q: use a two-letter code such as en, or auto", recipe.Language)
	}
	return recipe, recipe.Check()
}

var languagePattern = regexp.MustCompile(`^(auto|[a-z]{2})$`)

func apply(choice rest.RecipeChoice, recipe *schemas.Recipe) {
	if choice.MaxTokens != 0 {
		recipe.Chunk.MaxTokens, recipe.Chunk.OverlapTokens = choice.MaxTokens, choice.MaxTokens/10
	}
	if choice.OverlapTokens != nil {
		recipe.Chunk.OverlapTokens = *choice.OverlapTokens
	}
	if choice.Embedder != "" {
		recipe.Embedder = choice.Embedder
	}
	if choice.Language != "" {
		recipe.Language = strings.ToLower(choice.Language)
	}
	recipe.Dimensions = choice.Dimensions
}

// Difference says in which point a choice departs from a collection's recipe; empty if it asks for nothing else.
func Difference(choice *rest.RecipeChoice, has schemas.Recipe) string {
	if choice == nil {
		return ""
	}
	want := has
	apply(*choice, &want)
	if choice.OverlapTokens == nil {
		want.Chunk.OverlapTokens = has.Chunk.OverlapTokens
	}
	if choice.Dimensions == 0 {
		want.Dimensions = has.Dimensions
	}
	switch {
	case want.Chunk.MaxTokens != has.Chunk.MaxTokens:
		return differ("chunks of", has.Chunk.MaxTokens, want.Chunk.MaxTokens, "tokens")
	case want.Chunk.OverlapTokens != has.Chunk.OverlapTokens:
		return differ("an overlap of", has.Chunk.OverlapTokens, want.Chunk.OverlapTokens, "tokens")
	case want.Embedder != has.Embedder:
		return differ("embedder", has.Embedder, want.Embedder, "")
	case want.Dimensions != has.Dimensions:
		return differ("vectors of", has.Dimensions, want.Dimensions, "dimensions")
	case want.Language != has.Language:
		return differ("language", has.Language, want.Language, "")
	}
	return ""
}
