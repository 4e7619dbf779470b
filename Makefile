# `make test` sets everything up first.
.PHONY: test lint setup constraints
.DELETE_ON_ERROR:

BIN := .venv/bin
SETUP := .venv/.complete

setup: $(SETUP)

$(SETUP): pyproject.toml constraints.txt overrides.txt scripts/setup.sh
	scripts/setup.sh

test: $(SETUP) lint  ## every test
	$(BIN)/python -m pytest

lint: $(SETUP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

constraints: $(SETUP)  ## resolve constraints.txt anew, within what pyproject.toml allows
	scripts/constraints.sh
