# make demo | test | check: each sets up the virtual environment first, once.
# PYTHON picks the interpreter (3.11 or newer); pip's own configuration is honoured.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format lint types contracts slow clean

help:
	@echo "make demo    set up, then train the embedded default with GRPO (minutes, CPU)"
	@echo "make test    set up, then the tests without the slow ones"
	@echo "make check   format, lint, types, contracts and every test: what CI runs"
	@echo "make clean   remove the virtual environment and what tools left"

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "r1gym needs Python 3.11 or newer, and $(PYTHON) is %d.%d: run make PYTHON=/path/to/python3.11" % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	@touch $@

setup: $(READY)

demo: $(READY)
	$(BIN)/python -m r1gym.agents.grpo $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest -m "not slow and not docker" $(ARGS)

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --quiet .

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

contracts: $(READY)
	$(BIN)/python -m pytest tests/contracts $(ARGS)

check: lint types
	$(BIN)/python -m pytest $(ARGS)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
