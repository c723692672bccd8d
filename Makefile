# Two commands matter: `make demo` and `make test`. Both set up everything they need in .venv.
PYTHON ?= python3
PORT ?= 8321
DATA ?= hubbub-data
BIN := .venv/bin

.PHONY: demo test test-whole test-parts check bench docs lock clean

.venv/ready: pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: .venv/ready
	$(BIN)/hubbub demo --data $(DATA)
ifneq ($(SERVE),0)
	$(BIN)/hubbub serve --data $(DATA) --port $(PORT)
endif

check: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy src tests bench deploy
	$(BIN)/lint-imports
	$(BIN)/interrogate -q tests

# Two runs go beside each other: most of the first is waiting for processes. A failure of one lets the others end.
test: check
	$(MAKE) --jobs=2 --keep-going test-whole test-parts

WHOLE := tests/acceptance tests/browser tests/house tests/integration

test-whole:
	$(BIN)/python -m pytest -o cache_dir=.pytest_cache/whole $(WHOLE)

test-parts:
	$(BIN)/python -m pytest -o cache_dir=.pytest_cache/parts $(WHOLE:%=--ignore=%)

bench: .venv/ready
	$(BIN)/python -m bench.run --events 2000000
	$(BIN)/python -m bench.run --events 20000000

docs: .venv/ready
	$(BIN)/python docs/make_reference.py

# Versions and hashes only: the locks name no place to download from. The second one is the part of the first that runs.
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml --extra build --extra pdf

lock:
	$(BIN)/python -m pip install --quiet uv
	$(LOCK) --group dev -o requirements.lock
	$(LOCK) --no-annotate --constraint requirements.lock -o requirements-runtime.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build
