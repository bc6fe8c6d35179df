# make run       the demo: private MongoDB, recordings on disk, sample calls arriving. Ctrl-C ends it; all data is in var/
# make test      every test, with a real MongoDB, S3 server and browser
# make lint      ruff and mypy
# make coverage  the tests of the parts, and which branches of tether_rt/ they ran; fails below 92 %
# make compat    the lowest and highest versions that setup.cfg allows, on every Python that is installed
# make soak      the same faults as in the tests, for longer and more often: about half an hour
# make bench     the benchmarks
# make clients   the packages for programs that send or follow, into dist/
# make image     the container's image, built and used: needs Docker or Podman
# make audit     known vulnerabilities of what is installed, from PyPI and npm
# make dist      the release, in dist/: wheel and source, checked, and used on every Python that is installed
# make update    renew constraints.txt, the versions that all of these install
#
#   make run SIMULATE=30            thirty sample calls a minute; SIMULATE=0 for none
#   make run ARGS="--port 8080"     any other option of run.py
#   make test PYTHON=python3.13     another Python, 3.11 or newer, with its own .venv-python3.13

PYTHON   ?= python3
SIMULATE ?= 6
ARGS     ?=

VENV ?= .venv$(if $(findstring command line,$(origin PYTHON)),-$(notdir $(PYTHON)))
PIP  := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
# Each worker begins with one half of the files, in order, and takes tests from the other when it has none left.
TWO_AT_ONCE := -n 2 --dist worksteal
# The newest Python has no more released versions than the oldest, so what the oldest resolves installs on all of them.
OLDEST = $(firstword $(shell .ci/pythons) $(PYTHON))
APT  := DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test lint coverage compat soak bench clients audit dist update screenshots image mongod tools

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed '/^$$/q'

run: $(VENV)/demo.stamp static/vendor mongod
	@exec $(VENV)/bin/python run.py --simulate $(SIMULATE) $(ARGS)

test: $(VENV)/test.stamp static/vendor mongod tools
	@$(VENV)/bin/pytest $(TWO_AT_ONCE) $(ARGS)

# The tests that mirror tether_rt/. The others try the whole from outside, or what lies beside it.
PARTS_ALONE := $(addprefix --ignore=tests/,attacks client deploy e2e faults floods system upgrade)

# The workers of pytest and the servers that tests start are measured as well: setup.cfg, [coverage:run].
coverage: $(VENV)/test.stamp static/vendor mongod tools
	@rm -f .coverage .coverage.*
	@$(VENV)/bin/coverage run -m pytest $(TWO_AT_ONCE) $(PARTS_ALONE) $(ARGS)
	@$(VENV)/bin/coverage combine --quiet
	@$(VENV)/bin/coverage report

compat: $(VENV)/test.stamp static/vendor mongod
	@$(VENV)/bin/python -m tests.compat $(or $(shell .ci/pythons),$(PYTHON))

soak: $(VENV)/test.stamp mongod tools
	@$(VENV)/bin/pytest -m soak $(ARGS)

lint: $(VENV)/test.stamp
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy

bench: $(VENV)/test.stamp static/vendor mongod
	@$(VENV)/bin/python -m bench $(ARGS)

# From a copy, so that what the builds leave is not in the checkout.
clients: $(VENV)/test.stamp
	@echo 'Building the clients into dist/'
	@rm -rf build/clients && mkdir -p build dist && cp -R clients build/
	@cd build/clients/python && $(abspath $(VENV))/bin/python -c 'from setuptools import build_meta as build; \
	build.build_wheel("../../../dist"); build.build_sdist("../../../dist")' >/dev/null
	@$(call need,command -v npm,npm,it packs the client for JavaScript)
	@cd build/clients/javascript && npm pack --silent --pack-destination ../../../dist >/dev/null

audit: $(VENV)/audit.stamp static/package-lock.json
	@$(VENV)/bin/python -m pip freeze --exclude-editable >$(VENV)/audited.txt
	@status=0; \
	$(VENV)/bin/pip-audit --strict --progress-spinner off --disable-pip --no-deps -r $(VENV)/audited.txt || status=1; \
	npm audit --prefix static || status=1; \
	npm audit --prefix clients/javascript || status=1; \
	exit $$status

# The wheel is made of the source distribution, which has the dashboard's libraries: neither needs npm.
dist: $(VENV)/release.stamp static/vendor mongod
	@rm -rf dist/tether_rt-*
	@$(VENV)/bin/python -m build --no-isolation --outdir dist >$(VENV)/dist.log || { cat $(VENV)/dist.log; exit 1; }
	@$(VENV)/bin/twine check --strict dist/tether_rt-*
	@$(VENV)/bin/python -m tests.compat --wheel dist/tether_rt-*.whl $(or $(shell .ci/pythons),$(PYTHON))
	@sha256sum dist/tether_rt-*

update: static/vendor
	@echo 'Resolving what setup.cfg allows'
	@rm -rf .venv-update && $(OLDEST) -m venv .venv-update
	@.venv-update/bin/python -m pip --disable-pip-version-check --quiet install -e '.[demo,test,audit,release]'
	@{ echo '# The versions that were tested. `make update` renews this file; setup.cfg has the ranges.'; \
	.venv-update/bin/python -m pip --disable-pip-version-check freeze --all --exclude-editable --exclude pip; } >constraints.txt
	@rm -rf .venv-update

# The image, built and used as production runs it: docs/containers.md.
image: $(VENV)/test.stamp mongod
	@$(VENV)/bin/python -m tests.deploy.image $(ARGS)

# The pictures of docs/images, from a server with sample calls.
screenshots: $(VENV)/test.stamp static/vendor mongod tools
	@$(VENV)/bin/python -m tests.e2e.screenshots

# Each step says what it does; the tools' own output is shown when they fail.

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed: make PYTHON=…' >&2; exit 1; }
	@$(call need,$(PYTHON) -c 'import ensurepip',python3-venv,it makes virtual environments)
	@echo 'Making $(VENV)'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: setup.cfg setup.py pyproject.toml constraints.txt | $(VENV)/bin/python static/vendor
	@echo 'Installing tether_rt and what it needs'
	@$(PIP) install -c constraints.txt -e '.[demo]'
	@touch $@

$(VENV)/test.stamp: setup.cfg setup.py pyproject.toml constraints.txt | $(VENV)/bin/python static/vendor
	@echo 'Installing tether_rt, what it needs and the test tools'
	@$(PIP) install -c constraints.txt -e '.[demo,test]'
	@touch $@ $(VENV)/demo.stamp

$(VENV)/audit.stamp: $(VENV)/test.stamp
	@echo 'Installing what audits'
	@$(PIP) install -c constraints.txt -e '.[demo,test,audit]'
	@touch $@

# A directory's time changes with what is put into it, so it is set by hand.
static/vendor: static/.npmrc static/package.json static/package-lock.json static/vendor.mjs
	@$(call need,command -v npm,npm,it fetches the libraries of the dashboard)
	@echo "Fetching the dashboard's libraries"
	@npm ci --prefix static --loglevel=error >/dev/null
	@npm run --prefix static --silent vendor
	@touch $@

clients/javascript/node_modules: clients/javascript/package.json clients/javascript/package-lock.json
	@$(call need,command -v npm,npm,it fetches the compiler that checks types)
	@echo 'Fetching the TypeScript compiler'
	@npm ci --prefix clients/javascript --loglevel=error >/dev/null
	@touch $@

$(VENV)/release.stamp: $(VENV)/test.stamp
	@echo 'Installing what builds and checks a release'
	@$(PIP) install -c constraints.txt -e '.[demo,test,release]'
	@touch $@

# The mongod of the wheel is linked against libcurl, which a small Debian does not have.
mongod: | $(VENV)/demo.stamp
	@mongod=$$($(VENV)/bin/python -c 'from tether_rt.mongo.mongod_process import find_binary; print(find_binary())' 2>/dev/null) || exit 0; \
	$(call need,"$$mongod" --version,libcurl4,mongod needs it)

# Debian's Chromium if it can be installed, otherwise the one that Playwright downloads.
tools: clients/javascript/node_modules | $(VENV)/test.stamp
	@$(call need,command -v curl,curl,the tests paste a line that uses it)
	@$(call need,command -v rclone,rclone,the tests copy recordings with it as docs/backups.md does)
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		$(call need,command -v chromium,chromium,the browser of the tests) \
	else \
		$(VENV)/bin/python -m playwright install chromium; \
	fi
	@command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || [ -x .tools/nginx/usr/sbin/nginx ] || $(call unpack,nginx,the proxy of the tests)
	@command -v promtool >/dev/null || [ -x .tools/prometheus/usr/bin/promtool ] || $(call unpack,prometheus,the tests check alerts and the dashboard with it)
	@$(call need,command -v systemd-analyze,systemd,the tests check the units with it)

# $(call unpack,<Debian package>,<what it is for>): into .tools/, for a program whose package would start a service. What the
# program is linked against must be there already: nginx needs no more than Python and dpkg do.
unpack = { \
	echo 'Unpacking $(1): $(2)'; mkdir -p .tools && cd .tools && rm -f $(1)_*.deb; \
	{ apt-get -qq download $(1) || { apt-get -qq update && apt-get -qq download $(1); }; } >/dev/null 2>&1; \
	dpkg -x $(1)_*.deb $(1) && rm $(1)_*.deb || { echo "Please install $(1): $(2)." >&2; exit 1; }; }

# $(call need,<command that fails without it>,<Debian package>,<what it is for>)
need = $(1) >/dev/null 2>&1 || { \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo 'Installing $(2): $(3)'; \
		$(APT) $(2) >/dev/null 2>&1 || { apt-get -qq update && $(APT) $(2) >/dev/null; }; \
	fi; \
	$(1) >/dev/null || { echo "Please install $(2): $(3)." >&2; exit 1; }; }
