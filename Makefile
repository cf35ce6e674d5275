# Everything that is done with this project; `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
# The tests start hundreds of processes: each would compile the whole project anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List these commands
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.venv/.run: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/.dev: .venv/.run requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

.PHONY: install
install: .venv/.run ## Make the virtual environment with what the service needs

.PHONY: run
run: .venv/.run ## Start the service (HOST, PORT, WORKERS, THREADS change where and how)
	@exec $(BIN)/python serve.py

.PHONY: test-packages
test-packages:
	@harness/install_packages
	@[ -n "$(SECKILL_TEST_DATABASE_URI)" ] || harness/install_mysql >/dev/null
	@harness/install_promtool >/dev/null

# A few races and faults with no other test beside them; those that are tried purchase by purchase too, in batches alone.
.PHONY: test
test: .venv/.dev test-packages ## Run the tests, on SQLite, and on MySQL, MariaDB, Redis and nginx that they start themselves
	$(BIN)/pytest --numprocesses=3 --dist=worksteal -m "not long and not cluster and not node and not e2e and not image"
	$(BIN)/pytest --numprocesses=3 --dist=worksteal -m "every_run and not mariadb" -k "not one-by-one" tests/races tests/faults

.PHONY: faults
faults: .venv/.dev test-packages ## Run the long tests: races, a model of sales, and kills and freezes of everything
	$(BIN)/pytest --numprocesses=3 --dist=worksteal -m long

.PHONY: cluster
cluster: .venv/.dev test-packages ## Run the tests on a group of three MySQL servers, whose primary is killed and frozen, in about twenty minutes
	$(BIN)/pytest -s -m cluster tests/cluster

.venv/.e2e: .venv/.dev requirements/e2e.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/e2e.txt
	@touch $@

.PHONY: e2e-packages
e2e-packages:
	@harness/install_e2e

web/client/node_modules/.package-lock.json: web/client/package-lock.json | e2e-packages
	@npm ci --prefix web/client --silent

.PHONY: test-e2e
test-e2e: .venv/.e2e test-packages e2e-packages web/client/node_modules/.package-lock.json ## Run the tests of the pages: the client on node, everything in Chromium
	$(BIN)/pytest --numprocesses=2 --dist=worksteal -m "node or e2e"

.PHONY: client-types
client-types: .venv/.dev e2e-packages web/client/node_modules/.package-lock.json ## Make the client's types from the API's description
	$(BIN)/python -m harness.client_types

.PHONY: test-fast
test-fast: .venv/.dev ## Run the tests that need neither MySQL, MariaDB nor nginx
	$(BIN)/pytest -m "not mysql and not mariadb and not nginx and not promtool and not cluster and not node and not e2e and not image"

.venv/.bench: .venv/.dev requirements/bench.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

.PHONY: bench
bench: .venv/.bench test-packages ## Measure the service beside its rivals on MySQL, in a quarter of an hour (BENCH="--server mariadb")
	@bench/install_packages
	@$(BIN)/python -m bench $(BENCH)

.venv/.load: .venv/.dev requirements/load.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/load.txt
	@touch $@

.PHONY: load
load: .venv/.load ## Let people watch and buy on this host (HEADLESS=1; USERS, SPAWN, SECONDS, STOCK, HOST, PORT; ARRIVALS=500/s)
	@$(BIN)/python -m load

.PHONY: slow-clients
slow-clients: .venv/.dev test-packages ## Measure what slow and idle clients cost the others, through nginx
	@$(BIN)/python -m load.slow_clients

.PHONY: lint
lint: .venv/.dev ## Check the code's form and types, and the API's description
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m harness.openapi_lint

.PHONY: format
format: .venv/.dev ## Put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-annotate \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links

.PHONY: requirements
requirements: .venv/.dev ## Compile pyproject.toml and the .in files to pinned requirements, newest releases first
	$(COMPILE) --upgrade --output-file requirements.txt pyproject.toml
	$(COMPILE) --upgrade --extra traces --constraint requirements.txt --output-file requirements/traces.txt pyproject.toml
	$(COMPILE) --upgrade --output-file requirements/dev.txt requirements/dev.in
	$(COMPILE) --upgrade --output-file requirements/bench.txt requirements/bench.in
	$(COMPILE) --upgrade --output-file requirements/load.txt requirements/load.in
	$(COMPILE) --upgrade --output-file requirements/e2e.txt requirements/e2e.in
	$(COMPILE) --upgrade --output-file examples/stripe_adapter/requirements.txt examples/stripe_adapter/requirements.in

.PHONY: env-example
env-example: .venv/.dev ## Make .env.example from config.py
	$(BIN)/python -m harness.env_example

.PHONY: test-image
test-image: .venv/.dev ## Build the container's image with podman, on a base from Debian's packages, and buy in it (as root)
	@harness/install_podman
	$(BIN)/pytest -s -m image tests/deploy

.PHONY: clean
clean: ## Remove what was built, but not the database in instance/
	rm -rf .venv web/client/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
