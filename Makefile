# Each target does all the set-up that it needs on a fresh machine.

PYTHON ?= python3
VENV := .venv
RUNNER := $(VENV)/bin/python -m runner
PYTEST := $(VENV)/bin/pytest -n 2 --no-loadscope-reorder

.PHONY: report quick test test-faults test-fuzz test-cluster bench lint docs clean

report: $(VENV)/ready          ## the founding study: 7 blocks of 50 epochs, 50 to 90 minutes
	$(RUNNER) --matrix matrix.yaml

quick: $(VENV)/ready           ## a first look: one block of 3 epochs
	$(RUNNER) --matrix matrix.yaml --quick

test: $(VENV)/ready-to-test    ## lint, types and all tests; some need an engine or the index
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(PYTEST) --durations=20 tests/unit tests/messages tests/faults tests/fuzz tests/statistics tests/browser \
		tests/index tests/engine tests/zoo

test-faults: $(VENV)/ready-to-test  ## every kind of fault at 20 moments, then 1,000 trials under faults
	$(VENV)/bin/python -m tests.faults --instants 20
	$(VENV)/bin/python -m tests.faults.thousand

test-fuzz: $(VENV)/ready-to-test    ## 100,000 inputs to everything that reads files
	$(VENV)/bin/python -m tests.fuzz --inputs 100000

test-cluster: $(VENV)/ready-to-test ## three hosts, of which one is killed and one is cut off
	$(VENV)/bin/python -m tests.cluster

bench: $(VENV)/ready-to-test   ## every benchmark with a goal, 20 minutes; writes benchmarks/RESULTS.md
	$(VENV)/bin/python -m benchmarks.results

lint: $(VENV)/ready-to-test    ## lint, types and unit tests; needs neither engine nor index
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(PYTEST) tests/unit

docs: $(VENV)/ready-to-test    ## the documentation as a site, in build/site
	$(VENV)/bin/mkdocs build --strict --quiet

clean:                         ## remove the runner's own environment; runs and images stay
	rm -rf $(VENV)

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/ready: pyproject.toml | $(VENV)/bin/pip
	$(VENV)/bin/pip install --quiet --editable .
	touch $@

$(VENV)/ready-to-test: $(VENV)/ready
	$(VENV)/bin/pip install --quiet --upgrade "pip>=25.1"
	$(VENV)/bin/pip install --quiet --group dev
	touch $@
