SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

# What is in no release says which commit it is; outside git it says dev.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GOLANGCI_LINT_VERSION := v2.15.0

setup := packaging/setup
lint := build/tools/golangci-lint-$(GOLANGCI_LINT_VERSION)
node_modules := web/ui/node_modules/.package-lock.json
schema := web/ui/src/lib/api/schema.d.ts
page_sources := $(shell find web/ui -type f -not -name '*.go' -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/test/*' -not -path '*/e2e/*' 2>/dev/null)
converter_sources := $(filter-out %_test.go,$(wildcard detect/tfjs/*.go detect/onnx/*.go))

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- set-up ---

.PHONY: deps
deps: packages $(node_modules) build/onnxruntime/libonnxruntime.so.1 build/tfjs/model.json build/share/demo.avi ## install what building needs and is missing

.PHONY: packages
packages:
	@$(setup)/packages.sh build

.PHONY: test-packages
test-packages:
	@$(setup)/packages.sh test
	@$(setup)/versitygw.sh

build/onnxruntime/libonnxruntime.so.1: $(setup)/onnxruntime.sh
	$<

build/tfjs/model.json: $(setup)/model.sh
	$<

build/share/demo.avi: $(setup)/demo.sh
	$<

$(node_modules): web/ui/package.json web/ui/package-lock.json
	cd web/ui && npm ci --no-audit --no-fund --prefer-offline
	touch $@

$(lint):
	GOBIN=$(CURDIR)/build/tools go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv build/tools/golangci-lint $@

# --- build ---

.PHONY: build
build: bin/detectd bin/lib/libonnxruntime.so.1 bin/share/default.onnx bin/share/demo.avi ## build bin/detectd and what lies beside it

# Always asked for: go build knows better than make what has changed.
.PHONY: bin/detectd
bin/detectd: web/ui/dist/index.html | packages
	go build -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o $@ .

web/ui/dist/index.html: $(node_modules) $(page_sources)
	cd web/ui && npm run --silent build
	touch $@

bin/lib/%: build/onnxruntime/%
	install -D --mode=0644 $< $@

bin/share/%: build/share/%
	install -D --mode=0644 $< $@

build/share/default.onnx: build/tfjs/model.json $(converter_sources) | bin/detectd bin/lib/libonnxruntime.so.1
	mkdir -p $(@D)
	bin/detectd models convert-default build/tfjs $@.part
	mv $@.part $@

PROVIDER ?= cuda
.PHONY: gpu
gpu: ## fetch an ONNX Runtime for NVIDIA GPUs (PROVIDER=cuda12: for drivers before 580; PROVIDER=openvino: for Intel's OpenVINO)
	@$(setup)/gpu.sh $(PROVIDER)

.PHONY: bundle
bundle: build ## put detectd and its libraries into build/bundle/detectd, for another distribution
	@packaging/bundle.sh

.PHONY: run
run: build ## build and start it with ./data (ARGS="--listen 127.0.0.1:9000")
	@exec bin/detectd run --data data $(ARGS)

.PHONY: bench
bench: build ## measure in a few minutes what this machine can carry (ARGS="--only C1"; all of it: bin/detectd bench)
	@exec bin/detectd bench --short $(ARGS)

# --- tests ---

.PHONY: test
test: test-go test-page ## run every test

.PHONY: test-go
test-go: build test-packages
	$(setup)/go-test.sh go

.PHONY: test-page
test-page: $(node_modules)
	cd web/ui && npm run --silent test

.PHONY: race
race: build test-packages ## run the Go tests with the race detector, without the long ones
	$(setup)/go-test.sh race -race -short

.PHONY: e2e
e2e: build test-packages ## only the tests of the real program, with the real page in a browser
	go test -count=1 ./pipeline/e2e

.PHONY: soak-stores
soak-stores: build ## kill the stores at 200 points, and cut their power at as many
	DETECTD_TEST_POINTS=200 go test -count=1 -timeout 60m -v -run 'Kill|Power' ./store/crash ./store/crashtest ./store/badger ./pipeline/bus
	DETECTD_TEST_POINTS=50 go test -count=1 -timeout 60m -v -run 'TestDaemonLosesItsPower' ./pipeline/e2e

# As long as DETECTD_SOAK says.
.PHONY: soak
soak: export DETECTD_SOAK ?= 1h
soak: build test-packages ## run eight cameras with a fault every 30 s (DETECTD_SOAK=1h)
	go test -count=1 -timeout 25h -v -run TestSoak ./pipeline/e2e

.PHONY: client
client: build test-packages ## test against pycocotools, the MLflow client and a plain Python pipeline, from PyPI (DETECTD_TEST_DATA=DIR: on real pictures too)
	packaging/client/run.sh

# --- checks ---

.PHONY: check
check: lint check-modules check-api race ## everything that must hold besides the tests

.PHONY: lint
lint: build $(lint) ## read the code: format, linters, types
	go vet ./...
	$(lint) run --allow-parallel-runners
	cd web/ui && npm run --silent lint
	cd web/ui && npm run --silent check

.PHONY: check-modules
check-modules:
	go mod tidy -diff
	go mod verify

.PHONY: check-api
check-api: build
	mkdir -p build
	cp --preserve $(schema) build/schema.d.ts
	$(MAKE) api
	cmp --silent $(schema) build/schema.d.ts || { echo "$(schema) was out of date: it is made anew, commit it" >&2; exit 1; }
	cp --preserve build/schema.d.ts $(schema)

.PHONY: api
api: build ## make the page's API types anew from the daemon's OpenAPI description
	bin/detectd openapi > build/openapi.json
	cd web/ui && npm run --silent api

.PHONY: fmt
fmt: $(lint) ## format the Go code
	$(lint) fmt

.PHONY: clean
clean: ## remove what was built, keep downloads and data
	rm -rf bin build/share/default.onnx build/openapi.json build/schema.d.ts
	find web/ui/dist -mindepth 1 -not -name .gitkeep -delete

.PHONY: distclean
distclean: clean ## remove downloads too, keep data
	rm -rf build web/ui/node_modules
