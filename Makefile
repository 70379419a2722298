# Two commands set everything up: `make weekly-sample` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: env test lint lock weekly-sample help

help:            ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*##/\t/' | expand -t 20

env: $(READY)    ## create .venv from the hash-pinned lock file

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "screener needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@# byte-compiling once makes every later start several times faster where PYTHONDONTWRITEBYTECODE is set
	@$(BIN)/python -m compileall -q $(VENV)/lib screener >/dev/null 2>&1 || true
	@touch $(READY)

weekly-sample: env   ## write this week's report from the embedded synthetic market
	$(BIN)/screener weekly --source sample

test: env            ## run every test
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: env            ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock:                ## re-pin the dependencies (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url --output-file requirements.lock
