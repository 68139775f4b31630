# Thin: each target is one or two commands; CMake and CTest do the work. Needs Debian 12 and make.
#   make run     demo: install, build, start a signer, sign with it       make test    everything CI runs
#   make build   the release binary, build/bin/containment-chamber       make full    the long forms as well
#   make e2e     a real validator client reaches finality (npm)           make bench   docs/performance.md; bench-summary
#   make lint    rules that are tools                                     make fuzz    FUZZ_SECONDS per parser

SHELL := /bin/bash
JOBS ?= 2
FUZZ_SECONDS ?= 60
export CTEST_OUTPUT_ON_FAILURE := 1

CONFIGURE := cmake -S . -G Ninja -DCC_WERROR=ON $(if $(BLST_SOURCE_DIR),-DBLST_SOURCE_DIR=$(BLST_SOURCE_DIR)) \
    $(if $(shell command -v ccache),-DCMAKE_C_COMPILER_LAUNCHER=ccache)
RELEASE := $(CURDIR)/build/bin/containment-chamber

.PHONY: run build test full e2e bench bench-summary lint fuzz clean deps deps-test test-builds

run: deps build
	tools/demo

deps:
	tools/install-deps run

deps-test: deps
	tools/install-deps test

# The one that users run: release flags, no test switches; warnings of other compilers don't stop it.
build:
	cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release $(if $(BLST_SOURCE_DIR),-DBLST_SOURCE_DIR=$(BLST_SOURCE_DIR))
	cmake --build build --target containment-chamber -j $(JOBS)

lint:
	tools/lint

# build-test: gcc, release flags and test switches, all tests. build-asan: clang, ASan+UBSan, all C tests.
# build-tsan: clang, TSan, the tests of what has threads.
test-builds: build
	$(CONFIGURE) -B build-test -DCMAKE_BUILD_TYPE=Release -DCC_TESTING=ON -DCC_RELEASE_BINARY=$(RELEASE)
	cmake --build build-test -j $(JOBS)
	$(CONFIGURE) -B build-asan -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug -DCC_TESTING=ON \
	    -DCC_SANITIZE=address,undefined -DCC_TEST_SET=asan
	cmake --build build-asan -j $(JOBS)
	$(CONFIGURE) -B build-tsan -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug -DCC_TESTING=ON \
	    -DCC_SANITIZE=thread -DCC_TEST_SET=tsan
	cmake --build build-tsan -j $(JOBS)
	tools/join-tests build-test build-asan build-tsan

test: deps-test lint test-builds
	tools/run-tests -j $(JOBS)

full: deps-test lint test-builds
	CC_FULL=1 tools/run-tests -j $(JOBS) --timeout 3600
	$(MAKE) fuzz FUZZ_SECONDS=600
	$(MAKE) e2e

fuzz: deps-test
	$(CONFIGURE) -B build-fuzz -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug -DCC_FUZZ=ON \
	    -DCC_TESTING=ON -DCC_SANITIZE=address,undefined
	cmake --build build-fuzz -j $(JOBS)
	tools/fuzz build-fuzz $(FUZZ_SECONDS)

e2e: deps build
	tools/install-deps e2e
	tests/e2e/run

bench: deps build
	cmake --build build --target bench_micro -j $(JOBS)
	tests/bench/run --build build

bench-summary: deps build
	cmake --build build --target bench_micro -j $(JOBS)
	tests/bench/summary --build build

clean:
	rm -rf build build-test build-asan build-tsan build-fuzz build-all
	[ "$$(id -u)" -ne 0 ] || rm -rf /var/lib/containment-chamber-demo /var/lib/containment-chamber-tests
