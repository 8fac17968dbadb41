# One command per chore; CI runs the same ones.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
export PATH := $(CURDIR)/$(BIN):$(PATH)
export ANSIBLE_HOME := $(CURDIR)/.ansible
OWN := collections/ansible_collections/storage/consolidation
PACKAGES := . services/common services/storage services/storage-client services/campaign services/image
.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

.PHONY: setup
setup: $(VENV)/.ready $(OWN) ## Set everything up: venv, locked dependencies

$(VENV)/.ready: requirements.txt pyproject.toml $(wildcard services/*/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; call make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@echo "Setting up .venv, about half a minute the first time"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation $(addprefix -e ,$(PACKAGES))
	@touch $@

# As links: the modules name their shared documentation as the installed collection has it.
$(OWN):
	@mkdir -p $@
	@for name in plugins meta galaxy.yml; do ln -sfn "../../../../$$name" "$@/$$name"; done

# What the scenarios of molecule/ use. Galaxy where it can be reached; else the same out of the bundle on the package index.
collections/.ready: requirements.yml tools/collection.sh | $(VENV)/.ready
	@sh tools/collection.sh
	@touch $@

.PHONY: lock
lock: ## Resolve requirements.in into the hashed requirements.txt (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	  --no-emit-find-links --output-file requirements.txt requirements.in

.PHONY: demo
demo: setup ## Migrate, roll back and migrate again on embedded PostgreSQL, with proof
	$(BIN)/python -m demo run $(DEMO_OPTIONS)

.PHONY: demo-clean
demo-clean: ## Stop the demo's servers and remove its data
	$(BIN)/python -m demo clean

.PHONY: bench
bench: setup ## Measure copy and verification against their peers on this machine (bench/README.md); takes hours
	$(BIN)/python -m bench $(BENCH_OPTIONS)

.PHONY: test
test: setup ## Lint, types, unit and integration tests
	$(MAKE) --jobs=2 --output-sync lint types unit || { echo 'What failed has a line with *** above.' >&2; exit 1; }
	$(MAKE) integration

.PHONY: lint
lint: setup collections/.ready ## Lint Python, YAML, playbooks and roles, module documentation, the SQL of the lineages
	ruff check .
	ruff format --check .
	yamllint --strict .
	ansible-lint
	python tools/validate_modules.py
	sh tools/lint_sql.sh

.PHONY: format
format: setup ## Put Python in its form, and fix what ruff can fix
	ruff check --fix .
	ruff format .

.PHONY: types
types: setup ## Check types with mypy --strict
	mypy

.PHONY: unit
unit: setup ## Unit tests, and the tests of the documentation
	pytest --numprocesses=2 --dist=loadfile tests/unit tests/docs

TESTS := $(wildcard tests/integration/test_*.py tests/integration/*/test_*.py)
# Whole migrations and rollbacks, one after the other: the slow part, on its own.
WHOLE := $(wildcard tests/integration/*/test_playbooks_*.py)
# The longest of the rest first, so that no core waits at the end for the other one's last file.
FIRST := $(foreach word,playbooks services_role resolve killed every_stop test_copy console anything trial,\
  $(wildcard tests/integration/*/*$(word)*.py))
# One more than CI has cores: tests wait for locks and limits for a sixth of their time.
PYTEST := pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder --durations=15

.PHONY: integration
integration: setup ## Tests on real PostgreSQL servers, the runbook's and the services'; without those of `make playbooks`
	$(PYTEST) $(filter-out $(WHOLE),$(FIRST)) $(filter-out $(WHOLE) $(FIRST),$(TESTS)) $(wildcard services/*/tests)

.PHONY: playbooks
playbooks: setup ## Tests of whole migrations and rollbacks: interrupted, failing, lost servers, lost runs
	$(PYTEST) $(WHOLE)

.PHONY: coverage
coverage: setup ## What share of lines and branches the tests run (`make unit integration`, measured); no threshold
	$(MAKE) unit integration PYTEST_ADDOPTS="--cov --cov-append --cov-report="
	coverage report

.PHONY: kill-matrix
kill-matrix: setup ## Faults within every step of both modes, each followed by the same command or a rollback; about an hour
	KILL_MATRIX=long pytest --numprocesses=0 -s tests/integration/journal/test_killed_anywhere.py

.PHONY: quick
quick: setup ## For the daily rhythm: lint, types, unit tests, one migration there, back and there again
	$(MAKE) --jobs=2 --output-sync lint types unit
	pytest tests/integration/playbooks/test_playbooks.py::test_look_migrate_go_back_and_go_again

.PHONY: docs
docs: setup ## Write what is generated: variables of roles, findings of preflight, decisions by state, what verification sees
	python -m tools.role_docs
	python tools/picture.py
	python tools/preflight_docs.py
	python -m tools.state_docs
	python -m tools.verification_docs

.PHONY: site
site: setup ## Build the documentation as a site in site/; warnings and dead links are errors
	python tools/site.py

.PHONY: collection
collection: setup ## Pack the modules as a collection, into dist/
	ansible-galaxy collection build --force --output-path dist .

.PHONY: release-notes
release-notes: setup ## Write the section of CHANGELOG.md that a tag's release is announced with: make release-notes TAG=v0.1.0
	mkdir -p dist
	python -m tools.release_notes $(TAG) > dist/release-notes.md

.PHONY: test-packages
test-packages: ## Install what some tests try beside the wheels, a pooler; as root
	@command -v pgbouncer >/dev/null || { apt-get update && apt-get install --yes --no-install-recommends pgbouncer; }

.PHONY: molecule-packages
molecule-packages: collections/.ready ## Install what the hosts of the scenarios need, Debian packages and a collection; as root
	sh tools/scenarios.sh packages

.PHONY: molecule
molecule: setup collections/.ready ## The runbook on real hosts with systemd, SSH and TLS: migrate, and there and back under traffic; as root
	sh tools/scenarios.sh default rollback

.PHONY: molecule-all
molecule-all: setup collections/.ready ## All scenarios on real hosts, the injected faults too; as root
	sh tools/scenarios.sh default rollback online failure two_runners upgrade_gap
