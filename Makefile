# Every target makes its own environment; Python >= 3.11 and make are all that has to be there.
VENV    ?= .venv
WORKERS ?= 2
PORT    ?= 8888
# JupyterLab asks for a word where it is root, as in many containers
LAB_OPTIONS ?= $(if $(filter 0,$(shell id -u)),--allow-root)

# what `make nightly` measures; each ends with an error when its limit is broken
BENCHMARKS := benchmarks/import_time.py

BIN   := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
# the stamp carries a checksum of what the environment is made from: another content, another environment
READY := $(VENV)/ready-$(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)

.DEFAULT_GOAL := help
.PHONY: help env demo test tutorials lint docs lab nightly build clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

env: $(READY) ## set up the environment (the other targets do so themselves)

$(READY):
	VENV="$(VENV)" sh install_host.sh
	@touch $@

demo: $(READY) ## a synthetic cohort from slides to report, in under 5 minutes
	$(BIN)/spatialhist demo --out demo

test: $(READY) ## all tests that are not slow, with coverage of at least 90 % of lines
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n $(WORKERS) \
		--cov --cov-report=term --cov-fail-under=90

tutorials: $(READY) ## the notebooks, on cohorts smaller than what they show
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m tutorial -n $(WORKERS) --no-cov tests/test_tutorials.py

lint: $(READY) ## style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY) ## the documentation, in docs/_build/html; a warning is an error
	rm -rf docs/generated
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

lab: $(READY) ## JupyterLab on this machine only, with a token (printed)
	$(BIN)/jupyter lab --ip=127.0.0.1 --port=$(PORT) --no-browser --notebook-dir=tutorials $(LAB_OPTIONS)

nightly: $(READY) ## what is too long for CI: slow tests, real slides, benchmarks
	$(BIN)/python -m pytest -m "slow or real_data"
	for script in $(BENCHMARKS); do $(BIN)/python $$script || exit 1; done

build: $(READY) ## source distribution and wheel, in dist/
	$(BIN)/python -m build

clean: ## everything that the targets above made
	rm -rf $(VENV) build dist demo docs/_build docs/generated .coverage* .mypy_cache .pytest_cache .ruff_cache
