# make demo | test | check: each sets up the virtual environment first, once.
# PYTHON picks the interpreter (3.11 or newer); pip's own configuration is honoured; ARGS go to the command.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --durations 15

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format lint types contracts clean

help:
	@echo "make demo    set up, then train the embedded default with GRPO (minutes, CPU)"
	@echo "make test    set up, then the tests but those marked slow or docker"
	@echo "make check   lint, types, contracts and every test: what CI runs"
	@echo "make format  put the code into the form that make check asks for"
	@echo "make clean   remove the virtual environment and what tools left"
	@echo "Options:     PYTHON=python3.12   WORKERS=4 (test processes)   ARGS='--help' (for the command)"

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "r1gym needs Python 3.11 or newer, and $(PYTHON) is %d.%d: run make PYTHON=/path/to/python3.11" % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	@touch $@

setup: $(READY)

demo: $(READY)
	@$(BIN)/python -m r1gym.agents.grpo $(ARGS)

# Models in tests are tiny, and two processes run them: a second thread each would only wait.
test check contracts: export OMP_NUM_THREADS = 1

test: $(READY)
	$(PYTEST) -m "not slow and not docker" $(ARGS)

format: $(READY)
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

lint: $(READY)
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .

types: $(READY)
	$(BIN)/python -m mypy

contracts: $(READY)
	$(PYTEST) tests/contracts $(ARGS)

check: lint types
	$(PYTEST) $(ARGS)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
