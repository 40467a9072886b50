# `make demo` sets everything up and trains a net on real data; `make test` sets everything up and runs all tests.
CARGO ?= cargo

demo: libtorch
	$(CARGO) build --release --quiet
	@scripts/demo

test: libtorch
	@scripts/test

libtorch:
	@scripts/fetch-libtorch

.PHONY: demo test libtorch
