package lint

import (
	"path"
	"strings"
)

// file is one file of the tree, with the findings that it must have.
type file struct {
	path     string
	code     string
	findings []string
}

const ours = "github.com/tenuto-dev/tenuto/"

// breach is a file that imports pkg and must be found by these lists of depguard.
func breach(name, pkg string, lists ...string) file {
	f := allowed(name, pkg)
	for _, list := range lists {
		f.findings = append(f.findings, "depguard: "+list)
	}
	return f
}

// allowed is a file that may import pkg.
func allowed(name, pkg string) file {
	return file{path: name, code: "// Package " + packageName(name) + " is a part of the tree.\npackage " + packageName(name) + "\n\nimport _ \"" + pkg + "\"\n"}
}

// program is a file of package main, which may exit and read the environment.
func program(name, pkg string, findings ...string) file {
	f := allowed(name, pkg)
	f.findings = findings
	f.code += "import \"os\"\n\nfunc main() {\n\t_ = os.Getenv(\"HOME\")\n\tos.Exit(0)\n}\n"
	return f
}

// empty is a file to import from.
func empty(name string) file {
	return file{path: name, code: "// Package " + packageName(name) + " is imported by others.\npackage " + packageName(name) + "\n"}
}

func packageName(name string) string {
	switch dir := path.Dir(name); dir {
	case "worker", "starter":
		return "main"
	default:
		return path.Base(dir)
	}
}

// imports tries each rule about imports, directly in a room and deeper, and beside it what the rule must let through. Packages that
// are imported import nothing, so that no breach makes a cycle.
var imports = []file{
	empty("schemas/word/word.go"),
	empty("activities/score/score.go"),
	empty("activities/internal/split/split.go"),
	empty("activities/provider/blob/blob.go"),
	empty("workflows/internal/plan/plan.go"),
	empty("workflows/step/profile/profile.go"),
	empty("worker/dial/dial.go"),
	empty("worker/wire/wire.go"),
	empty("worker/bind/doc.go"),
	empty("starter/gateway/gateway.go"),
	empty("starter/cli/cli.go"),
	empty("deploy/bench/bench.go"),

	breach("schemas/vendor.go", "go.temporal.io/sdk/temporal", "schemas"),
	breach("schemas/room.go", ours+"activities/score", "schemas"),
	breach("schemas/ingest/vendor.go", "go.uber.org/zap", "schemas"),
	allowed("schemas/ingest/std.go", "encoding/json"),
	allowed("schemas/ingest/word.go", ours+"schemas/word"),
	allowed("schemas/payload/sdk.go", "go.temporal.io/sdk/temporal"),
	breach("schemas/payload/vendor.go", "go.uber.org/zap", "schemas-payload"),

	breach("activities/direct.go", "go.temporal.io/sdk/workflow", "activities"),
	breach("activities/ingest/workflow.go", "go.temporal.io/sdk/workflow", "activities"),
	breach("activities/ingest/workflows.go", ours+"workflows/step/profile", "activities"),
	breach("activities/ingest/worker.go", ours+"worker/dial", "activities"),
	breach("activities/ingest/starter.go", ours+"starter/gateway", "activities"),
	breach("activities/ingest/log.go", "log/slog", "activities"),
	breach("activities/ingest/zap.go", "go.uber.org/zap", "activities"),
	allowed("activities/ingest/leaf.go", ours+"activities/internal/split"),
	allowed("activities/ingest/provider.go", ours+"activities/provider/blob"),
	allowed("activities/ingest/activity.go", "go.temporal.io/sdk/activity"),

	breach("activities/internal/chunk/leaf.go", ours+"activities/internal/split", "activities-internal"),
	breach("activities/internal/chunk/topic.go", ours+"activities/score", "activities-internal"),
	breach("activities/internal/chunk/sdk.go", "go.temporal.io/sdk/temporal", "activities-internal"),
	allowed("activities/internal/chunk/word.go", ours+"schemas/word"),
	breach("activities/provider/vector/topic.go", ours+"activities/score", "activities-provider"),
	breach("activities/provider/vector/sdk.go", "go.temporal.io/sdk/activity", "activities-provider"),
	allowed("activities/provider/vector/leaf.go", ours+"activities/internal/split"),
	allowed("activities/provider/vector/memvector/blob.go", ours+"activities/provider/blob"),

	breach("workflows/activities.go", ours+"activities/score", "workflows"),
	breach("workflows/os.go", "os", "workflows"),
	breach("workflows/step/rand.go", "math/rand/v2", "workflows"),
	breach("workflows/step/vendor.go", "go.uber.org/zap", "workflows"),
	breach("workflows/internal/ballot/sync.go", "sync", "workflows"),
	breach("workflows/internal/ballot/client.go", "go.temporal.io/sdk/client", "workflows"),
	allowed("workflows/schemas.go", ours+"schemas/word"),
	allowed("workflows/plan.go", ours+"workflows/internal/plan"),
	allowed("workflows/sdk.go", "go.temporal.io/sdk/workflow"),
	allowed("workflows/strings.go", "strings"),
	allowed("workflows/chain_test.go", ours+"worker/bind"),

	breach("worker/host/front.go", ours+"starter/gateway", "worker"),
	breach("worker/cli.go", ours+"starter/cli", "worker"),
	allowed("worker/host/profile.go", ours+"workflows/step/profile"),
	allowed("worker/host/score.go", ours+"activities/score"),
	program("worker/main.go", ours+"starter/cli", "depguard: worker-main"), // the project's own imports starter/gateway

	program("starter/main.go", ours+"starter/cli"),
	breach("starter/workflows.go", ours+"workflows", "starter"),
	breach("starter/console/activities.go", ours+"activities/score", "starter"),
	breach("starter/console/host.go", ours+"worker/bind", "starter"),
	breach("starter/console/workflow.go", "go.temporal.io/sdk/workflow", "starter"),
	allowed("starter/console/blob.go", ours+"activities/provider/blob"),
	allowed("starter/console/dial.go", ours+"worker/dial"),
	allowed("starter/console/wire.go", ours+"worker/wire"),
	breach("starter/client/blob.go", ours+"activities/provider/blob", "starter-client"),
	breach("starter/client/vendor.go", "github.com/minio/minio-go/v7", "starter-client", "vendor-s3"),
	allowed("starter/client/sdk.go", "go.temporal.io/sdk/client"),
	allowed("starter/client/schemas.go", ours+"schemas/word"),

	breach("starter/console/deploy.go", ours+"deploy/bench", "nothing-imports-deploy"),
	breach("worker/host/deploy_test.go", ours+"deploy/bench", "nothing-imports-deploy"),
	allowed("deploy/e2e/bench.go", ours+"deploy/bench"),
	allowed("deploy/e2e/host.go", ours+"activities/score"),

	breach("activities/ingest/weaviate.go", "github.com/weaviate/weaviate-go-client/v4", "vendor-weaviate"),
	breach("worker/host/minio_test.go", "github.com/minio/minio-go/v7", "vendor-s3"),
	breach("worker/wire/github.go", "github.com/google/go-github/v62/github", "vendor-github"),
	breach("activities/chain/openai.go", "github.com/openai/openai-go/v3", "vendor-models"),
	breach("activities/provider/model/anthropicmodel/client.go", "github.com/anthropics/anthropic-sdk-go", "vendor-models"),
	breach("activities/provider/model/geminimodel/client_test.go", "google.golang.org/genai", "vendor-models"),
	breach("deploy/bench/openai.go", "github.com/openai/openai-go/v3", "vendor-models"),
	breach("deploy/e2e/openai.go", "github.com/openai/openai-go/v3", "vendor-models"),
	allowed("deploy/e2e/clients_test.go", "github.com/openai/openai-go/v3"),
	allowed("deploy/e2e/messages_test.go", "github.com/anthropics/anthropic-sdk-go"),
	allowed("deploy/demo/chat.go", "github.com/openai/openai-go/v3"),
	allowed("activities/provider/vector/weaviatevector/client.go", "github.com/weaviate/weaviate-go-client/v4"),
	allowed("activities/provider/forge/githubforge/client.go", "github.com/google/go-github/v62/github"),
	allowed("activities/provider/blob/s3blob/client.go", "github.com/minio/minio-go/v7"),
	allowed("deploy/bench/floor/client.go", "github.com/weaviate/weaviate-go-client/v4"),

	breach("activities/ingest/ingest_test.go", "github.com/stretchr/testify", "one-assertion-habit"),
}

// calls tries the rules about calls, and the same calls where they are allowed.
var calls = []file{
	{"workflows/now.go", function("workflows", "time", "_ = time.Now()"), []string{"forbidigo: replayed"}},
	{"workflows/internal/ballot/value.go", function("ballot", "time", "f := time.Now\n\t_ = f()"), []string{"forbidigo: replayed"}},
	{"workflows/internal/ballot/sleep.go", function("ballot", "time", "time.Sleep(1)"), []string{"forbidigo: replayed"}},
	{"activities/ingest/now.go", function("ingest", "time", "_ = time.Now()"), nil},

	{"workflows/call.go", function("workflows", "go.temporal.io/sdk/workflow", "workflow.ExecuteActivity()"), []string{"forbidigo: durable"}},
	{"workflows/child.go", function("workflows", "go.temporal.io/sdk/workflow", "f := workflow.ExecuteChildWorkflow\n\tf()"), []string{"forbidigo: durable"}},
	{"workflows/local.go", function("workflows", "go.temporal.io/sdk/workflow", "workflow.ExecuteLocalActivity()"), []string{"forbidigo: durable"}},
	{"workflows/step/call.go", function("step", "go.temporal.io/sdk/workflow", "workflow.ExecuteActivity()"), nil},

	{"worker/host/register.go", function("host", "go.temporal.io/sdk/client", "var w client.Worker\n\tw.RegisterActivityWithOptions()"), []string{"forbidigo: registration"}},
	{"worker/bind/register.go", function("bind", "go.temporal.io/sdk/client", "var w client.Worker\n\tw.RegisterActivityWithOptions()"), nil},

	{"activities/ingest/exit.go", function("ingest", "os", "os.Exit(1)"), []string{"forbidigo: process"}},
	{"worker/host/env.go", function("host", "os", `_ = os.Getenv("HOME")`), []string{"forbidigo: process"}},
	{"deploy/e2e/env.go", function("e2e", "os", `_ = os.Getenv("HOME")`), nil},
	{"starter/cli/print.go", function("cli", "fmt", "fmt.Println()"), []string{"forbidigo: write"}},
}

// shapes tries the rules about names and sizes.
var shapes = []file{
	{"activities/util/util.go", "// Package util is a drawer.\npackage util\n", []string{"revive: package-naming"}},
	{"worker/manager/manager.go", "// Package manager is a drawer.\npackage manager\n", []string{"revive: package-naming"}},
	{"worker/host/init.go", "package host\n\nfunc init() {}\n", []string{"gochecknoinits"}},
	{"activities/provider/blob/wide.go", "package blob\n\n// Wide is too wide.\ntype Wide interface{ A(); B(); C(); D(); E(); F(); G() }\n", []string{"interfacebloat"}},
	{"activities/provider/blob/driver.go", "package blob\n\n// Driver is as wide as a driver may be.\ntype Driver interface{ A(); B(); C(); D(); E(); F() }\n", nil},
	{"workflows/long.go", function("workflows", "strings", strings.Repeat("_ = strings.ToUpper(\"\")\n\t", 61)), []string{"funlen"}},
	{"activities/ingest/long.go", function("ingest", "strings", strings.Repeat("_ = strings.ToUpper(\"\")\n\t", 61)), nil},
}

// function is the code of a file with one function that nothing else in its package is called like.
var function = func() func(pkg, imported, body string) string {
	n := 0
	return func(pkg, imported, body string) string {
		n++
		return "package " + pkg + "\n\nimport \"" + imported + "\"\n\n// F" + strings.Repeat("f", n) + " does it.\nfunc F" + strings.Repeat("f", n) +
			"() {\n\t" + body + "\n}\n"
	}
}()

// module stands in for a module, with the code of its packages by folder.
type module struct {
	path, version string
	packages      map[string]string
}

var stubs = []module{
	{"go.temporal.io/sdk", "v1.0.0", map[string]string{
		"workflow": "package workflow\n\nfunc ExecuteActivity() {}\nfunc ExecuteLocalActivity() {}\nfunc ExecuteChildWorkflow() {}\n",
		"temporal": "package temporal\n",
		"activity": "package activity\n",
		"client":   "package client\n\ntype Worker struct{}\n\nfunc (Worker) RegisterActivityWithOptions() {}\n",
	}},
	{"go.uber.org/zap", "v1.0.0", map[string]string{".": "package zap\n"}},
	{"github.com/minio/minio-go/v7", "v7.0.0", map[string]string{".": "package minio\n"}},
	{"github.com/weaviate/weaviate-go-client/v4", "v4.0.0", map[string]string{".": "package weaviate\n"}},
	{"github.com/openai/openai-go/v3", "v3.0.0", map[string]string{".": "package openai\n"}},
	{"github.com/anthropics/anthropic-sdk-go", "v1.0.0", map[string]string{".": "package anthropic\n"}},
	{"github.com/google/go-github/v62", "v62.0.0", map[string]string{"github": "package github\n"}},
	{"google.golang.org/genai", "v1.0.0", map[string]string{".": "package genai\n"}},
	{"github.com/stretchr/testify", "v1.0.0", map[string]string{".": "package testify\n"}},
}
