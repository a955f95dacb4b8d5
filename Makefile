# Every target works from a bare clone: it needs Python 3.11 or newer, and make.
#   make run     install, and run a prompt of this repository on the offline provider
#   make test    install, and run the tests
#   make check   everything CI checks

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
SHELL  := /bin/bash

.PHONY: run test lint types imports bench docs check requirements clean

run: $(READY)
	@$(BIN)/promptstudio run support/triage -v ticket="I was charged twice for my July invoice!" --why "make run"
	@echo
	@echo "The run is in the history:"
	@$(BIN)/promptstudio history list --limit 3

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/promptstudio lint

types: $(READY)
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/python -m promptstudio.cli.docs docs

bench: $(READY)
	$(BIN)/python -m benchmarks

check: lint types test

$(READY): pyproject.toml requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "PromptStudio needs Python 3.11 or newer; say which with: make PYTHON=python3.12 …" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (a minute or two the first time) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Pins of everything that development and CI use, for all platforms; no index addresses.
requirements: $(READY)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-header \
		--group dev pyproject.toml --output-file requirements-dev.txt --upgrade

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
