# What people type. Each target is a script that can be read and run by itself.
PREFIX ?= /usr/local
# Not every shell expands the ~ of PREFIX=~/.local.
override PREFIX := $(patsubst ~/%,$(HOME)/%,$(PREFIX))

.PHONY: help demo test test-engine test-formats lint install uninstall bench docs

help: ## What can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: ## Build, and deploy the example with everything that goes right and wrong
	@scripts/demo

test: ## Every test that needs neither root nor Docker
	@scripts/install-tools databases
	@scripts/test

test-engine: ## The tests that need a Docker Engine; starts one where it can
	@scripts/install-tools
	@scripts/test-engine

test-formats: ## The tests that take other formats' own tools as judges; installs these
	@scripts/install-tools
	@scripts/test-formats

lint: ## Formatting and lints, as CI checks them
	@scripts/install-tools
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features landfall-containers/engine,landfall-tests/formats -- -D warnings

install: ## Build for use, and put the programs into PREFIX/bin (PREFIX=/usr/local)
	@scripts/install-tools
	@scripts/install "$(DESTDIR)$(PREFIX)"

uninstall: ## Take them away again
	rm -f "$(DESTDIR)$(PREFIX)/bin/landfall" "$(DESTDIR)$(PREFIX)/bin/landfall-supervise"
	rm -f "$(DESTDIR)$(PREFIX)"/share/man/man1/landfall*.1
	rm -f "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/landfall"
	rm -f "$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_landfall"
	rm -f "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/landfall.fish"

bench: ## Measure, and print the table of bench/README.md
	@scripts/install-tools
	@bench/run

docs: ## Write the generated pages of docs/ anew
	LANDFALL_BLESS=1 cargo test -q -p landfall-app --lib reference
	LANDFALL_BLESS=1 cargo test -q -p landfall-cli manual
