# Everything a person types. `make` alone lists it.
SHELL := /bin/bash
export CARGO_TARGET_DIR ?= $(CURDIR)/target
PIPE := $(CARGO_TARGET_DIR)/release/pipe
# nextest where it is installed: it runs tests in parallel, each in a process of its own
TEST := $(if $(shell command -v cargo-nextest),nextest run $(if $(CI),--profile ci),test)
# what nextest writes of the tests of one run
REPORT := target/nextest/$(if $(CI),ci,default)/junit.xml

.DEFAULT_GOAL := help
.PHONY: help demo demo-stop test browser screenshots lint images setup torture bench order release

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup images release ## run the shop's pipeline here, deploy it from a server, under load and with a bug, and to a stand-in for AWS
	@cargo build --release --locked --package fake-aws --bin fake-aws
	@$(PIPE) run -W pipelines/shop.yml --var SCAN_DB=services/advisories --var SCAN_GATE=services/advisories/gate.yml
	@scripts/demo-done.sh && scripts/demo-server.sh $(PIPE) $(CARGO_TARGET_DIR)/demo
	@scripts/demo-aws.sh $(PIPE) $(CARGO_TARGET_DIR)/release/fake-aws

demo-stop: ## end and remove all that `make demo` left: server, proxies, containers
	@scripts/demo-server.sh stop $(CARGO_TARGET_DIR)/demo

test: setup images lint ## run all tests and checks
	@scripts/validators.sh $(CARGO_TARGET_DIR)/validators
	@rm -f $(REPORT)
	cargo $(TEST) --workspace --locked; code=$$?; scripts/skipped.sh $(REPORT); exit $$code
	scripts/browser.sh $(CARGO_TARGET_DIR)/debug/pipe

browser: setup ## run the tests of the pages in Chromium
	cargo build --locked --package pipe
	cargo build --locked --package tests --example stage
	scripts/browser.sh $(CARGO_TARGET_DIR)/debug/pipe

screenshots: setup ## make the pictures of docs/ui.md again
	cargo build --locked --package pipe
	scripts/browser.sh $(CARGO_TARGET_DIR)/debug/pipe screenshots

lint: setup images ## check formatting, clippy without warnings, the services' linters, cargo-deny where it is installed
	cargo fmt --all --check
	scripts/services.sh lint
	cargo clippy --workspace --all-targets --locked -- -D warnings
	$(if $(shell command -v cargo-deny),cargo deny --locked check)

images: setup ## pull the base images, or build stand-ins where no registry is reachable
	@scripts/images.sh

torture: setup images release ## kill a real server and a simulated one at many more moments than the tests do
	scripts/torture.sh $(PIPE) 5 20
	PIPE_TORTURE=1 cargo $(TEST) --locked --package engine service:: simulation::
	PIPE_TORTURE=1 PIPE_TORTURE_PROGRAM=$(PIPE) cargo $(TEST) --locked --package pipe --test torture

bench: setup images release ## measure speed, side by side with act where it is installed
	@scripts/setup.sh haproxy wrk
	cargo build --release --locked --package scanners --example advisories
	benches/run.sh $(PIPE)

setup: ## install or name what is missing on this machine
	@scripts/setup.sh

order: release ## note anew which functions an idle server needs, for the linker (after a change of dependencies; needs valgrind)
	benches/order.py $(PIPE) > $(CARGO_TARGET_DIR)/start.order && mv $(CARGO_TARGET_DIR)/start.order runner/pipe/start.order

release:
	cargo build --release --locked --package pipe
