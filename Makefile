# Every target makes its own environment; Python >= 3.11 and make are all that has to be there.
VENV    ?= .venv
WORKERS ?= 2
PORT    ?= 8888
# the environment of `make test-next`, and its Python
NEXT        ?= .venv-next
NEXT_PYTHON ?= python3.12
# the environment of `make test-encoders`, and a torch and torchvision that import together
ENCODERS       ?= .venv-encoders
ENCODERS_TORCH ?= torch==2.14.1 torchvision==0.29.1
NEXT_TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# JupyterLab refuses to run as root, as in many containers, unless it is told to
LAB_OPTIONS ?= $(if $(filter 0,$(shell id -u)),--allow-root)

# what `make nightly` measures; each ends with an error when its limit is broken
BENCHMARKS := benchmarks/import_time.py benchmarks/scale.py
# processor seconds that each reader gets damaged files for
FUZZ_SECONDS ?= 600

BIN   := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
# the stamp carries a checksum of what the environment is made from: another content, another environment
READY := $(VENV)/ready-$(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)

.DEFAULT_GOAL := help
.PHONY: help env demo test test-next test-encoders tutorials lint docs lab image nightly build clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

env: $(READY) ## set up the environment (the other targets do so themselves)

$(READY):
	VENV="$(VENV)" sh install_host.sh
	@touch $@

demo: $(READY) ## a simulated cohort, from slides to report, in under 5 minutes
	$(BIN)/spatialhist demo --out demo

test: $(READY) ## all tests that are not slow, with coverage of at least 90 % of lines
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --dist worksteal \
		--cov --cov-report=term --cov-fail-under=90

test-encoders: ## encoders of timm, transformers, lazyslide-models and ONNX for real (5.6 GB on Linux)
	$(NEXT_PYTHON) -m venv $(ENCODERS)
	$(ENCODERS)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(ENCODERS)/bin/python -m pip install --quiet $(ENCODERS_TORCH)
	$(ENCODERS)/bin/python -m pip install --quiet --group test --editable ".[encoders]" onnx onnxruntime
	OMP_NUM_THREADS=1 $(ENCODERS)/bin/python -m pytest tests/nn tests/tl/test_encoders_of_others.py

tutorials: $(READY) ## the notebooks, on cohorts smaller than what they show
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m tutorial -n $(WORKERS) --no-cov tests/test_tutorials.py

test-next: ## the same tests on a newer Python with the newest releases that resolve, without the pins
	$(NEXT_PYTHON) -m venv $(NEXT)
	$(NEXT)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(NEXT)/bin/python -m pip install --quiet --no-deps --retries 1 --extra-index-url $(NEXT_TORCH_INDEX) torch
	$(NEXT)/bin/python -m pip install --quiet --upgrade --group test --editable .
	OMP_NUM_THREADS=1 PATH="$(abspath $(NEXT))/bin:$$PATH" $(NEXT)/bin/python -m pytest -m "not slow" -n $(WORKERS) \
		--deselect tests/test_tutorials.py --deselect tests/test_docs.py

lint: $(READY) ## style, formatting, types and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

docs: $(READY) ## the documentation, in docs/_build/html; a warning is an error
	rm -rf docs/generated
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

lab: $(READY) ## JupyterLab on this machine only, with a token (printed)
	$(BIN)/jupyter lab --ip=127.0.0.1 --port=$(PORT) --no-browser --notebook-dir=tutorials $(LAB_OPTIONS)

image: $(READY) ## build the container image without Docker and use it (root, buildah, debootstrap)
	$(BIN)/python scripts/prove_image.py

nightly: $(READY) ## checks that take too long for CI: slow tests, real slides, benchmarks, the container image
	$(BIN)/python -m pytest -m "slow or real_data"
	for script in $(BENCHMARKS); do $(BIN)/python $$script || exit 1; done
	$(BIN)/python benchmarks/fuzz.py --seconds $(FUZZ_SECONDS)
	$(MAKE) image

build: $(READY) ## source distribution and wheel, in dist/
	$(BIN)/python -m build

clean: ## everything that the targets above made
	rm -rf $(VENV) $(NEXT) $(ENCODERS) build dist demo docs/_build docs/generated .coverage* .mypy_cache .pytest_cache .ruff_cache
