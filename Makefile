# make demo · make test · make check · make bench · make silence · make bound · make lint · make docs
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: bound silence setup demo test check lint bench schema docs clean

setup: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("vmforensics needs Python 3.11 or newer: make PYTHON=..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

demo: $(STAMP)
	$(BIN)/vmforensics run casefiles/example-rolling-shutter/case.yaml

test: $(STAMP)
	$(BIN)/python -m pytest -n auto

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_docs.py tests/test_schema.py

lint: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: $(STAMP)
	$(BIN)/vmforensics schema --shipped > casefiles/schema/case.schema.json
	$(BIN)/vmforensics schema exhibit > casefiles/schema/exhibit.schema.json
	$(BIN)/vmforensics schema note > casefiles/schema/note.schema.json

docs: $(STAMP)
	$(BIN)/python docs/reference/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

bench: $(STAMP)
	$(BIN)/python tests/bench.py

bound: $(STAMP)
	$(BIN)/python tests/near_the_bound.py

silence: $(STAMP)
	$(BIN)/python tests/false_alarms.py

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
