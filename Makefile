# make run     the demo: private MongoDB, recordings on disk, sample calls arriving. Ctrl-C ends it, everything is kept in var/
# make test    every test, with a real MongoDB, S3 server and browser
# make soak    the same faults as in the tests, for longer and more often: about half an hour
# make lint    ruff and mypy
# make bench   the benchmarks
# make audit   known weaknesses of what is installed, asked of PyPI and npm
#
#   make run SIMULATE=30            thirty sample calls a minute; SIMULATE=0 for none
#   make run ARGS="--port 8080"     anything else that run.py takes
#   make PYTHON=python3.12 …        another Python, 3.11 or newer

PYTHON   ?= python3
SIMULATE ?= 6
ARGS     ?=

VENV := .venv
PIP  := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
APT  := DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test soak lint bench audit screenshots mongod tools

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed '/^$$/q'

run: $(VENV)/demo.stamp static/vendor mongod
	@exec $(VENV)/bin/python run.py --simulate $(SIMULATE) $(ARGS)

test: $(VENV)/test.stamp static/vendor mongod tools
	@$(VENV)/bin/pytest -n 2 --dist loadfile $(ARGS)

soak: $(VENV)/test.stamp mongod
	@$(VENV)/bin/pytest -m soak $(ARGS)

lint: $(VENV)/test.stamp
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy

bench: $(VENV)/test.stamp static/vendor mongod
	@$(VENV)/bin/python -m bench $(ARGS)

audit: $(VENV)/audit.stamp static/package-lock.json
	@$(VENV)/bin/python -m pip freeze --exclude-editable >$(VENV)/audited.txt
	@status=0; \
	$(VENV)/bin/pip-audit --strict --progress-spinner off --disable-pip --no-deps -r $(VENV)/audited.txt || status=1; \
	npm audit --prefix static || status=1; \
	exit $$status

# The pictures of docs/images, from a server with sample calls.
screenshots: $(VENV)/test.stamp static/vendor mongod tools
	@$(VENV)/bin/python -m tests.e2e.screenshots

# Say what is done, and do it as quietly as it can be done.

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed: make PYTHON=…' >&2; exit 1; }
	@$(call need,$(PYTHON) -c 'import ensurepip',python3-venv,it makes virtual environments)
	@echo 'Making $(VENV)'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: setup.cfg setup.py pyproject.toml | $(VENV)/bin/python static/vendor
	@echo 'Installing tether_rt and what it needs'
	@$(PIP) install -e '.[demo]'
	@touch $@

$(VENV)/test.stamp: setup.cfg setup.py pyproject.toml | $(VENV)/bin/python static/vendor
	@echo 'Installing tether_rt, what it needs and the test tools'
	@$(PIP) install -e '.[demo,test]'
	@touch $@ $(VENV)/demo.stamp

$(VENV)/audit.stamp: $(VENV)/test.stamp
	@echo 'Installing what audits'
	@$(PIP) install -e '.[demo,test,audit]'
	@touch $@

# A directory's time changes with what is put into it, so it is set by hand.
static/vendor: static/.npmrc static/package.json static/package-lock.json static/vendor.mjs
	@$(call need,command -v npm,npm,it fetches the libraries of the dashboard)
	@echo "Fetching the dashboard's libraries"
	@npm ci --prefix static --loglevel=error >/dev/null
	@npm run --prefix static --silent vendor
	@touch $@

# The mongod of the wheel is linked against libcurl, which a small Debian does not have.
mongod: | $(VENV)/demo.stamp
	@mongod=$$($(VENV)/bin/python -c 'from tether_rt.mongo.mongod_process import find_binary; print(find_binary())' 2>/dev/null) || exit 0; \
	$(call need,"$$mongod" --version,libcurl4,mongod needs it)

# Debian's Chromium where there is none and it can be installed, otherwise the one that Playwright fetches for itself.
tools: | $(VENV)/test.stamp
	@$(call need,command -v curl,curl,the tests paste a line that uses it)
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		$(call need,command -v chromium,chromium,the browser of the tests) \
	else \
		$(VENV)/bin/python -m playwright install chromium; \
	fi

# $(call need,<command that tells if it is there>,<Debian package>,<what it does>)
need = $(1) >/dev/null 2>&1 || { \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo 'Installing $(2): $(3)'; \
		$(APT) $(2) >/dev/null 2>&1 || { apt-get -qq update && $(APT) $(2) >/dev/null; }; \
	fi; \
	$(1) >/dev/null || { echo "Please install $(2): $(3)." >&2; exit 1; }; }
