# Fairway. `make help` lists what there is to do; everything else installs what
# it needs (Debian packages, by apt-get) and says so.

GO       ?= go
BIN      := bin
# What the tests run for real: routers, a key-value store for the API server, a
# firewall's tools. The demo needs iproute2 and a firewall's tools.
DEMO_NEEDS := iproute2 nftables iptables ipset
TEST_NEEDS := $(DEMO_NEEDS) frr bird2 gobgpd conntrack ethtool iputils-ping keepalived jq etcd-server curl procps chromium groff-base prometheus $(PAGE_NEEDS)
# What builds the page. Node.js may be Debian's or another; 18 will do.
PAGE_NEEDS := node:nodejs npm:npm

.DEFAULT_GOAL := help
.PHONY: help build page pictures man install image image-check image-pins test soak churn replay demo lint golden bench bench-compare bench-page bench-all scale scale-page

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build bin/fairway and bin/gobgp
	$(GO) build -trimpath -o $(BIN)/ ./cmd/fairway github.com/osrg/gobgp/v4/cmd/gobgp

# Times in what is made are those of the last commit, so that it is the same whoever makes it.
ifndef SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
endif
export SOURCE_DATE_EPOCH

man: build ## Write bin/man, a manual page for each command
	@mkdir -p $(BIN)/man
	@$(BIN)/fairway docs --man $(BIN)/man

PREFIX ?= /usr/local
COMPLETIONS = bash:bash-completion/completions/fairway zsh:zsh/site-functions/_fairway fish:fish/vendor_completions.d/fairway.fish

install: man ## Install fairway, kubectl-fairway, manual pages and completions below PREFIX
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin $(BIN)/fairway
	ln -sf fairway $(DESTDIR)$(PREFIX)/bin/kubectl-fairway
	install -D -m 755 scripts/kubectl_complete-fairway -t $(DESTDIR)$(PREFIX)/bin
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 $(BIN)/man/*.1
	@set -e; for each in $(COMPLETIONS); do to=$(DESTDIR)$(PREFIX)/share/$${each#*:}; \
	  mkdir -p "$$(dirname "$$to")"; $(BIN)/fairway completion "$${each%%:*}" > "$$to"; echo "$$to"; done

VERSION ?= $(shell awk '$$1 == "appVersion:" { print $$2 }' manifests/chart/Chart.yaml)
IMAGE_ARCH ?= amd64,arm64
REVISION := $(shell git rev-parse --verify -q HEAD 2>/dev/null)
IMAGE_FLAGS = -arch $(IMAGE_ARCH) -version $(VERSION) -revision "$(REVISION)"

image: ## Write dist/fairway-VERSION.oci.tar, the container image, from Debian's packages, and what it is made of
	cd tools && $(GO) run ./image $(IMAGE_FLAGS) -out $(CURDIR)/dist

image-check: image ## Make the image again and compare every byte, then run it in a namespace (root)
	@./scripts/need $(DEMO_NEEDS) jq
	cd tools && $(GO) run ./image $(IMAGE_FLAGS) -out $(CURDIR)/dist/again
	@./scripts/image-check dist/fairway-$(VERSION).oci.tar dist/again/fairway-$(VERSION).oci.tar

image-pins: ## Pin the newest Debian packages for the image
	cd tools && $(GO) run ./image -resolve

demo: build ## Play the main job on this machine and prove each step (root)
	@./scripts/need $(DEMO_NEEDS)
	@$(BIN)/fairway lab demo --gobgp $(BIN)/gobgp

test: ## Run every test, with real routers and the real kernel (root)
	@./scripts/need $(TEST_NEEDS)
	$(GO) vet ./...
	$(GO) run ./e2e/kubetest/build
	cd tools && $(GO) test ./image
	$(GO) test -timeout 40m ./...

# A seed of its own for each soak; make soak FAIRWAY_CHAOS_SEED=7 plays that of another again.
ifndef FAIRWAY_CHAOS_SEED
FAIRWAY_CHAOS_SEED := $(shell od -An -N3 -tu4 /dev/urandom | tr -d ' ')
endif
FAIRWAY_CHAOS_STEPS ?= 1000

soak: ## Ten minutes of BFD on busy processors, an hour of misfortune in the lab from a random seed, and an hour of churn (root)
	@./scripts/need $(TEST_NEEDS)
	$(GO) run ./e2e/kubetest/build
	FAIRWAY_BFD_BUSY=10m $(GO) test ./e2e/bfd -run "TestPathsThatFail" -count 1 -v -timeout 30m
	@echo "to play it again: make soak FAIRWAY_CHAOS_SEED=$(FAIRWAY_CHAOS_SEED) FAIRWAY_CHAOS_STEPS=$(FAIRWAY_CHAOS_STEPS)"
	FAIRWAY_CHAOS_SEED=$(FAIRWAY_CHAOS_SEED) FAIRWAY_CHAOS_STEPS=$(FAIRWAY_CHAOS_STEPS) $(GO) test ./e2e/chaos ./e2e/live -run "TestWhatever|TestMisfortune" -count 1 -v -p 1 -timeout 6h
	@$(MAKE) --no-print-directory churn

FAIRWAY_CHURN ?= 1h

churn: build ## Change one of 1,000 Subnets ten times a second for an hour, with routers that come and go: nothing grows (root)
	@./scripts/need $(TEST_NEEDS)
	$(GO) run ./e2e/kubetest/build
	FAIRWAY_CHURN=$(FAIRWAY_CHURN) FAIRWAY_BENCH_BINARY=$(CURDIR)/$(BIN)/fairway $(GO) test ./e2e/bench -run '^$$' -bench Churn -benchtime 1x -timeout 6h

replay: build ## Play recorded changes of Kube-OVN in their own time to two daemons and a router (root, 9 minutes)
	@./scripts/need $(TEST_NEEDS)
	$(GO) run ./e2e/replay/play -fairway $(BIN)/fairway e2e/replay/testdata/*.jsonl

page: ## Build the page again (web/ui/dist, which is committed), after a change of web/ui/src
	@./scripts/need $(PAGE_NEEDS)
	cd web/ui && npm ci && npm run check && npm run build

pictures: ## Take the pictures of docs/pictures again
	@./scripts/need $(PAGE_NEEDS) chromium
	FAIRWAY_PICTURES=$(CURDIR)/docs/pictures $(GO) test ./e2e/page -run TestPage/works -count 1

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt -w $$unformatted"; exit 1; }
	$(GO) vet ./...
	cd tools && $(GO) vet ./image
	$(GO) tool staticcheck ./...

golden: ## Rewrite golden files and generated documentation; read the diff
	UPDATE_SCRIPTS=1 $(GO) test ./cmd/fairway -run ErrorsSay
	$(GO) test ./policy ./export ./status ./picture ./web -update
	$(GO) test ./e2e/install -run 'Generated|Schema' -update-manifests
	$(GO) run ./cmd/fairway docs docs

# make bench QUICK=1 takes three minutes instead of twelve, and measures less of everything.
QUICK ?=
BENCH_TIMES ?= $(if $(QUICK),1,6)
# The revision to compare with: the last tag.
BENCH_BASE ?=

bench: build ## Measure what a user feels beside a floor, and the core; print one table, compare the core with the last tag (root)
	@./scripts/need $(TEST_NEEDS)
	$(GO) run ./e2e/kubetest/build
	@rm -rf $(BIN)/bench && mkdir -p $(BIN)/bench
	FAIRWAY_BENCH_QUICK=$(QUICK) FAIRWAY_BENCH_BINARY=$(CURDIR)/$(BIN)/fairway FAIRWAY_BENCH_OUT=$(CURDIR)/$(BIN)/bench/felt.txt \
	  $(GO) test ./e2e/bench -run '^$$' -bench Table -benchtime 1x -timeout 40m
	./scripts/bench-core . $(BENCH_TIMES) > $(BIN)/bench/core.txt
	@$(GO) run ./e2e/bench/table $(BIN)/bench/felt.txt $(BIN)/bench/core.txt | tee $(BIN)/bench.md
	@[ -n "$(QUICK)" ] || ./scripts/bench-compare $(BIN)/bench $(BENCH_TIMES) $(BENCH_BASE)

bench-compare: ## Compare the core's benchmarks with those of another revision: BENCH_BASE=REV, or the last tag
	@rm -f $(BIN)/bench/core.txt
	@./scripts/bench-compare $(BIN)/bench $(BENCH_TIMES) $(BENCH_BASE)

bench-page: ## Put the last bench's table into docs/performance.md
	$(GO) run ./e2e/bench/table -page docs/performance.md $(BIN)/bench/felt.txt $(BIN)/bench/core.txt

scale: build ## Measure what docs/scale.md counts with: 1, 10 and 50 daemons with one API server and one router (root)
	@./scripts/need $(TEST_NEEDS)
	$(GO) run ./e2e/kubetest/build
	@mkdir -p $(BIN)/bench && rm -f $(BIN)/bench/scale.txt
	FAIRWAY_BENCH_QUICK=$(QUICK) FAIRWAY_BENCH_BINARY=$(CURDIR)/$(BIN)/fairway FAIRWAY_BENCH_OUT=$(CURDIR)/$(BIN)/bench/scale.txt \
	  $(GO) test ./e2e/bench -run '^$$' -bench Scale -benchtime 1x -timeout 40m
	@$(GO) run ./e2e/bench/table $(BIN)/bench/scale.txt

scale-page: ## Put the last scale's table into docs/scale.md
	$(GO) run ./e2e/bench/table -page docs/scale.md $(BIN)/bench/scale.txt

bench-all: ## Run every benchmark of every package but that of `make bench` (root)
	@./scripts/need $(TEST_NEEDS)
	$(GO) run ./e2e/kubetest/build
	$(GO) test -run '^$$' -bench . -benchmem -timeout 60m $$($(GO) list ./... | grep -v /e2e/bench)
