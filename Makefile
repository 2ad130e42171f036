# Go and make are all that these targets need; the race target also needs a C compiler. What they build stays in .cache/ and is
# built again when its sources change: the go command decides, so it is always asked.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := $(CURDIR)/.cache/bin
STACK := $(BIN)/tenuto-stack
GO_TEST := go test -timeout 30m

export CGO_ENABLED := 0
export TENUTO_CACHE := $(CURDIR)/.cache
export TENUTO_TESTDATA ?= $(abspath $(CURDIR)/../shared/data)

# Packages of the root module. End-to-end tests and benchmarks start stacks of their own, so they run by themselves.
WHOLE := /deploy/(e2e|bench)
PACKAGES = $$(go list ./... | grep -Ev '$(WHOLE)')

# Packages with goroutines, found by how they are started; workflows have none.
CONCURRENT = $$(grep -rlE --include='*.go' '\.Go\(|\bgo (func|[a-z.]+\()' schemas activities worker starter | xargs -n 1 dirname | sort -u | sed 's|^|./|')

.PHONY: help
help: ## show this list
	@echo "Tenuto: a durable LLMOps platform on Temporal. The first build takes some minutes, later ones seconds."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: servers tenuto tenuto-demo ## ingest the Go documentation, ask it, release a chain over it and call that with OpenAI's client, on a stack of its own that leaves nothing behind
	@$(STACK) run -- $(BIN)/tenuto-demo $(BIN)/tenuto

.PHONY: up
up: servers tenuto ## run the whole platform in the foreground; data stays in .tenuto/; stop it with Ctrl-C
	@$(STACK) up

.PHONY: test
test: export TENUTO_MINIO := $(BIN)/minio
test: export TENUTO_STACK := $(STACK)
test: export TENUTO_BIN := $(BIN)
test: servers minio tenuto tenuto-worker ## run all tests, against real Temporal, Weaviate, S3 and MinIO servers
	@echo "== tests of the platform, on real servers"
	@$(STACK) run --parts temporal,weaviate,s3 -- $(GO_TEST) $(PACKAGES)
	@echo "== tests of the embedded stack"
	@cd deploy/stack && $(GO_TEST) ./...
	@echo "== tests of the whole"
	@$(GO_TEST) $$(go list ./... | grep -E '/deploy/e2e')

.PHONY: race
race: export TENUTO_STACK := $(STACK)
race: servers ## run the tests of packages with goroutines under the race detector; needs a C compiler
	@$(STACK) run --parts temporal,weaviate,s3 -- env CGO_ENABLED=1 $(GO_TEST) -race $(CONCURRENT)

# What checks the stack: the linters that need not read the sources of all it imports. With the others it takes three times as long, because
# the Temporal server is among them. go vet and the rules about rooms hold there as everywhere.
STACK_LINTERS := containedctx,depguard,errcheck,errname,errorlint,exhaustive,forbidigo,gochecknoinits,godoclint,ineffassign,interfacebloat,$\
intrange,misspell,noctx,nolintlint,paralleltest,predeclared,revive,thelper,tparallel,unconvert,usetesting

.PHONY: lint
lint: export TENUTO_GOLANGCI := $(BIN)/golangci-lint
lint: tools ## check formatting, vet, the rules of the house, and that workflows can be replayed
	@unformatted=$$(gofmt -l schemas activities workflows worker starter deploy); \
	if [ -n "$$unformatted" ]; then echo "gofmt -w these:"; echo "$$unformatted"; exit 1; fi
	@echo "== go vet"
	@go vet ./... && cd deploy/stack && go vet ./...
	@echo "== golangci-lint"
	@$(BIN)/golangci-lint run --allow-parallel-runners ./...
	@cd deploy/stack && $(BIN)/golangci-lint run --allow-parallel-runners --config $(CURDIR)/.golangci.yml --enable-only $(STACK_LINTERS) ./...
	@echo "== workflowcheck"
	@$(BIN)/workflowcheck ./workflows/...
	@echo "== the rules find their breaches"
	@$(GO_TEST) ./deploy/lint

.PHONY: bench
bench: servers tenuto tenuto-worker ## measure against a floor in the same run: raw Weaviate import, plain model calls, an empty workflow; prints JSON
	@go build -o $(BIN)/tenuto-bench ./deploy/bench
	@$(STACK) run --parts temporal,weaviate,s3 -- $(BIN)/tenuto-bench

.PHONY: build
build: servers tenuto tenuto-worker ## build the programs and the servers they need into .cache/bin/

.PHONY: clean
clean: ## remove everything that was built; .tenuto/ (your data) stays
	@rm -rf .cache

# The programs.

.PHONY: tenuto tenuto-worker tenuto-stack tenuto-demo
tenuto:
	@go build -o $(BIN)/$@ ./starter
tenuto-worker:
	@go build -o $(BIN)/$@ ./worker
tenuto-demo:
	@go build -o $(BIN)/$@ ./deploy/demo
tenuto-stack:
	@[ -x $(STACK) ] || echo "building tenuto-stack with the Temporal server and its UI; the first time takes some minutes"
	@cd deploy/stack && go build -o $(STACK) .

# The servers that run as children of the stack. It builds them once and says how far it is.

.PHONY: servers minio
servers: tenuto-stack
	@$(STACK) build
minio: tenuto-stack
	@$(STACK) build --minio

.PHONY: tools
tools:
	@[ -x $(BIN)/golangci-lint ] || echo "building golangci-lint and workflowcheck; the first time takes some minutes"
	@cd deploy/tools && go build -o $(BIN)/ github.com/golangci/golangci-lint/v2/cmd/golangci-lint go.temporal.io/sdk/contrib/tools/workflowcheck
