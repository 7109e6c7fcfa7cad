# Needs make and Python 3.11, nothing else. `make` lists what there is.

PYTHON ?= $(shell for python in python3.11 python3 python; do \
  $$python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1 \
  && echo $$python && break; done)
BIN := .venv/bin
PINS := requirements.txt constraints.txt

.DEFAULT_GOAL := help
.PHONY: help run test lint format bench bench-full messages screenshots reset

help: ## list the targets
	@echo "Trust Console. Targets:"
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo "Settings come from the environment or .env: see docs/configuration.md."

run: .venv/installed ## install, start everything on this machine, print the URL
	@exec $(BIN)/python manage.py up

test: .venv/installed-dev ## the whole suite, Chromium included
	@sh .ci/chromium
	@exec $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS) </dev/null

lint: .venv/installed-dev ## style, types, security, Django's checks, missing migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit -c pyproject.toml -q -ll -r trustconsole reviews mlhooks
	$(BIN)/python manage.py check </dev/null
	TRUSTCONSOLE_VAR=var/test $(BIN)/python manage.py makemigrations --check --dry-run </dev/null
	HTTPS=1 ALLOWED_HOSTS=console.example.org SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))') \
	  $(BIN)/python manage.py check --deploy --fail-level WARNING </dev/null

format: .venv/installed-dev ## format the code and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed-dev ## measure; minutes. Results in var/bench/
	@exec $(BIN)/python -m bench $(ARGS)

bench-full: .venv/installed-dev ## measure everything, the long ones too
	@exec $(BIN)/python -m bench --full $(ARGS)

messages: .venv/installed-dev ## collect translatable strings into locale/, list what is not translated
	@$(BIN)/python -m tools.messages

screenshots: .venv/installed-dev ## pictures of every page, in var/screenshots/
	@sh .ci/chromium
	@exec $(BIN)/python -m pytest tests/screenshots*.py $(ARGS)

reset: .venv/installed ## stop everything and delete all data of this checkout; asks first
	@exec $(BIN)/python manage.py reset

.venv/installed: $(PINS)
	@$(MAKE) --no-print-directory .venv/bin/python
	@$(BIN)/python .ci/install.py requirements.txt
	@touch $@

.venv/installed-dev: $(PINS) requirements-dev.txt
	@$(MAKE) --no-print-directory .venv/bin/python
	@$(BIN)/python .ci/install.py requirements-dev.txt
	@touch .venv/installed $@

.venv/bin/python:
	@test -n "$(PYTHON)" || { \
	  echo "Python 3.11 was not found (looked for python3.11, python3, python in the PATH)."; \
	  echo "Install it, or name it: make run PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
	  echo "Python could not make a virtual environment. On Debian and Ubuntu: apt-get install python3.11-venv"; exit 1; }
