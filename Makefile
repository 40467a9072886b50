# `make demo` sets everything up and trains a net on real data; `make test` sets everything up and runs all tests.
CARGO ?= cargo
# Where nobody looks on, a build says nothing unless it fails.
QUIET := $(shell [ -t 2 ] || echo --quiet)

demo: libtorch
	$(CARGO) build --release $(QUIET)
	@scripts/demo

test: libtorch numpy
	@scripts/test

# The reliability battery in full: some minutes of kills, torn logs, crowds and signals. It ends with one line of counts.
battery: libtorch
	@scripts/battery

# Checks and measures the CUDA kernels on this machine's GPU.
gpu-check:
	@scripts/gpu-check

# The same for a machine without a network: target/linf-gpu.tar.xz.
gpu-bundle:
	@scripts/gpu-bundle

# The compiler of CUDA kernels, for training on a GPU.
nvrtc:
	@scripts/fetch-nvrtc

libtorch:
	@scripts/fetch-libtorch

numpy:
	@scripts/fetch-numpy

.PHONY: demo test battery gpu-check gpu-bundle nvrtc libtorch numpy
