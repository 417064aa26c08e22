# Two commands do everything: `make release` (the main job) and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: release test build up down status lint types check format clean help

release: $(VENV)/.core  ## build what is stale, then gate, approve, sign, register, publish and verify
	@slipway release

build: $(VENV)/.core  ## run the stages whose inputs changed
	@slipway build

test: $(VENV)/.dev  ## run all tests; JOBS=2 runs them in two processes
	@pytest $(if $(filter-out 1,$(JOBS)),-n $(JOBS) --dist loadfile) $(ARGS)

up: $(VENV)/.core  ## start Prefect, MLflow and the scheduler on localhost
	@slipway up

down: $(VENV)/.core  ## stop them
	@slipway down

status: $(VENV)/.core  ## show stages, the last release and the servers
	@slipway status

check: lint types  ## lint and types

lint: $(VENV)/.dev  ## ruff: rules and format
	@ruff check .
	@ruff format --check .

types: $(VENV)/.dev  ## mypy
	@mypy

format: $(VENV)/.dev  ## rewrite the code in the project's format
	@ruff check --fix .
	@ruff format .

clean:  ## remove what stages made; keys, store and databases in .slipway/ stay
	rm -rf data models reports bundle .dvc/cache .dvc/tmp dvc.lock

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Slipway needs Python 3.11 or newer, found " + sys.version.split()[0] + ". Name another: make release PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

# A stamp is newer than the files it was installed from, so a changed pin installs again.
$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,team]'
	@touch $@
