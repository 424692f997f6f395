# Everything is done in .venv, made here. Only Python and make are assumed.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-containers check soak evaluate protos clean

# The first command: predictions for the samples, with the shipped model and the built-in server.
demo: .venv/serve.installed
	$(BIN)/digits-batch samples --out preds.csv --force
	@head -n 4 preds.csv

# The second: lint, types and tests.
test: .venv/dev.installed check
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# The images and compose.yaml, by a real container engine; some minutes.
test-containers: .venv/dev.installed
	docker/with-engine.sh $(BIN)/python -m pytest -m containers tests/docker

check: .venv/dev.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# The long versions of the hardest tests: dozens of kills, a million files, a server under load for ten minutes.
soak: .venv/dev.installed
	$(BIN)/python -m pytest -m soak

# The README's accuracy tables: the shipped model and every recipe, trained where its run folder is missing.
DATA ?= ../shared/data
RUNS ?= runs
evaluate: .venv/train.installed
	$(BIN)/python benchmarks/evaluate.py --data $(DATA) --runs $(RUNS)

# The messages of our own, after a change of a .proto file.
protos: .venv/dev.installed
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

clean:
	rm -rf .venv preds.csv
