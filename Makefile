# Each target does all its own set-up: a virtual environment in .venv, made again when its inputs change.
PYTHON ?= python3
VENV := .venv
CURRENT := $(VENV)/.current
DEMO ?= demo
DISTUNE := DISTUNE_HOME=$(DEMO)/home $(VENV)/bin/distune

.PHONY: demo test test-fast test-long chaos lint audit keys pictures clean

$(CURRENT): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'distune needs Python 3.11 or newer: make PYTHON=...')"
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --upgrade pip
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: $(CURRENT)
	@test -d $(DEMO)/data || $(DISTUNE) data synth --phrase "hey sirius" --out $(DEMO)/data \
		--positives 360 --hard-negatives 72 --negatives 418
	@$(DISTUNE) sweep examples/hey-sirius.yaml --set data.path=$(abspath $(DEMO))/data
	@$(DISTUNE) export hey-sirius --output $(DEMO)/best.yaml
	@echo "best configuration: $(DEMO)/best.yaml"
	@echo "MLflow UI: DISTUNE_HOME=$(DEMO)/home $(VENV)/bin/distune ui hey-sirius"

# Slow tests wait more than they compute: three at a time keep two cores at work.
test: lint test-fast
	$(VENV)/bin/pytest -m "slow and not long" --numprocesses 3 --dist loadfile --no-loadscope-reorder --durations=10

# What CI has no time for; of it, faults for longer and in other orders.
test-long: $(CURRENT)
	$(VENV)/bin/pytest -m long --numprocesses 2 --dist loadfile --durations=10

chaos: $(CURRENT)
	$(VENV)/bin/pytest -m long tests/search/faults --durations=10

test-fast: $(CURRENT)
	OMP_NUM_THREADS=1 $(VENV)/bin/pytest -m "not slow" --numprocesses 2

lint: $(CURRENT)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

# What is known against the pinned packages; wants the network. Strict, for an index that cannot say would pass as clean.
AUDITOR := $(VENV)/audit/bin/pip-audit
AUDIT_SERVICE ?= pypi
PASSED_OVER = $(shell sed -n 's/^\([A-Za-z][^ ]*\) .*/--ignore-vuln \1/p' docs/audit-exceptions.txt)

$(AUDITOR):
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet "pip-audit>=2.10,<3"

audit: $(AUDITOR)
	$(AUDITOR) --strict --no-deps --disable-pip --requirement constraints.txt --vulnerability-service $(AUDIT_SERVICE) $(PASSED_OVER)

# What is made from the code: the page of keys from the schemas, the pictures from a small sweep (tmux and Chromium).
keys: $(CURRENT)
	$(VENV)/bin/python -m spaces.reference > docs/keys.md

pictures: $(CURRENT)
	$(VENV)/bin/python benchmarks/pictures.py docs/pictures

clean:
	rm -rf demo $(VENV)
