# One line for each habit; `make` lists them. A Makefile, because make is where a linker is: nothing to install, nothing to compile.
# FEATURES is what runs on any system: `full` is every feature of the program but v4l2.
FEATURES = --workspace --features edge-ocr-cli/full,edge-ocr-quantize/onnx
FUZZ_SECONDS ?= 60
PROGRAM ?= target/release/edge-ocr
TARGETS ?= generic

.PHONY: help fmt lint quick test test-board golden doc docs licences examples bare-metal bench fuzz sanitise boards systemd package publish-check ci nightly

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | expand -t 16

fmt: ## format the code
	cargo fmt --all

lint: ## format and lints as CI wants them
	cargo fmt --all --check
	cargo clippy --release $(FEATURES) --all-targets -- -D warnings
	cargo clippy --release --package edge-ocr -- -D warnings
	cargo clippy --release --package edge-ocr-engine --no-default-features -- -D warnings
	cargo clippy --release --no-default-features --features packaging -- -D warnings
	cargo clippy --release --no-default-features --features node,v4l2,tls -- -D warnings

quick: ## the unit tests, without the float engine and broker: while you work
	cargo test --workspace --lib --bins

test: models/.fetch ## all tests; needs Python 3.11 with pip once, and mosquitto
	cargo test --release $(FEATURES)

models/.fetch:
	models/fetch

test-board: ## tests of the program as boards have it
	cargo test --release --no-default-features --features packaging

golden: ## accept new texts of the golden images, arena sizes and test plans; look at `git diff` then
	EDGE_OCR_UPDATE_GOLDEN=1 cargo test --release --test golden
	EDGE_OCR_UPDATE_GOLDEN=1 cargo test --release -p edge-ocr-quantize --test targets
	EDGE_OCR_UPDATE=1 cargo test --release -p edge-ocr-quantize --test plan

doc: ## pages of the code
	RUSTDOCFLAGS="-D warnings" cargo doc --release --no-deps --workspace --features edge-ocr-cli/full

docs: ## documents: links, names, commands; PROGRAM=target/release/edge-ocr
	.ci/docs $(PROGRAM)

licences: ## licences of all crates
	.ci/licences

examples: ## programs of examples/, and what they print
	.ci/examples

bare-metal: ## the engine without an operating system, under qemu
	engine/examples/bare_metal/run qemu

bench: ## kernels, operators, models and pipeline
	cargo bench --bench kernels --bench ops --bench models --bench pipeline

fuzz: export EDGE_OCR_FUZZ_SECONDS = $(FUZZ_SECONDS)
fuzz: export EDGE_OCR_FUZZ_SEED := $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
fuzz: ## damaged images, plans, models, streams and segments for FUZZ_SECONDS=60 per test, with a new seed
	@echo EDGE_OCR_FUZZ_SEED=$(EDGE_OCR_FUZZ_SEED)
	cargo test --release --package edge-ocr --test robustness
	cargo test --release --package edge-ocr-engine --test plan
	cargo test --release --package edge-ocr-quantize --test damage
	cargo test --release --package edge-ocr-node --lib -- camera:: outbox::

sanitise: ## the engine under AddressSanitizer and ThreadSanitizer; the second needs rustup's rust-src
	engine/tests/sanitise
	engine/tests/race

boards: ## tests on emulated ARM boards; Debian 12
	packaging/cross-debian test

systemd: ## the unit under a real systemd, as root
	tests/systemd/run $(PROGRAM)

package: ## packages of TARGETS=generic in target/dist
	packaging/release target/dist $(TARGETS)

publish-check: ## what `cargo publish` would upload: every crate packed, compiled from its package, at most 10 MB
	packaging/publish --dry-run

ci: ## all that must pass
	.ci/run

nightly: ## the slow rest
	.ci/nightly
