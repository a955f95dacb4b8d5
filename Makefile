# Every target works from a bare clone: it needs Python 3.11 or newer, and make.
#   make run     install, and run a prompt of this repository on the offline provider
#   make test    install, and run the tests
#   make browser install the browser the tests of the html report need (Debian, as root)
#   make eval    run the suites in evals/ on recorded answers: no key, no network
#   make check   everything CI checks

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
SHELL  := /bin/bash

.PHONY: run test browser lint types imports bench docs eval cassettes check requirements clean

run: $(READY)
	@$(BIN)/promptstudio run support/triage -v ticket="I was charged twice for my July invoice!" --why "make run"
	@echo
	@echo "The run is in the history:"
	@$(BIN)/promptstudio history list --limit 3

test: $(READY) browser
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

# The html report is tested in a real browser. Without one those tests are skipped; PROMPTSTUDIO_NEED_BROWSER=1 makes
# them fail instead.
browser:
	@if { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null \
			&& command -v chromedriver >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium for the tests of the html report (a minute or two the first time) …"; \
		{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y chromium chromium-driver; } >/dev/null \
			|| echo "Chromium cannot be installed: the tests of the html report in a browser are skipped." >&2; \
	else \
		echo "There is no Chromium with chromedriver: the tests of the html report in a browser are skipped." >&2; \
		echo "On Debian, as root: make browser. Elsewhere: install both, so that they are on the PATH." >&2; \
	fi

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

# Recorded answers are matched by what is asked: a prompt that changed asks something else, and needs `make cassettes`.
eval: $(READY)
	$(BIN)/promptstudio eval --replay evals/cassettes --no-history $(ARGS)

cassettes: $(READY)
	rm -rf evals/cassettes
	$(BIN)/promptstudio eval --record evals/cassettes --no-history

check: lint types test eval

$(READY): pyproject.toml requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "PromptStudio needs Python 3.11 or newer; say which with: make PYTHON=python3.12 …" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (a minute or two the first time) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Pins of everything that development and CI use, the extras among it, for all platforms; no index addresses.
requirements: $(READY)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-header \
		--group dev --all-extras pyproject.toml --output-file requirements-dev.txt --upgrade

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
