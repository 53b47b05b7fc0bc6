# The front door: every verb installs the Debian packages that it lacks, configures and builds what it needs.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?=
BENCH_ROWS ?= 100000
JOBS ?= $(shell nproc)
SOURCES = $(shell git ls-files '*.cpp' '*.h')

.PHONY: all help build demo test wheel bench bench-search bench-python bench-peers reference-numbers onnx-graphs asan tsan fuzz soak image image-gpu cuda format lint
all: build

help:
	@echo "make           build the program: build/release/mii"
	@echo "make demo      classify and embed images"
	@echo "make test      build and run the tests"
	@echo "make wheel     build the Python wheel: build/wheels/*.whl"
	@echo "make bench     measure; writes build/bench.json"
	@echo "make bench-search  measure collections of BENCH_ROWS=$(BENCH_ROWS) vectors, and numpy, faiss-cpu and usearch beside them; pgvector beside 100000"
	@echo "make bench-python  measure the Python package beside the program"
	@echo "make bench-peers PEERS_IMAGES=FOLDER  measure OpenVINO and ONNX Runtime beside PEERS_MODEL=$(PEERS_MODEL), and pipelines from JPEG files to vectors"
	@echo "make reference-numbers  record the public Python implementation's numbers again (PyTorch: gigabytes)"
	@echo "make onnx-graphs  export tests/data/onnx from the public Python implementation again (PyTorch: gigabytes)"
	@echo "make asan      the components' tests with AddressSanitizer and UBSan"
	@echo "make tsan      the engine's and the service's tests with ThreadSanitizer"
	@echo "make fuzz      each fuzz target, or FUZZ_TARGETS='fuzz_png ...', for FUZZ_SECONDS=$(FUZZ_SECONDS)"
	@echo "make soak      the HTTP service under load and faults for some minutes"
	@echo "make image     build the container image with buildah and try it"
	@echo "make cuda      compile the CUDA backend alone, where nvcc is"
	@echo "make image-gpu build the container image with the CUDA backend"
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
	@scripts/install-packages build test train python
	@scripts/fetch-docs-assets build/docs-assets
	@scripts/serve-test-venv build/serve-venv
	@scripts/fetch-axe build/axe.min.js
	@scripts/postgres-test-venv build/postgres-venv
	@scripts/onnx-test-venv build/onnx-venv
	@scripts/python-venv build/python-venv
	cmake --preset release -DMII_BUILD_TRAINER=ON -DMII_BUILD_PYTHON=$(PYTHON_CAN_BUILD)
	cmake --build --preset release -j $(JOBS)
	ctest --preset release -j $(JOBS)

# The package is built where PyPI could be reached.
PYTHON_CAN_BUILD = $$([ -d build/python-venv ] && echo ON || echo OFF)
wheel:
	@scripts/install-packages build python
	@scripts/fetch-docs-assets build/docs-assets
	@scripts/python-venv build/python-venv
	@[ -d build/python-venv ] || { echo "wheel: PyPI, from which nanobind comes, cannot be reached" >&2; exit 1; }
	cmake --preset release -DMII_BUILD_PYTHON=ON
	cmake --build --preset release -j $(JOBS) --target _core _core_stub mii-cli
	scripts/build-wheel build/release build/wheels

# REFERENCE: a clone of github.com/visual-layer/MedImageInsight; made where it is missing.
REFERENCE ?= build/reference
build/reference-venv:
	@[ -d $(REFERENCE) ] || git clone --depth 1 https://github.com/visual-layer/MedImageInsight $(REFERENCE)
	python3 -m venv $@ && $@/bin/pip install -q torch torchvision timm transformers==4.46.2 ftfy==6.2.3 einops mup pyyaml \
	  pandas numpy pillow sentencepiece fvcore tenacity requests || { rm -rf $@; exit 1; }

reference-numbers: build build/reference-venv
	scripts/demo.sh --model-only
	build/reference-venv/bin/python python/tests/record_reference.py $(REFERENCE) python/tests/reference.npz \
	  starter=models/starter full=build/demo-model

onnx-graphs: build build/reference-venv
	build/reference-venv/bin/pip install -q onnx onnxscript
	build/reference-venv/bin/python tests/onnx/make_graphs.py $(REFERENCE) build/release/mii-procedural

# With REFERENCE_PYTHON=build/reference-venv/bin/python also beside the public implementation.
bench-python: wheel
	@[ -d build/bench-venv ] || python3 -m venv build/bench-venv
	build/bench-venv/bin/pip install -q --force-reinstall build/wheels/medimageinsight-*.whl pillow
	build/bench-venv/bin/python bench/python_vs_program.py $(if $(REFERENCE_PYTHON),--reference $(REFERENCE) --reference-python $(REFERENCE_PYTHON))

# One image by PEERS_MODEL, and from files to vectors by the built-in model. What is exported and calibrated stays in build/peers.
PEERS_MODEL ?= build/demo-model
bench-peers: build
	@[ -n "$(PEERS_IMAGES)" ] || { echo "PEERS_IMAGES=FOLDER is missing"; exit 2; }
	@[ -d $(PEERS_MODEL) ] || scripts/demo.sh --model-only
	@[ -d build/peers-venv ] || { python3 -m venv build/peers-venv && build/peers-venv/bin/pip install -q -r bench/peers/requirements.txt; }
	@for model in $(PEERS_MODEL) models/starter; do tower=build/peers/$$(basename $$model); \
	  [ -f $$tower/image.onnx ] || build/release/mii export $$model $$tower --tower image; done
	build/peers-venv/bin/python bench/peers/measure.py build/release/mii $(PEERS_MODEL) build/peers/$(notdir $(PEERS_MODEL))/image.onnx $(PEERS_IMAGES)
	build/peers-venv/bin/python bench/peers/measure_files.py build/release/mii models/starter build/peers/starter/image.onnx $(PEERS_IMAGES)

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
	@scripts/postgres-test-venv build/postgres-venv
	build/postgres-venv/bin/python tests/search/run_with_postgres.py \
		build/release/bench/search-bench --database build/bench-collection 100000

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

cuda:
	@command -v nvcc >/dev/null || { echo "skipped: no nvcc on the PATH"; exit 0; }; \
	  cmake -S src/backend/cuda -B build/cuda-alone && cmake --build build/cuda-alone -j $(JOBS)

image-gpu:
	scripts/build-image-gpu

format:
	@scripts/install-packages lint
	clang-format -i $(SOURCES)

# What needs LibTorch or CUDA's headers is left out: this installs neither.
LINTED = $(filter-out src/train/% apps/mii_train.cpp src/backend/cuda/device.cpp src/backend/cuda/product.cpp,$(filter src/%.cpp apps/%.cpp $(if $(wildcard build/python-venv),python/%.cpp),$(SOURCES)))
lint:
	@scripts/install-packages build test lint
	clang-format --dry-run -Werror $(SOURCES)
	cmake --preset release -DMII_BUILD_PYTHON=$(PYTHON_CAN_BUILD)
	@echo "clang-tidy on $(words $(LINTED)) files"
	@printf '%s\n' $(LINTED) | xargs -P $(JOBS) -n 1 clang-tidy --quiet -p build/release
