package main

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	credentialsFile = "credentials.json"
	s3Bucket        = "tenuto"
	s3Region        = "us-east-1"
	namespace       = "default"
)

// credentials say how to reach the parts. The file in the data folder keeps the keys from one start to the next; the CLI
// reads it too.
type credentials struct {
	URL             string `json:"url"`
	APIKey          string `json:"api_key"` // an admin's, made known to the gateway as its bootstrap key
	TemporalAddress string `json:"temporal_address"`
	WeaviateURL     string `json:"weaviate_url"`
	WeaviateGRPC    string `json:"weaviate_grpc"`
	WeaviateAPIKey  string `json:"weaviate_api_key"`
	S3Endpoint      string `json:"s3_endpoint"`
	S3Bucket        string `json:"s3_bucket"`
	S3AccessKey     string `json:"s3_access_key"`
	S3SecretKey     string `json:"s3_secret_key"`
	WebhookSecret   string `json:"webhook_secret"` // that those of callbacks are derived from
}

// openCredentials reads the keys kept in dir, makes those that are missing, and writes them back with the addresses of p.
func openCredentials(dir string, p ports) (credentials, error) {
	path := filepath.Join(dir, credentialsFile)
	var c credentials
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("reading the stack's keys: %w", err)
	}
	if err == nil {
		if err := json.Unmarshal(data, &c); err != nil {
			return c, fmt.Errorf("%s is damaged (%w); mend it, or remove the whole folder to start anew", path, err)
		}
	}
	c.fill(p)
	if data, err = json.MarshalIndent(c, "", "  "); err != nil {
		return c, err
	}
	return c, writePrivate(path, append(data, '\n'))
}

func (c *credentials) fill(p ports) {
	c.URL = "http://" + loopback(p.Gateway)
	c.TemporalAddress = loopback(p.Temporal)
	c.WeaviateURL = "http://" + loopback(p.Weaviate)
	c.WeaviateGRPC = loopback(p.WeaviateGRPC)
	c.S3Endpoint = "http://" + loopback(p.S3)
	c.S3Bucket = s3Bucket
	c.APIKey = cmp.Or(c.APIKey, "tnt_"+randomHex(6)+"_"+randomHex(32))
	c.WeaviateAPIKey = cmp.Or(c.WeaviateAPIKey, randomHex(32))
	c.S3AccessKey = cmp.Or(c.S3AccessKey, randomHex(10))
	c.S3SecretKey = cmp.Or(c.S3SecretKey, randomHex(20))
	c.WebhookSecret = cmp.Or(c.WebhookSecret, randomHex(32))
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails, see crypto/rand
	return hex.EncodeToString(b)
}

// writePrivate replaces a file at once, readable by its owner only.
func writePrivate(path string, data []byte) error {
	next := path + ".new"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// environment returns the variables that lead a command to the running parts. Parts that do not run have none, so that
// what the caller's environment says of them holds.
func (c credentials) environment(parts partSet) map[string]string {
	env := map[string]string{}
	if parts["gateway"] {
		env["TENUTO_URL"], env["TENUTO_API_KEY"] = c.URL, c.APIKey
	}
	if parts["gateway"] || parts["worker"] {
		env["TENUTO_WEBHOOK_SECRET"] = c.WebhookSecret
	}
	if parts["temporal"] {
		env["TEMPORAL_ADDRESS"], env["TEMPORAL_NAMESPACE"] = c.TemporalAddress, namespace
	}
	if parts["weaviate"] {
		env["WEAVIATE_URL"], env["WEAVIATE_GRPC"], env["WEAVIATE_API_KEY"] = c.WeaviateURL, c.WeaviateGRPC, c.WeaviateAPIKey
	}
	if parts["s3"] {
		env["S3_ENDPOINT"], env["S3_BUCKET"], env["S3_REGION"] = c.S3Endpoint, c.S3Bucket, s3Region
		env["S3_ACCESS_KEY"], env["S3_SECRET_KEY"] = c.S3AccessKey, c.S3SecretKey
	}
	return env
}
