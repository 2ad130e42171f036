// Package wire builds the platform's providers from configuration. It reads the environment once and names every problem in it.
package wire

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/s3blob"
	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/githubforge"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/activities/provider/vector/weaviatevector"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Config is what the environment says. Secrets are in it: do not print it.
type Config struct {
	Store    s3blob.Config
	Weaviate weaviatevector.Config
	Models   schemas.Models // of the installation
	GitHub   githubforge.Options
	Webhooks Webhooks
	Embedder string // of new collections
	Model    string // of answers

	Site string // address of the gateway for people, without a slash at its end; empty where nobody said

	Connections int // that a gateway holds at once; 0 for what suits the process
}

// Read reads the configuration from getenv. Error: invalid, naming every variable that is missing or wrong.
func Read(getenv func(string) string) (Config, error) {
	r := reader{getenv: getenv}
	c := Config{
		Store: s3blob.Config{
			Endpoint: r.address("S3_ENDPOINT"), Region: getenv("S3_REGION"), Bucket: cmp.Or(getenv("S3_BUCKET"), "tenuto"),
			AccessKey: r.required("S3_ACCESS_KEY"), SecretKey: r.required("S3_SECRET_KEY"),
		},
		Weaviate: weaviatevector.Config{URL: r.address("WEAVIATE_URL"), GRPC: getenv("WEAVIATE_GRPC"), APIKey: getenv("WEAVIATE_API_KEY")},
		Models:   r.models(),
		Webhooks: r.webhooks(),
		GitHub:   githubforge.Options{BaseURL: getenv("GITHUB_API_URL"), Token: getenv("GITHUB_TOKEN")},
		Embedder: cmp.Or(getenv("TENUTO_EMBEDDER"), "local/lexical"),
		Model:    cmp.Or(getenv("TENUTO_MODEL"), "local/extractive"),

		Site: r.site(),

		Connections: r.number("TENUTO_MAX_CONNECTIONS"),
	}
	return c, r.err()
}

type reader struct {
	getenv func(string) string
	faults []string
}

func (r *reader) required(name string) string {
	value := r.getenv(name)
	if value == "" {
		r.faults = append(r.faults, name+" is not set")
	}
	return value
}

func (r *reader) address(name string) string {
	value := r.required(name)
	if u, err := url.Parse(value); value != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		r.faults = append(r.faults, name+" is not an address such as http://host:port")
	}
	return strings.TrimSuffix(value, "/")
}

// site reads TENUTO_PUBLIC_URL, which need not be set.
func (r *reader) site() string {
	if r.getenv("TENUTO_PUBLIC_URL") == "" {
		return ""
	}
	return r.address("TENUTO_PUBLIC_URL")
}

// number reads a number above zero; 0 for none.
func (r *reader) number(name string) int {
	value := r.getenv(name)
	if value == "" {
		return 0
	}
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil || n == 0 {
		r.faults = append(r.faults, name+" is no number above zero")
	}
	return int(n)
}

func (r *reader) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	return schemas.Errorf(schemas.Invalid, "the environment does not configure the platform: %s", strings.Join(r.faults, "; "))
}

// Store opens the artifact store.
func Store(ctx context.Context, c Config) (*blob.Store, error) {
	driver, err := s3blob.Open(ctx, c.Store)
	if err != nil {
		return nil, err
	}
	return blob.New(driver), nil
}

// Index opens the vector index.
func Index(c Config) (*vector.Index, error) {
	driver, err := weaviatevector.Open(c.Weaviate)
	if err != nil {
		return nil, err
	}
	return vector.New(driver), nil
}

// Forge opens the code host. It makes no call. Error: invalid for an address that is none.
func Forge(c Config) (*forge.Forge, error) {
	driver, err := githubforge.New(c.GitHub)
	if err != nil {
		return nil, err
	}
	return forge.New(driver), nil
}

// Records keeps paid responses that belong to no run in the artifact store, for good.
func Records(store *blob.Store) model.Records { return callRecords{store} }

// callRecords keeps paid responses in the artifact store.
type callRecords struct{ store *blob.Store }

func (r callRecords) Load(ctx context.Context, key string) ([]byte, bool, error) {
	data, err := r.store.Get(ctx, key)
	var coded *schemas.Error
	if errors.As(err, &coded) && coded.Code == schemas.NotFound {
		return nil, false, nil
	}
	return data, err == nil, err
}

func (r callRecords) Save(ctx context.Context, key string, data []byte) error {
	return r.store.Put(ctx, key, data)
}
