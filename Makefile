# make run        install, write the demo's data, run its job, say where the report is
# make test       every check
# make test-long  the checks that take long
# make bench      infolake and its peers side by side: make bench ARGS="--only pairs --rows 1000000"

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && { echo $$p; break; }; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ALL := demo,report,polars,s3,notebook,test
JOB := pipelines/flights.yaml

.PHONY: run test test-long bench clean

run: .venv/installed-run
	$(BIN)/python -m infolake.jobs.demo
	$(BIN)/infolake run $(JOB) --output out/flights
	@echo "open out/flights/report.html"

test: .venv/installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m infolake.jobs.demo
	$(BIN)/pytest --doctest-modules --cov --cov-report=term:skip-covered -m "not slow" src tests

test-long: .venv/installed-test
	$(BIN)/python -m infolake.jobs.demo
	$(BIN)/pytest -m slow tests

bench: .venv/installed-test
	PYTHONPATH=tests $(BIN)/python -m benchmarks $(ARGS)

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed (make PYTHON=/path/to/python3)" >&2; exit 1; }
	$(PYTHON) -m venv .venv

# An installed project is installed again only when its needs change.
.venv/installed-run: pyproject.toml constraints.txt | .venv/bin/python
	{ test .venv/installed-test -nt pyproject.toml && test .venv/installed-test -nt constraints.txt; } \
		|| $(PIP) install -c constraints.txt -e '.[demo,report]'
	touch $@

.venv/installed-test: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) install -c constraints.txt -e '.[$(ALL)]'
	touch $@

clean:
	rm -rf .venv data out
