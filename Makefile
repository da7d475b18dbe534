# Every target works from a fresh clone: what it needs, `make install` puts into .venv.
# The first that runs and is new enough; `make PYTHON=…` names another.
PYTHON ?= $(shell for each in python3.11 python3.12 python3.13 python3.14 python3; do \
  $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)
BIN := .venv/bin
STAMP := .venv/.installed
# The machine's own certificates where there are some: a company's proxy has its own authority.
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python \
  $(if $(wildcard /etc/ssl/certs/ca-certificates.crt),--system-certs)
# Much of a fault test is waiting, so three at a time; a file stays in one process with its servers. In their order, which
# has the long files first, and not those with many tests.
PYTEST := $(BIN)/python -m pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder
GENERATED := clients/python/dbops

.PHONY: help install run demo test test-quick test-all check protos client docs lock bench soak clean

help: ## these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST)

install: $(STAMP) ## .venv with everything, from the locked requirements

$(STAMP): requirements/dev.txt pyproject.toml clients/python/pyproject.toml
	@command -v "$(PYTHON)" >/dev/null || { echo "make: $(or $(PYTHON),Python 3.11+) is not installed; name one with PYTHON=…" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements/dev.txt)"
	$(UV) --require-hashes -r requirements/dev.txt
	$(UV) --no-deps --no-build-isolation -e clients/python -e .
	@touch $@

run: install ## dbopsd on an embedded PostgreSQL 18
	$(BIN)/dbopsd serve

demo: install ## import a legacy SQLite application's database, and show the report
	scripts/demo $(ARGS)

test: install ## every test, against PostgreSQL 18
	$(PYTEST) $(ARGS)

test-quick: install ## the tests without servers, within a minute
	$(PYTEST) tests/unit $(ARGS)

test-all: install ## every test, the integration tests against PostgreSQL 15, 16, 17 and 18
	$(PYTEST) --postgres=all --every-file $(ARGS)

check: install ## format, lint, types, architecture, contract, dead code, dependencies
	PYTHON=$(BIN)/python scripts/check

protos: install ## generate clients/python/dbops from protos/
	PYTHON=$(BIN)/python scripts/generate-protos $(GENERATED)

client: install ## generate the client for synchronous code from the one for asyncio
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/generate-sync-client

docs: install ## generate docs/configuration.md from dbopsd/config/
	$(BIN)/dbopsd config-reference > docs/configuration.md

lock: install ## resolve the dependencies anew
	PYTHON=$(BIN)/python scripts/lock

bench: install ## measure, with peers and the physical limit beside us
	$(BIN)/python -m bench $(ARGS)

soak: install ## the long random campaigns, seeded
	$(BIN)/python -m pytest -m soak --soak --timeout=3600 tests $(ARGS)

clean:
	rm -rf .venv .build .mypy_cache .ruff_cache .pytest_cache
