# Roost: `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# Caches live outside the checkout, so that a fresh clone on the same machine is quick.
ROOST_CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/roost
export CARGO_TARGET_DIR ?= $(ROOST_CACHE)/target

.PHONY: help engine build lint test chaos soak proof bench demo demo-down audit images crds

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

engine: ## fetch the engine library and its headers
	@deploy/engine/fetch

build: engine ## build the three programs (release)
	cargo build --release --locked -p roost-operator -p roost-gateway -p tenant-runtime

images: build ## build the images; PUSH=REGISTRY pushes them
	deploy/images/build $(if $(PUSH),--push $(PUSH)) $(CARGO_TARGET_DIR)/release

lint: engine ## rustfmt, clippy, cargo-deny, rustdoc, circles between files, doc comments
	@deploy/ci/lint

test: ## everything, with a real cluster; ARGS are passed to it (see tests/run --help)
	@tests/run $(ARGS)

chaos: ## the tests of faults, in their long version
	@tests/run --only chaos $(ARGS)

soak: engine ## the protocol in 10,000 schedules, the model in larger bounds, 2,000 killed histories: about an hour
	@tests/run --only soak $(ARGS)

proof: engine ## each record that is left to a replay in 500 killed histories: hours
	@tests/run --only proof $(ARGS)

bench: ## measure, on a cluster of its own; NAMES="select wake" chooses (see tests/bench/run)
	@tests/bench/run $(NAMES)

demo: ## a tenant's life on a local cluster
	@deploy/demo/up

demo-down: ## remove every trace of the demo
	@deploy/demo/down

audit: ## known vulnerabilities in dependencies (needs the internet)
	@deploy/ci/cargo-deny check advisories

crds: engine ## write the generated CRDs again after a change of crds/
	cargo run --quiet --locked -p roost-crds --bin generate-crds
