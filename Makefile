# `make help` lists the targets. Everything is installed into .venv; nothing else on the machine is touched.

PYTHON ?= python3
BIN := .venv/bin
WITH_SERVICES := $(BIN)/python -m deploy.local.run --

LINT_MIGRATIONS := LOG_LEVEL=WARNING $(BIN)/python manage.py lintmigrations --quiet ok ignore \
	--settings config.settings.migration_lint

export FORCE

# Uncompiled, each of a dozen processes would spend seconds on what the first can do for all. Who doesn't want compiled
# files in the source tree gets them in .venv.
ifdef PYTHONDONTWRITEBYTECODE
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/pycache
endif

# A target called from another make (a test's, for one) says the same as from a shell.
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: up test check bench faults reset lock help installed-run installed-test

up: installed-run ## Run the whole system here, in the foreground (Ctrl-C stops it)
	@exec $(BIN)/python -m deploy.local.up

test: installed-test ## Run every test, in parallel, on services of their own
	@exec $(BIN)/pytest -n auto --maxprocesses 4 $(ARGS)

check: installed-test ## Format, lint, types, import contracts, missing and unsafe migrations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(WITH_SERVICES) sh -ec '$(BIN)/python manage.py makemigrations --check --dry-run; $(LINT_MIGRATIONS)'

bench: installed-test ## Run the benchmarks: a table here, JSON in .lockstep/bench/
	@exec $(BIN)/python -m tests.benchmarks $(ARGS)

faults: installed-test ## Break a system of its own by seeded accidents and compare its books (ARGS="--seeds 10")
	@exec $(BIN)/python -m tests.faults $(ARGS)

reset: installed-run ## Delete the local data after asking (FORCE=1 doesn't ask)
	@exec $(BIN)/python -m deploy.local.reset

lock: ## Compile requirements/*.in to pinned, hashed lock files (needs uv)
	uv pip compile $(LOCK_OPTIONS) requirements/install.in -o requirements/install.txt
	uv pip compile $(LOCK_OPTIONS) requirements/test.in -o requirements/test.txt
	uv pip compile $(LOCK_OPTIONS) -c requirements/test.txt requirements/run.in -o requirements/run.txt

LOCK_OPTIONS := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

installed-run installed-test: installed-%:
	@$(PYTHON) deploy/local/install.py $*
