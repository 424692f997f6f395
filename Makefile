# Everything is done in .venv, made here. Only Python and make are assumed.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo help test test-containers test-clusters test-benchmarks test-training test-browser check soak evaluate protos clean

demo: .venv/serve.installed ## Predict the samples with the shipped model and the built-in server
	$(BIN)/digits-batch samples --out preds.csv --force
	@head -n 4 preds.csv

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: .venv/dev.installed check ## Lint, types, walls between rooms, tests; some minutes
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-containers: .venv/dev.installed ## The images and compose.yaml, with a real container engine; some minutes
	docker/with-engine.sh $(BIN)/python -m pytest -m containers tests/docker

test-clusters: .venv/dev.installed ## Jobs on Spark and Dask clusters and in object stores, as processes of this machine; needs Java; some minutes
	$(BIN)/python -m pytest -m "clusters and not soak" tests/batch/cluster tests/batch/stores

test-benchmarks: .venv/dev.installed ## Each benchmark runs, with little to measure; two minutes
	$(BIN)/python -m pytest -m benchmarks tests/benchmarks

test-training: .venv/dev.installed ## Networks and readers fitted, exported and published; some minutes
	$(BIN)/python -m pytest -m "training and not soak" --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-browser: .venv/dev.installed ## The pages in Chromium, which must be installed; some minutes
	$(BIN)/python -m pytest -m browser

check: .venv/dev.installed ## Lint, types and walls between rooms
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Dozens of kills, a million files, a server under load for ten minutes.
soak: .venv/dev.installed ## The long versions of the hardest tests; an hour
	$(BIN)/python -m pytest -m soak

# The shipped model and every recipe, trained where its run folder is missing.
DATA ?= ../shared/data
RUNS ?= runs
evaluate: .venv/train.installed ## The accuracy tables, with the data sets in DATA
	$(BIN)/python benchmarks/evaluate.py --data $(DATA) --runs $(RUNS)

protos: .venv/dev.installed ## Compile the .proto files after a change
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. batch/client/wire.proto serving/config.proto

# An extra of the distribution, installed once: .venv/EXTRA.installed
.venv/%.installed: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$*]'
	@# As pip does with what is not editable: a tenth of a short run's start.
	@$(BIN)/python -m compileall -q batch exporter serving trainer
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "digits needs Python 3.11 to 3.13; name one: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv .venv

clean: ## Remove .venv and the demo's table
	rm -rf .venv preds.csv
