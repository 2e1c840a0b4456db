# Fairway. `make help` lists what there is to do; everything else installs what
# it needs (Debian packages, by apt-get) and says so.

GO       ?= go
BIN      := bin
# What the tests run for real: routers, a key-value store for the API server, a
# firewall's tools. The demo needs iproute2 and a firewall's tools.
DEMO_NEEDS := iproute2 nftables iptables ipset
TEST_NEEDS := $(DEMO_NEEDS) frr bird2 gobgpd conntrack ethtool iputils-ping keepalived jq etcd-server curl procps chromium prometheus

.DEFAULT_GOAL := help
.PHONY: help build test soak replay demo lint golden bench

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build bin/fairway and bin/gobgp
	$(GO) build -trimpath -o $(BIN)/ ./cmd/fairway github.com/osrg/gobgp/v4/cmd/gobgp

demo: build ## Play the main job on this machine and prove each step (root)
	@./scripts/need $(DEMO_NEEDS)
	@$(BIN)/fairway lab demo --gobgp $(BIN)/gobgp

test: ## Run every test, with real routers and the real kernel (root)
	@./scripts/need $(TEST_NEEDS)
	$(GO) vet ./...
	$(GO) run ./e2e/kubetest/build
	$(GO) test -timeout 40m ./...

# A seed of its own for each soak; make soak FAIRWAY_CHAOS_SEED=7 plays that of another again.
ifndef FAIRWAY_CHAOS_SEED
FAIRWAY_CHAOS_SEED := $(shell od -An -N3 -tu4 /dev/urandom | tr -d ' ')
endif
FAIRWAY_CHAOS_STEPS ?= 1000

soak: ## Ten minutes of BFD on busy processors, and misfortune in the lab for about an hour, from a random seed (root)
	@./scripts/need $(TEST_NEEDS)
	$(GO) run ./e2e/kubetest/build
	FAIRWAY_BFD_BUSY=10m $(GO) test ./e2e/bfd -run "TestPathsThatFail" -count 1 -v -timeout 30m
	@echo "to play it again: make soak FAIRWAY_CHAOS_SEED=$(FAIRWAY_CHAOS_SEED) FAIRWAY_CHAOS_STEPS=$(FAIRWAY_CHAOS_STEPS)"
	FAIRWAY_CHAOS_SEED=$(FAIRWAY_CHAOS_SEED) FAIRWAY_CHAOS_STEPS=$(FAIRWAY_CHAOS_STEPS) $(GO) test ./e2e/chaos ./e2e/live -run "TestWhatever|TestMisfortune" -count 1 -v -p 1 -timeout 6h

replay: build ## Play recorded changes of Kube-OVN in their own time to two daemons and a router (root, 9 minutes)
	@./scripts/need $(TEST_NEEDS)
	$(GO) run ./e2e/replay/play -fairway $(BIN)/fairway e2e/replay/testdata/*.jsonl

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt -w $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

golden: ## Rewrite golden files and generated documentation; read the diff
	$(GO) test ./policy ./export ./status ./web -update
	$(GO) test ./e2e/install -run 'Generated|Schema' -update-manifests
	$(GO) run ./cmd/fairway docs docs

bench: ## Run the benchmarks
	@./scripts/need $(TEST_NEEDS)
	$(GO) run ./e2e/kubetest/build
	$(GO) test -run '^$$' -bench . -benchmem -timeout 60m ./...
