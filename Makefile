# Everything runs from a fresh clone: each target makes .venv itself.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DEMO_ARGS ?=
TEST_ARGS ?=

# One thread a test process: there is one process a core already.
test: export OMP_NUM_THREADS ?= 1

.PHONY: demo test test-slow lint types imports format bench clean help
.DEFAULT_GOAL := help

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Vasari needs Python 3.10 or newer; set PYTHON=/path/to/python3.10 or later" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.serve: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[serve]'
	@touch $@ $(VENV)/.core

$(VENV)/.dev: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.core $(VENV)/.serve

demo: $(VENV)/.serve  ## paint a gallery, train, evaluate, report, serve (DEMO_ARGS="--json --out DIR", or --no-serve)
	@$(BIN)/vasari demo $(DEMO_ARGS)

test: $(VENV)/.dev  ## the tests (TEST_ARGS="-k name")
	$(BIN)/python -m pytest -m "not slow" -n auto --dist worksteal $(TEST_ARGS)

test-slow: $(VENV)/.dev  ## the long ones: kills, growth, five seeds
	$(BIN)/python -m pytest -m slow $(TEST_ARGS) || [ $$? -eq 5 ]  # 5: no test chosen

lint: $(VENV)/.dev  ## ruff, format check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## strict type checking
	$(BIN)/mypy

imports: $(VENV)/.dev  ## the import rules of ARCHITECTURE.md
	$(BIN)/lint-imports

format: $(VENV)/.dev  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.core  ## the benchmarks, as ratios against named baselines (REFERENCE_PYTHON=PATH with Cornac, implicit)
	$(BIN)/python -m benchmarks

clean:  ## remove what the other targets made
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
