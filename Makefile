# `make demo` and `make test` set everything up first.
.PHONY: demo test kubectl lint setup constraints mutants
.DELETE_ON_ERROR:

BIN := .venv/bin
SETUP := .venv/.complete
# Processes of pytest, each with one thread to compute.
WORKERS ?= 2

setup: $(SETUP)

$(SETUP): pyproject.toml constraints.txt overrides.txt scripts/setup.sh
	scripts/setup.sh

demo: $(SETUP)  ## the whole job: data to production, with two canaries
	$(BIN)/serin demo

test: kubectl $(SETUP) lint  ## every test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=$(WORKERS) --durations=20

kubectl:  # tests build k8s/ with it
	@command -v kubectl >/dev/null || \
		{ echo "serin: found no kubectl, and tests build k8s/ with it; install 1.27 or newer, as kubernetes.io says" >&2; exit 78; }

lint: $(SETUP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

mutants: $(SETUP)  ## put known faults back, one at a time, and show the test that fails
	$(BIN)/python scripts/mutants.py

constraints: $(SETUP)  ## resolve constraints.txt anew, within what pyproject.toml allows
	scripts/constraints.sh
	scripts/quantise_constraints.sh
