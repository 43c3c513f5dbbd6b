# Everything here sets itself up: each target installs what it needs first, and nothing the second time.
# The work is done in scripts/; each script begins with what it does.

.DEFAULT_GOAL := help
.PHONY: help run stop test bench lint fuzz dimspace-long install setup build
# One build at a time: the targets share servers, ports and the target directory.
.NOTPARALLEL:

help: ## print this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

run: install ## start a private PostgreSQL, import two models, show what deduplication saved
	@scripts/run

stop: ## stop the PostgreSQL of make run; REMOVE=1 removes its data too
	@scripts/stop $(if $(REMOVE),--remove)

test: ## build, install, fetch the real model files, run every test
	@scripts/setup test
	@scripts/build
	@scripts/install
	@scripts/pgvector
	@scripts/test

bench: ## measure speed and size against peers, write target/bench/results.json
	@scripts/setup bench
	@scripts/build
	@scripts/install
	@scripts/pgvector
	@scripts/bench

lint: ## check format, clippy, and the lines that are never crossed
	@scripts/setup lint
	@scripts/lint

fuzz: ## run every fuzz target for FUZZ_SECONDS (600)
	@scripts/setup fuzz
	@scripts/fuzz

dimspace-long: ## run the long proofs of the index dimspace
	@scripts/setup test
	@scripts/build
	@scripts/install
	@scripts/dimspace_long

install: build ## put the extension into the PostgreSQL of this machine (DESTDIR is honoured)
	@scripts/install

build: setup ## build the extension and the program atoms
	@scripts/build

setup: ## install the packages that a build needs
	@scripts/setup
