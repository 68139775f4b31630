# Thin: each target is one or two commands; CMake and CTest do the work. Needs Debian 12 and make.
#   make run     demo: install, build, start a signer, sign with it       make test    everything CI runs
#   make build   the release binary, build/bin/containment-chamber       make full    the long forms as well
#   make e2e     a real validator client reaches finality (npm)           make bench   docs/performance.md; bench-summary, bench-postgres
#   make lint    rules that are tools                                     make fuzz    FUZZ_SECONDS per parser
#   make enclave-test   an image boots in QEMU's nitro-enclave machine (tools/enclave-build)   make enclave-reproduce   built twice, same PCR0
#   make newcomer  README's commands in a fresh clone, timed: from `git clone` to a signature in under ten minutes
#   make docs    the documentation as a static site, build/docs/index.html
#   make screenshots    the status page in a real browser: axe-core, keyboard, the pictures of docs/status-page.md
#   make package     the Debian package, build/package (docs/deploy.md)        make package-test   and all that is tested of it, of the chart and of the modules
#   make reproduce    the release binary built twice, the same bytes      make sbom    build/containment-chamber.spdx.json (docs/release.md)
#   make arm64   cross-built, its unit tests run under qemu-user (docs/testing.md)
#   make torture TORTURE_SECONDS=1800 TORTURE_BACKENDS=sqlite,postgres,dynamodb: conflicting clients while everything fails

SHELL := /bin/bash
JOBS ?= 2
# Tests at once: most wait (cmake/Tests.cmake says which don't).
PLACES ?= $(shell echo $$((2 * $(JOBS))))
FUZZ_SECONDS ?= 60
export CTEST_OUTPUT_ON_FAILURE := 1

# Of test builds alone. mold is looked for when it is used, since deps-test installs it: they link hundreds of programs. A cache
# that is installed just now is empty, and costs.
CCACHE := $(shell command -v ccache)
CONFIGURE = cmake -S . -G Ninja -DCC_WERROR=ON $(if $(BLST_SOURCE_DIR),-DBLST_SOURCE_DIR=$(BLST_SOURCE_DIR)) \
    -DCC_FULL=$(if $(CC_FULL),ON,OFF) $(if $(CCACHE),-DCMAKE_C_COMPILER_LAUNCHER=ccache) \
    $(if $(shell command -v mold),-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=mold)
RELEASE := $(CURDIR)/build/bin/containment-chamber

.PHONY: run newcomer build test full e2e enclave-test enclave-reproduce docs screenshots package package-test reproduce sbom arm64 bench bench-postgres bench-summary lint fuzz torture clean deps deps-test test-builds

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
	tools/run-tests -j $(PLACES)

full: export CC_FULL = 1
full: deps-test lint test-builds
	tools/run-tests -j $(PLACES) --timeout 3600
	$(MAKE) fuzz FUZZ_SECONDS=600
	$(MAKE) e2e package-test screenshots reproduce arm64

fuzz: deps-test
	$(CONFIGURE) -B build-fuzz -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug -DCC_FUZZ=ON \
	    -DCC_TESTING=ON -DCC_SANITIZE=address,undefined
	cmake --build build-fuzz -j $(JOBS)
	tools/fuzz build-fuzz $(FUZZ_SECONDS)

torture: export CC_FULL = 1
torture: deps-test
	$(CONFIGURE) -B build-test -DCMAKE_BUILD_TYPE=Release -DCC_TESTING=ON
	cmake --build build-test -j $(JOBS)
	CC_BUILD_DIR=$(CURDIR)/build-test tests/torture/torture.py --report docs/reliability.md

e2e: deps build
	tools/install-deps e2e
	tests/e2e/run

newcomer:
	tests/newcomer

docs:
	tools/install-deps docs
	tools/docs-site

# Not part of `make test`: a browser is more to install than all the rest.
screenshots: deps-test
	tools/install-deps browser
	$(CONFIGURE) -B build-test -DCMAKE_BUILD_TYPE=Release -DCC_TESTING=ON
	cmake --build build-test --target containment-chamber -j $(JOBS)
	npm install --silent --prefix build-test/browser axe-core@4
	CC_BUILD_DIR=$(CURDIR)/build-test CC_SCREENSHOTS=$(CURDIR)/docs/images \
	    pytest-3 -q -rs -p no:cacheprovider --timeout=300 tests/integration/test_status_browser.py

# Not part of `make test`: the first run builds a kernel and QEMU from Debian's sources, and keeps them (tools/enclave-build).
enclave-test: deps-test build
	tools/install-deps enclave
	cmake --build build --target enclave-init -j $(JOBS)
	tests/enclave/run

# The whole way, from two copies of the source in two places; the kernel is the real one (KERNEL: its version, of a manifest), and
# with CC_FULL=1 is built twice, too.
enclave-reproduce: deps
	tools/install-deps enclave
	tests/enclave/reproduce $(KERNEL)

package: deps
	tools/install-deps package
	tools/package

# What `make test` leaves out of it: the package built from source, lintian, zsh, the chart's templates, the modules' language.
package-test: deps-test
	tools/install-deps package
	$(CONFIGURE) -B build-test -DCMAKE_BUILD_TYPE=Release -DCC_TESTING=ON
	cmake --build build-test --target containment-chamber -j $(JOBS)
	npm install --silent --no-audit --no-fund --prefix build-test/hcl @cdktf/hcl2json@0.21
	CC_FULL=1 CC_BUILD_DIR=$(CURDIR)/build-test CC_HCL2JSON=$(CURDIR)/build-test/hcl pytest-3 -q -rs -p no:cacheprovider \
	    $(addprefix tests/integration/test_,completion.py container.py deploy.py helm.py package.py terraform.py)

reproduce: deps
	tools/reproduce

sbom: deps build
	tools/sbom $(RELEASE) --output build/containment-chamber.spdx.json

# Nothing of arm64 is installed on this machine: tools/arm64-sysroot unpacks it below build-arm64.
arm64: deps
	tools/install-deps arm64
	tools/arm64-sysroot build-arm64/sysroot
	cmake -S . -B build-arm64 -G Ninja -DCC_WERROR=ON -DCMAKE_TOOLCHAIN_FILE=cmake/Arm64.cmake -DCMAKE_BUILD_TYPE=Release -DCC_FULL=ON \
	    $(if $(BLST_SOURCE_DIR),-DBLST_SOURCE_DIR=$(BLST_SOURCE_DIR))
	cmake --build build-arm64 --target containment-chamber $$(tests/arm64/run --targets) -j $(JOBS)
	tests/arm64/run build-arm64

bench: deps build
	cmake --build build --target bench_micro -j $(JOBS)
	tests/bench/run --build build

bench-postgres: deps deps-test build
	tests/bench/postgres --build build

bench-summary: deps build
	cmake --build build --target bench_micro -j $(JOBS)
	tests/bench/summary --build build

clean:
	rm -rf build build-test build-asan build-tsan build-fuzz build-all build-arm64
	[ "$$(id -u)" -ne 0 ] || rm -rf /var/lib/containment-chamber-demo /var/lib/containment-chamber-tests
