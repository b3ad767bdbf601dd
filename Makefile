# Everything a developer types. `make` alone lists the targets.
PYTHON ?= python3.11
VENV := .venv
JOBS ?= 2
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
ORACLES := .oracles
PEERS := .peers
RUSSIAN := src/watchkeeper/locale/ru/LC_MESSAGES/django
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

.DEFAULT_GOAL := help
.PHONY: help setup run test check fix bench peers faults oracles docs new-risk new-channel chromium

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(STAMP) $(RUSSIAN).mo ## a virtual environment in .venv with everything

$(STAMP): pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check "uv==0.13.9"
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	$(BIN)/python -m compileall -q src bench
	@touch $(STAMP)

$(RUSSIAN).mo: $(RUSSIAN).po $(STAMP)
	$(BIN)/python -m watchkeeper.web.messages compile

run: setup ## open the demo: a real year of real models, then live
	$(BIN)/watchkeeper demo

test: setup chromium ## all tests but the long ones
	$(BIN)/pytest -n $(JOBS) --dist worksteal

chromium: ## Chromium for the browser tests
	@if [ -z "$(CHROMIUM)" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	  else echo "The browser tests need Chromium: install the package chromium (apt, dnf, brew) and try again."; exit 1; fi; fi

check: setup ## format, lint, types, imports, freshness of what is generated
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	WATCHKEEPER_DATA=$$(mktemp -d) $(BIN)/mypy
	$(BIN)/lint-imports
	WATCHKEEPER_DATA=$$(mktemp -d) $(BIN)/python -m watchkeeper.api._pages docs/api --check
	WATCHKEEPER_DATA=$$(mktemp -d) $(BIN)/python -m watchkeeper.web.messages check
	WATCHKEEPER_DATA=$$(mktemp -d) DJANGO_SETTINGS_MODULE=watchkeeper.web.settings $(BIN)/python -m django makemigrations --check --dry-run

fix: setup ## format and repair what can be repaired
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: setup ## speed and memory, side by side in one run
	$(BIN)/python -m bench

peers: $(ORACLES)/.set-up $(PEERS)/.set-up ## the tools that `make bench` runs beside ours, each in an environment of its own

$(PEERS)/.set-up: bench/evidently.txt $(STAMP)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(PEERS)/evidently
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(PEERS)/evidently/bin/python -r bench/evidently.txt
	@touch $@

faults: setup ## the long fault tests: kills, crash points, frozen workers
	$(BIN)/pytest tests/faults --long -v

oracles: setup $(ORACLES)/.set-up ## against NannyML and statsmodels, installed apart; WITH=--long: ten million rows too
	WATCHKEEPER_ORACLES=$(ORACLES)/bin/python $(BIN)/pytest tests/oracles -v -s $(WITH)

$(ORACLES)/.set-up: tests/oracles/requirements.txt $(STAMP)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(ORACLES)
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(ORACLES)/bin/python -r tests/oracles/requirements.txt
	@touch $@

docs: setup ## regenerate what is generated
	WATCHKEEPER_DATA=$$(mktemp -d) $(BIN)/python -m watchkeeper.api._pages docs/api

new-risk: setup ## a new risk type: make new-risk NAME=label_delay
	$(BIN)/python -m watchkeeper.risks._new $(NAME)

new-channel: setup ## a new kind of channel: make new-channel NAME=pigeon
	$(BIN)/python -m watchkeeper.channels._new $(NAME)
