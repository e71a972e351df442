# Two commands: `make up` starts everything, `make test` runs everything. Both set up what they need.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
LOCKED := --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 -q

.PHONY: up test test-connectors test-model campaign check lock reset install install-dev format screenshots

up: install
	@$(BIN)/countersign up

test: install-dev
	$(BIN)/python -m tests.support.chromium
	$(BIN)/pytest -n 2 --dist loadfile

test-connectors: install-dev $(VENV)/connectors/.installed $(VENV)/connectors/.ghost
	COUNTERSIGN_CONNECTORS=full $(BIN)/pytest tests/connectors

$(VENV)/connectors/.installed: tests/connectors/requirements.txt tests/connectors/packages.txt | $(BIN)/uv
	@$(BIN)/uv venv -q --clear $(VENV)/connectors
	@$(BIN)/uv pip install -q -p $(VENV)/connectors -r tests/connectors/requirements.txt
	@$(BIN)/uv pip install -q -p $(VENV)/connectors --no-deps otupy==1.1.46
	@$(BIN)/python -m tests.support.outside_servers tests/connectors/packages.txt
	@touch $@

# A real model behind the real client; takes a quarter of an hour and more.
test-model: install-dev .venv-model/.installed
	COUNTERSIGN_REAL_MODEL=.venv-model/bin/python $(BIN)/pytest -s -p no:randomly tests/model

.venv-model/.installed: tests/model/requirements.txt
	@$(PYTHON) -m venv .venv-model
	@.venv-model/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(VENV)/connectors/.ghost: tests/connectors/servers/ghost_set_up.sh $(VENV)/connectors/.installed
	@bash $< $(VENV)/connectors/ghost
	@touch $@

campaign: install-dev
	COUNTERSIGN_CAMPAIGN=full $(BIN)/pytest -m campaign

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	@cp requirements.lock $(VENV)/want.lock && cp requirements-dev.lock $(VENV)/want-dev.lock
	$(BIN)/uv pip compile $(LOCKED) pyproject.toml --group build -o $(VENV)/want.lock
	$(BIN)/uv pip compile $(LOCKED) pyproject.toml --group dev -o $(VENV)/want-dev.lock
	@diff -q requirements.lock $(VENV)/want.lock && diff -q requirements-dev.lock $(VENV)/want-dev.lock \
	  || { echo "The lock does not fit pyproject.toml. Run: make lock"; exit 1; }

lock: $(BIN)/uv
	$(BIN)/uv pip compile $(LOCKED) pyproject.toml --group build -o requirements.lock
	$(BIN)/uv pip compile $(LOCKED) pyproject.toml --group dev -o requirements-dev.lock

format: install-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reset:
	@if [ -x $(BIN)/countersign ]; then $(BIN)/countersign reset; else rm -rf var; fi

screenshots: install-dev
	$(BIN)/python -m tests.support.chromium
	COUNTERSIGN_SCREENSHOTS=docs/images $(BIN)/pytest tests/browser

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Countersign needs Python 3.11 or newer; $(PYTHON) is older. Run: make up PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.installed: requirements.lock pyproject.toml | $(BIN)/uv
	@$(BIN)/uv pip install -q --require-hashes -r requirements.lock
	@$(BIN)/uv pip install -q --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock pyproject.toml | $(BIN)/uv
	@$(BIN)/uv pip install -q --require-hashes -r requirements-dev.lock
	@$(BIN)/uv pip install -q --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.installed
