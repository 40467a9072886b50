# `make demo` sets everything up and trains a net on real data; `make test` sets everything up and runs all tests.
CARGO ?= cargo

demo: libtorch
	$(CARGO) build --release --quiet
	@scripts/demo

test: libtorch numpy
	@scripts/test

# The reliability battery in full: some minutes of kills, torn logs, crowds and signals. It ends with one line of counts.
battery: libtorch
	@scripts/battery

libtorch:
	@scripts/fetch-libtorch

numpy:
	@scripts/fetch-numpy

.PHONY: demo test battery libtorch numpy
