package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCredentialsKeepKeysAndFollowPorts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := openCredentials(dir, ports{Gateway: 1, Weaviate: 2, WeaviateGRPC: 3, S3: 4, Temporal: 5})
	if err != nil {
		t.Fatal(err)
	}
	second, err := openCredentials(dir, ports{Gateway: 11, Weaviate: 12, WeaviateGRPC: 13, S3: 14, Temporal: 15})
	if err != nil {
		t.Fatal(err)
	}
	want := first
	want.URL = "http://127.0.0.1:11"
	want.WeaviateURL = "http://127.0.0.1:12"
	want.WeaviateGRPC = "127.0.0.1:13"
	want.S3Endpoint = "http://127.0.0.1:14"
	want.TemporalAddress = "127.0.0.1:15"
	if diff := cmp.Diff(want, second); diff != "" {
		t.Errorf("second start (-want +got):\n%s", diff)
	}

	if !regexp.MustCompile(`^tnt_[0-9a-f]{12}_[0-9a-f]{64}$`).MatchString(first.APIKey) {
		t.Errorf("API key %q has another form", first.APIKey)
	}
	info, err := os.Stat(filepath.Join(dir, credentialsFile))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("others may read the credentials: mode %o", got)
	}
}

func TestCredentialsOfTwoStacksDiffer(t *testing.T) {
	t.Parallel()
	a, err := openCredentials(t.TempDir(), ports{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := openCredentials(t.TempDir(), ports{})
	if err != nil {
		t.Fatal(err)
	}
	if a.APIKey == b.APIKey || a.WeaviateAPIKey == b.WeaviateAPIKey || a.S3SecretKey == b.S3SecretKey || a.WebhookSecret == b.WebhookSecret {
		t.Error("two stacks share a key")
	}
}

func TestDamagedCredentialsAreNotReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, credentialsFile)
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openCredentials(dir, ports{}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names the file", err)
	}
}

func TestEnvironmentHasOnlyRunningParts(t *testing.T) {
	t.Parallel()
	c := credentials{URL: "u", APIKey: "k", TemporalAddress: "t", WeaviateURL: "w", WeaviateGRPC: "g", WeaviateAPIKey: "wk",
		S3Endpoint: "e", S3Bucket: "b", S3AccessKey: "a", S3SecretKey: "s", WebhookSecret: "ws"}
	tests := map[string]map[string]string{
		"gateway":  {"TENUTO_URL": "u", "TENUTO_API_KEY": "k", "TENUTO_WEBHOOK_SECRET": "ws"},
		"worker":   {"TENUTO_WEBHOOK_SECRET": "ws"},
		"temporal": {"TEMPORAL_ADDRESS": "t", "TEMPORAL_NAMESPACE": "default"},
		"weaviate": {"WEAVIATE_URL": "w", "WEAVIATE_GRPC": "g", "WEAVIATE_API_KEY": "wk"},
		"s3": {"S3_ENDPOINT": "e", "S3_BUCKET": "b", "S3_REGION": s3Region, "S3_ACCESS_KEY": "a",
			"S3_SECRET_KEY": "s"},
		"ui": {},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(want, c.environment(partSet{name: true})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
