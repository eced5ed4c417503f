# The two commands: `make search` finds a cell, `make test` passes the tests.
PYTHON ?= python3.11
BIN := .venv/bin
RUN ?= runs/search

.PHONY: setup search test test-all smoke clean

setup: .venv/installed
search: setup
	$(BIN)/python train.py --mode=search --workdir=$(RUN)
test: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/pytest
test-all: .venv/installed-dev
	$(BIN)/pytest -m ""
smoke: setup
	PYTHON=$(BIN)/python bash examples/smoke.sh

# The stamps make a second set-up do nothing; a changed requirements file makes it install again.
.venv/installed: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@
.venv/installed-dev: .venv/installed requirements-dev.txt requirements-cluster.txt
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@

clean:
	rm -rf .venv runs
