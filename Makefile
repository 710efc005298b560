# A target is a name for commands that you may as well type. `make` alone lists them.
# Needs make and Python 3.11 or later; everything else comes from the package index into .tools/ and .venv/.

STACK ?= local
IMAGE ?= app-example:dev
# renovate: datasource=pypi depName=uv
UV_VERSION := 0.13.9

export UV_PYTHON_DOWNLOADS := never
# Compiling the SDKs again takes half of every start.
unexport PYTHONDONTWRITEBYTECODE
UV := $(shell command -v uv 2>/dev/null || echo $(CURDIR)/.tools/bin/uv)
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help preview test thorough check services validate engine cluster cluster-down cluster-test e2e evidence benchmark doctor docs golden demo image container sbom up down clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

preview: $(READY) ## show all stacks: no cloud, no credentials, no Pulumi CLI
	@$(BIN)/fastapi-platform preview

test: $(READY) ## run the quick tests, which need nothing but Python
	cd app-example && $(UV) run --frozen --quiet pytest -q --numprocesses auto --dist worksteal -m "not processes and not services"
	$(BIN)/pytest -q --numprocesses auto --dist worksteal -m "not cluster and not image and not processes and not services"

check: $(READY) ## lint, types, layers, generated pages, lock
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	$(UV) lock --check --quiet
	cd app-example && $(UV) lock --check --quiet && $(UV) run --frozen --quiet ruff check . && $(UV) run --frozen --quiet ruff format --check --quiet . && $(UV) run --frozen --quiet pyright && $(UV) run --frozen --quiet python -m fastapi_platform_runtime.lint

services: $(READY) ## run the tests with real servers: Postgres, PgBouncer, Redis (skip what is not installed)
	$(BIN)/pytest -q -m services -rfEs
	cd app-example && $(UV) run --frozen --quiet pytest -q --numprocesses auto --dist worksteal -m "processes or services" -rfEs

thorough: $(READY) ## the tests that need nothing but Python, with more examples, and how much of the code they reach
	HYPOTHESIS_PROFILE=thorough $(BIN)/pytest -q --numprocesses auto --dist worksteal -m "not cluster and not engine and not image and not services and not validators" \
		--cov --cov-report term

validate: $(READY) ## judge manifests, Dockerfile, workflows and history with other people's validators (installs them)
	REQUIRE_TOOLS=1 PATH="$$(UV=$(UV) .ci/tools):$$PATH" $(BIN)/pytest -q -m validators

engine: $(READY) ## compare with the real engine (needs pulumi on PATH)
	$(BIN)/pytest tests/engine -q -rfEs

e2e: $(READY) ## deploy with the real engine to such a cluster (needs pulumi on PATH besides)
	$(BIN)/pytest tests/e2e -v --tb=short -rfEs -m engine

cluster: $(READY) ## start a Kubernetes of one node from packages, or use kind or KUBECONFIG; prints its kubeconfig
	@$(BIN)/python -m tests.cluster up

cluster-down: $(READY) ## take that cluster away again
	@$(BIN)/python -m tests.cluster down

cluster-test: $(READY) ## deploy to such a cluster, break it, and ask its API server about every manifest (needs root and Go, on Debian)
	$(BIN)/pytest tests/cluster -v --tb=short -rfEs -m cluster
	KUBERNETES=1.35 $(BIN)/pytest tests/cluster/test_api_server.py -q -rfEs -m cluster

evidence: ## cluster-test, and write what was measured into docs/evidence
	EVIDENCE=docs/evidence $(MAKE) cluster-test

benchmark: $(READY) ## measure preview and example, as ratios
	$(BIN)/python benchmarks/preview_speed.py
	cd app-example && $(UV) run --frozen --quiet python -m benchmarks.throughput

doctor: $(READY) ## what this machine has for each further step
	@$(BIN)/fastapi-platform doctor

docs: $(READY) ## write the generated pages
	$(BIN)/python docs/generate.py

golden: $(READY) ## write the lists of resources that the tests compare with
	UPDATE_GOLDEN=1 $(BIN)/pytest tests/infra/test_stack.py -q -k listed

demo: | $(UV) ## run the example with Postgres, PgBouncer, Redis and its worker on this machine, until Ctrl-C
	@cd app-example && $(UV) sync --frozen --quiet && exec .venv/bin/python -m development.demo $(DEMO)

image: ## build the image of the example app with docker, podman or buildah (IMAGE=app-example:dev)
	@.ci/image/build $(IMAGE)

container: $(READY) ## build that image without a registry, and test it in a container (needs root, on Debian)
	REQUIRE_TOOLS=1 PATH="$$(UV=$(UV) .ci/tools):$$PATH" $(BIN)/pytest -q -m image -rfEs

sbom: $(READY) ## the same image in OCI layout, and its bill of materials, into out/
	.ci/image/here out/orders
	PATH="$$(UV=$(UV) .ci/tools):$$PATH" .ci/image/sbom out/orders out/orders.cdx.json

# The engine looks for uv on the PATH, wherever it has been found here.
up down: export PATH := $(PATH):$(dir $(UV))

up: $(READY) ## deploy a stack, and say why it does not come up (STACK=local, ARGS="-- --yes")
	@command -v pulumi >/dev/null || { $(BIN)/fastapi-platform doctor deploy $(STACK); exit 2; }
	pulumi stack select --create $(STACK)
	@$(BIN)/fastapi-platform up $(STACK) $(ARGS)

down: $(READY) ## take a stack away again (STACK=local)
	pulumi destroy --stack $(STACK)

clean: ## remove the environments
	rm -rf .venv .tools app-example/.venv

$(READY): uv.lock pyproject.toml components/pyproject.toml policy/pyproject.toml preview/pyproject.toml runtime/pyproject.toml | $(UV)
	@$(UV) sync --frozen --quiet
	@touch $@

$(CURDIR)/.tools/bin/uv:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "needs Python 3.11 or later as python3, found " + sys.version.split()[0])'
	@python3 -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
