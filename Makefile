# The virtual environment is made on the first call. Plain commands (Windows): see README.md.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-all lint book

demo: .venv/installed
	$(BIN)/python ch07_combine/ladder.py

# One worker process for each core (tests/conftest.py says how many), with one thread each.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist worksteal --durations 10

test: .venv/installed-dev
	$(PYTEST) -m "not slow"

test-all: .venv/installed-dev
	$(PYTEST)

# The tour, the chapters, exercises and the glossary as a website: build/_build/html/index.html
book: .venv/installed-dev
	PYTHONPATH=shared/book $(BIN)/jupyter-book build . --all --config shared/book/_config.yml \
		--toc shared/book/_toc.yml --path-output build
	$(BIN)/python shared/book/check.py build/_build/html

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --requirement requirements.txt
	touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	$(BIN)/pip install --requirement requirements-dev.txt
	touch $@
