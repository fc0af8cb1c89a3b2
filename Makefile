# calltable: every way to work with a checkout. Nothing needs to be installed first but Python 3.11 and make.
#
# The install is "strict editable": the venv sees links to the files that exist, so mypy and import-linter
# follow the mapped folders too, and a *new* file needs the links redone. Every target depends on a stamp
# named after the list of files, so that happens by itself (about two seconds).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export PIP_DISABLE_PIP_VERSION_CHECK := 1

VENV := .venv
BIN := $(VENV)/bin
FILES := $(shell find api engine adapters tables tools -name '*.py' -o -name '*.yaml' -o -name '*.json' -o -name '*.css' -o -name '*.js' -o -name py.typed | sort | cksum | cut -d' ' -f1)
DEPENDENCIES := $(VENV)/.dependencies
INSTALLED := $(VENV)/.installed-$(FILES)
BENCH := $(VENV)/.bench
DIST := $(VENV)/.dist

.PHONY: help install run test check peers bench dist fuzz clean

help: ## this list
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

install: $(INSTALLED) ## set up .venv with calltable in it
	@echo "ready: $(BIN)/calltable"

run: $(INSTALLED) ## a B2BUA and two user agents here, one call through it (ONCE=1: end after the call)
	@$(BIN)/calltable demo $(if $(ONCE),--once)

test: $(INSTALLED) peers check ## everything: linters, types, layers, tables, tests (with real SIP programs where they can be had)
	@$(BIN)/python -m pytest -n 2 -q $(PYTEST)

check: $(INSTALLED) ## the checks alone: seconds
	@$(BIN)/ruff check --quiet --output-format concise . && echo "ruff: ok"
	@echo -n "mypy: "; $(BIN)/mypy -p calltable | sed -E 's,build/__editable__[^/]*/calltable/,,'
	@out=$$($(BIN)/lint-imports --no-logo 2>&1) && echo "layers: ok" || { echo "$$out"; exit 1; }
	@$(BIN)/calltable check

peers: # SIPp, baresip, Kamailio and tshark for the tests, by apt where there are rights
	@.ci/peers

bench: $(INSTALLED) $(BENCH) ## the benchmarks, beside other libraries
	@$(BIN)/python -m tests.bench $(ARGS)

fuzz: $(INSTALLED) ## a million broken messages at a B2BUA, and broken tables (ARGS='--messages N --seed S')
	@$(BIN)/python -m tests.fuzz $(ARGS)

dist: $(INSTALLED) $(DIST) ## the wheel and the source archive in dist/, checked as a package index would
	@rm -rf dist
	@out=$$($(BIN)/python -m build --no-isolation --outdir dist . 2>&1) || { echo "$$out"; exit 1; }
	@$(BIN)/python -m twine check --strict dist/*

clean: ## remove what the other targets made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The first Python that is new enough; the name is looked up and tried, since a shim may point at nothing.
$(DEPENDENCIES): pyproject.toml
	@for python in $(PYTHON) python3 python3.11 python3.12 python3.13 python3.14; do \
	  if $$python -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then echo "calltable needs Python 3.11 or newer (with venv); tried python3, python3.11 … python3.14." >&2; \
	  echo "Where it lies elsewhere: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; fi; \
	if [ ! -x $(BIN)/python ] || ! $(BIN)/python -c '' 2>/dev/null; then echo "creating $(VENV) with $$($$found -V)"; rm -rf $(VENV); $$found -m venv $(VENV); fi
	@echo "installing what calltable and its checks need"
	@$(BIN)/python -m pip install -qq --upgrade 'setuptools>=77'
	@$(BIN)/python .ci/requirements test diagrams | $(BIN)/python -m pip install -qq -r /dev/stdin
	@touch $@

# --config-settings editable_mode=strict makes a tree of links under build/; an old tree would keep deleted files.
$(INSTALLED): $(DEPENDENCIES)
	@rm -rf $(VENV)/.installed-* build/__editable__.*
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e . --config-settings editable_mode=strict
	@touch $@

$(BENCH): pyproject.toml $(DEPENDENCIES)
	@$(BIN)/python .ci/requirements bench | $(BIN)/python -m pip install -qq -r /dev/stdin
	@touch $@

$(DIST): pyproject.toml $(DEPENDENCIES)
	@$(BIN)/python .ci/requirements dist | $(BIN)/python -m pip install -qq -r /dev/stdin
	@touch $@
