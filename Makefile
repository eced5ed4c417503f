# The two commands: `make search` finds a cell, `make test` passes the tests.
PYTHON ?= python3.11
BIN := .venv/bin
RUN ?= runs/search

.PHONY: setup search test test-all smoke clean

setup: .venv/installed
# So many trials end within four minutes; the paper's controller, --strategy=ppo, wants a thousand (docs/results.md).
search: setup
	$(BIN)/python train.py --mode=search --trials=120 --final_epochs=8 --workdir=$(RUN)
test: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/pytest
test-all: .venv/installed-dev
	$(BIN)/pytest -m ""
smoke: setup
	PYTHON=$(BIN)/python bash examples/smoke.sh

# The stamps make a second set-up do nothing; a changed requirements file makes it install again. A .venv without pip is
# half of one: Debian's Python without python3.11-venv leaves it so.
.venv/installed: requirements.txt
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || \
	{ $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || \
	  { echo "make: $(PYTHON): not there, or older than Python 3.11; install Python 3.11, or name yours:" \
	    "make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3.11" >&2; exit 2; }; \
	  $(PYTHON) -m venv .venv; }
	@echo "installing what requirements.txt names into .venv (a minute or so)"
	@$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@
.venv/installed-dev: .venv/installed requirements-dev.txt requirements-cluster.txt
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@

clean:
	rm -rf .venv runs
