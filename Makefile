# Two commands matter: `make demo` and `make test`. Both set up everything they need in .venv.
PYTHON ?= python3
PORT ?= 8321
DATA ?= hubbub-data
BIN := .venv/bin

.PHONY: demo test check bench docs lock clean

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
	$(BIN)/mypy src tests bench
	$(BIN)/lint-imports
	$(BIN)/interrogate -q tests

test: check
	$(BIN)/python -m pytest

bench: .venv/ready
	$(BIN)/python -m bench.run --events 2000000
	$(BIN)/python -m bench.run --events 20000000

docs: .venv/ready
	$(BIN)/python docs/make_reference.py

# Versions and hashes only: the lock names no place to download from.
lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml --extra build --extra pdf -o requirements.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build
