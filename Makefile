# Bookstall. From nothing but python3 (3.11 or newer), venv and make: `make run`, `make test`, `make check`.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
ARGS ?=

.DEFAULT_GOAL = help
.PHONY: help run test check bench storm lock translations clean FORCE

help: ## say what there is to make
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile | expand -t 20

run: $(VENV)/.sandbox ## run the shop, its worker, the sandbox and the mailbox
	@exec $(BIN)/python -m shop.sandbox.launch

test: $(VENV)/.tests ## run the whole suite (ARGS are pytest's)
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

# Two processes or more only where there are as many processors.
PARALLEL ?= $(shell test "$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)" -gt 1 && echo "-n auto --dist loadgroup")

check: $(VENV)/.tests ## format, lint, types, import rules, templates, migrations, translations
	@$(BIN)/python -m tools.check

bench: $(VENV)/.tests ## measure, as ratios against floors of the same run
	@$(BIN)/python -m benchmarks $(ARGS)

ORDERS ?= 200
SEED ?=
DATABASE ?= both
storm: $(VENV)/.tests ## let a storm loose (ORDERS, SEED, DATABASE=sqlite, postgresql or both)
	@exec $(BIN)/python -m tests.storm --orders $(ORDERS) $(if $(SEED),--seed $(SEED)) --database $(DATABASE)

translations: $(VENV)/.tests ## extract the texts anew and compile what is translated
	@$(BIN)/python -m tools.translations extract
	@$(BIN)/python -m tools.translations compile

# Exact versions with hashes, for every platform and Python from 3.11 on. Needs uv; nothing else does.
UV ?= uv
LOCK = $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-header
lock: ## choose the versions of all packages anew
	$(LOCK) $(ARGS) -o requirements/production.txt
	$(LOCK) $(ARGS) --extra sandbox -c requirements/production.txt -o requirements/sandbox.txt
	$(LOCK) $(ARGS) --extra tests -c requirements/production.txt -o requirements/tests.txt

clean: ## throw away what can be made again (not the instance folder)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis test-results
	find translations -name '*.mo' -delete

# A stamp for each set of packages: installed once, and again when its lock or the interpreter changes. What the
# tests need includes what the sandbox needs.
$(VENV)/.sandbox: requirements/sandbox.txt | $(VENV)/.made
	@if test $(VENV)/.tests -nt requirements/tests.txt; then :; \
	else $(MAKE) --no-print-directory install-sandbox; fi
	@touch $@

$(VENV)/.tests: requirements/tests.txt | $(VENV)/.made
	@$(MAKE) --no-print-directory install-tests
	@touch $@

install-%: FORCE
	@echo "Installing the packages of requirements/$*.txt …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$*.txt

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON): install Python 3.11 or newer," \
		"or name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$$($(PYTHON) --version) is too old:" \
		"Bookstall needs Python 3.11 or newer. Name another one: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments:" \
		"install venv (Debian: apt-get install python3-venv)."; exit 1; }
	@echo "Making a virtual environment in $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@touch $@
