# Everything works on a machine that has only Python (3.11 or newer) and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test lint types imports pytest soak lock clean

help:  ## show this
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if v >= (3, 11) else f"queuectl needs Python 3.11 or newer; this is {v[0]}.{v[1]}. Try: make PYTHON=python3.13")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)  ## apply manifests/nightly.toml, run it with four workers, show what happened
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh manifests/demo.sh

test: lint types imports pytest  ## lint, types, import contracts and all tests

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

pytest: $(READY)
	$(BIN)/python -m pytest -n auto

soak: $(READY)  ## 10,000 runs, 3 runners, 800 kills, and whether anything was lost; about ten minutes
	$(BIN)/python -m tests.soak.soak --runs 10000 --kills 800 --runners 3 --seed 1

lock: $(READY)  ## renew requirements.lock after a change of the dependencies
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --group dev pyproject.toml --output-file requirements.lock

clean:  ## remove the virtual environment and all caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
