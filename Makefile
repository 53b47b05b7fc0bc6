# The front door: every verb installs the Debian packages that it lacks, configures and builds what it needs.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?=
BENCH_ROWS ?= 100000
JOBS ?= $(shell nproc)
SOURCES = $(shell git ls-files '*.cpp' '*.h')

.PHONY: all help build demo test bench bench-search asan tsan fuzz soak image format lint
all: build

help:
	@echo "make           build the program: build/release/mii"
	@echo "make demo      classify and embed images"
	@echo "make test      build and run the tests"
	@echo "make bench     measure; writes build/bench.json"
	@echo "make bench-search  measure collections of BENCH_ROWS=$(BENCH_ROWS) vectors, and numpy, faiss-cpu and usearch beside them"
	@echo "make asan      the components' tests with AddressSanitizer and UBSan"
	@echo "make tsan      the engine's and the service's tests with ThreadSanitizer"
	@echo "make fuzz      each fuzz target, or FUZZ_TARGETS='fuzz_png ...', for FUZZ_SECONDS=$(FUZZ_SECONDS)"
	@echo "make soak      the HTTP service under load and faults for some minutes"
	@echo "make image     build the container image with buildah and try it"
	@echo "make format    format the sources"
	@echo "make lint      check the format and run clang-tidy"

build:
	@scripts/install-packages build test
	@scripts/fetch-docs-assets build/docs-assets
	cmake --preset release
	cmake --build --preset release -j $(JOBS)

demo: build
	scripts/demo.sh

test:
	@scripts/install-packages build test train
	@scripts/fetch-docs-assets build/docs-assets
	@scripts/serve-test-venv build/serve-venv
	@scripts/postgres-test-venv build/postgres-venv
	cmake --preset release -DMII_BUILD_TRAINER=ON
	cmake --build --preset release -j $(JOBS)
	ctest --preset release -j $(JOBS)

bench: build
	scripts/demo.sh --model-only
	build/release/mii bench --model build/demo-model --json | tee build/bench.json

bench-search:
	@scripts/install-packages build test
	cmake --preset release
	cmake --build --preset release -j $(JOBS) --target search-bench
	@[ -d build/search-venv ] || { python3 -m venv build/search-venv && build/search-venv/bin/pip install -q faiss-cpu usearch numpy; }
	build/release/bench/search-bench build/bench-collection $(BENCH_ROWS) build/bench-queries.npy build/bench-data.npy
	build/search-venv/bin/python bench/search_vs_others.py build/bench-queries.npy build/bench-data.npy
	@rm -f build/bench-queries.npy build/bench-data.npy

asan:
	@scripts/install-packages build test
	cmake --preset asan
	cmake --build --preset asan -j $(JOBS) --target component_tests
	ctest --preset asan -j $(JOBS)

# One OpenMP thread, whatever the engine asks for: libgomp's own synchronisation is not visible to the sanitizer.
tsan:
	@scripts/install-packages build test
	cmake --preset tsan
	cmake --build --preset tsan -j $(JOBS)
	OMP_THREAD_LIMIT=1 build/tsan/tests/engine/engine_test --gtest_filter=*Threads:*ManyThreads
	OMP_THREAD_LIMIT=1 build/tsan/tests/serve/serve_test

fuzz:
	@scripts/install-packages build fuzz
	cmake --preset fuzz
	cmake --build --preset fuzz -j $(JOBS) --target $(or $(FUZZ_TARGETS),fuzzers)
	@printf '%s\n' $(or $(FUZZ_TARGETS),$$(cd build/fuzz/fuzz && ls -d fuzz_*)) \
	  | xargs -P $(JOBS) -I NAME scripts/fuzz-target NAME $(FUZZ_SECONDS)

soak: build
	python3 tests/serve/soak.py build/release/mii --long

image: build
	scripts/build-image

format:
	@scripts/install-packages lint
	clang-format -i $(SOURCES)

# The trainer is left out: it needs LibTorch, which this does not install.
LINTED = $(filter-out src/train/% apps/mii_train.cpp,$(filter src/%.cpp apps/%.cpp,$(SOURCES)))
lint:
	@scripts/install-packages build test lint
	clang-format --dry-run -Werror $(SOURCES)
	cmake --preset release
	@echo "clang-tidy on $(words $(LINTED)) files"
	@printf '%s\n' $(LINTED) | xargs -P $(JOBS) -n 1 clang-tidy --quiet -p build/release
