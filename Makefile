# Every target works from a fresh clone: `make install` puts all tools into .venv.
# The first Python that runs and is new enough. `make PYTHON=…` chooses another one.
PYTHON ?= $(shell for each in python3.11 python3.12 python3.13 python3.14 python3; do \
  $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)
BIN := .venv/bin
STAMP := .venv/.installed
# Use the machine's certificates if it has any: a company's proxy can have its own authority.
UV := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python \
  $(if $(wildcard /etc/ssl/certs/ca-certificates.crt),--system-certs)
# Tests of faults mostly wait, so four run at a time on two cores. All tests of a file share one process and its servers. Files
# run in our order, longest first; by default xdist would start with those that have the most tests.
PYTEST := $(BIN)/python -m pytest --numprocesses=4 --dist=loadfile --no-loadscope-reorder
GENERATED := clients/python/dbops
# Daemons, workers and their children start in the hundreds: compiling what they load takes three times as long as loading it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install run demo test test-quick test-all check protos client docs lock bench soak clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST)

install: $(STAMP) ## create .venv from the locked requirements

$(STAMP): requirements/dev.txt pyproject.toml clients/python/pyproject.toml
	@command -v "$(PYTHON)" >/dev/null || { echo "make: $(or $(PYTHON),Python 3.11+) is not installed; name one with PYTHON=…" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements/dev.txt)"
	$(UV) --require-hashes -r requirements/dev.txt
	$(UV) --no-deps --no-build-isolation -e clients/python -e .
	@touch $@

run: install ## run dbopsd on an embedded PostgreSQL 18
	$(BIN)/dbopsd serve

demo: install ## import a legacy SQLite database, and apply the migrations of its successor
	scripts/demo $(ARGS)

test: install ## run the tests on PostgreSQL 18
	$(PYTEST) $(ARGS)

test-quick: install ## run the tests without servers, in about three minutes
	$(PYTEST) tests/unit $(ARGS)

test-all: install ## run every case of every test; integration tests on PostgreSQL 15, 16, 17 and 18
	$(PYTEST) --postgres=all --every-case $(ARGS)

check: install ## check format, lint, types, architecture, contract, dead code and dependencies
	PYTHON=$(BIN)/python scripts/check

protos: install ## generate clients/python/dbops from protos/
	PYTHON=$(BIN)/python scripts/generate-protos $(GENERATED)

client: install ## generate the synchronous client from the asyncio client
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/generate-sync-client

docs: install ## generate the reference pages in docs/ and the rules in deploy/ from the program
	$(BIN)/dbopsd config-reference > docs/configuration.md
	$(BIN)/dbopsd metrics-reference > docs/metrics_reference.md
	$(BIN)/dbopsd alerts-reference > docs/alerts_reference.md
	$(BIN)/dbopsd export prometheus-rules > deploy/prometheus/dbopsd.rules.yml

lock: install ## resolve and lock the dependencies
	PYTHON=$(BIN)/python scripts/lock

bench: install ## measure speed and memory against peers and the physical limit
	$(BIN)/python -m bench $(ARGS)

soak: install ## run the long random campaigns, seeded
	$(BIN)/python -m pytest -m soak --soak --timeout=3600 tests $(ARGS)

clean:
	rm -rf .venv .build .mypy_cache .ruff_cache .pytest_cache
