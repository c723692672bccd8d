# Main targets: `make demo`, `make test`, `make test-all`. Each installs what it needs into .venv.
PYTHON ?= python3
PORT ?= 8321
DATA ?= hubbub-data
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-all check bench docs lock clean

# Dependencies at run time only. A Debian without python3-venv would leave half a .venv behind, so this is checked first.
.venv/runs: pyproject.toml requirements-runtime.lock
	@$(PYTHON) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Hubbub needs Python 3.11 or newer with venv (on Debian and Ubuntu: apt install python3-venv); see PYTHON in the Makefile" >&2; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(PIP) --require-hashes -r requirements-runtime.lock
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

# Also the dependencies of the tests.
.venv/ready: .venv/runs requirements.lock
	$(PIP) --require-hashes -r requirements.lock
	touch $@

# ClickHouse's engine is large, so only `make test-all` installs it; without it the tests that need it are skipped by name.
.venv/engines: .venv/ready requirements-engines.lock
	$(PIP) --require-hashes -r requirements-engines.lock
	touch $@

demo: .venv/runs
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

# Tests flush their folders to disk very often, so the folders are in memory if there is room (8 GB) and programs may run there.
IN_MEMORY := $(shell test "$$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 {print $$4}')" -gt 8000000 2>/dev/null && \
	! grep -q ' /dev/shm [^ ]* [^ ]*noexec' /proc/mounts && echo TMPDIR=/dev/shm)
# Three processes for two cores, since tests also wait; a module stays in one process, and long modules come first. Compiled
# modules are stored whatever the environment says: hundreds of tests start processes, and compiling would take each a second.
TESTS := PYTHONDONTWRITEBYTECODE= $(IN_MEMORY) $(BIN)/python -m pytest --numprocesses=3 --dist=loadscope --no-loadscope-reorder

# tests/extent.py defines the extent: these are the main tests, `make test-all` runs all.
test: check
	$(TESTS)

test-all: check .venv/engines
	HUBBUB_TESTS=all $(TESTS)

# A tenth first: the growth of times is computed from both. `$(BIN)/python -m bench.run --events 20000000` takes hours.
bench: .venv/ready
	$(BIN)/python -m bench.run --events 200000
	$(BIN)/python -m bench.run --events 2000000

docs: .venv/ready
	$(BIN)/python docs/make_reference.py

# Versions and hashes only: the locks name no place to download from. The second lock is the run-time part of the first.
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml --extra build --extra pdf --extra clickhouse

lock:
	$(BIN)/python -m pip install --quiet uv
	$(LOCK) --extra labels --group dev -o requirements.lock
	$(LOCK) --no-annotate --constraint requirements.lock -o requirements-runtime.lock
	$(LOCK) --no-annotate --group engines --constraint requirements.lock -o requirements-engines.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build
