# The real work is in Python; a target here is a name for it.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help demo test check verify generate lint-manifests docs bench bench-scale proof proof-full soak images release sbom audit lock clean

help: ## Show what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.ready: cli/bootstrap.py locks/bootstrap.txt locks/dev.txt pyproject.toml
	@$(PYTHON) cli/bootstrap.py

demo: .venv/.ready ## A real Kubernetes on this machine, and a model answering through kubectl apply
	@$(BIN)/fairlead demo

test: .venv/.ready ## All tests, with everything they need; prints the time of each suite
	@$(BIN)/python tests/run.py

check: .venv/.ready ## Format, lint, types and import contracts
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports

verify: .venv/.ready generate ## Regenerate what is generated, and fail if that changes the tree
	@$(BIN)/python cli/verify.py

generate: .venv/.ready ## Write crds/, the chart's copy of it, its dashboards and alerts, and the pages in docs/ from code and data
	@$(BIN)/python -m fairlead_operator.api.crd
	@$(BIN)/python -m fairlead_operator.api.crd charts/fairlead/files/crds
	@$(BIN)/python -m fairlead_cli.dashboards charts/fairlead/dashboards
	@$(BIN)/python -m fairlead_cli.alerts charts/fairlead/files/alerts.yaml
	@$(BIN)/python -m fairlead_cli.failures_page docs/failures.md
	@$(BIN)/python -m fairlead_cli.conditions_page docs/conditions.md
	@$(BIN)/python -m fairlead_cli.profiles_page docs/profiles.md
	@$(BIN)/python -m fairlead_cli.benchmarks_page docs/benchmarks
	@$(BIN)/python -m fairlead_cli.scale_page docs/benchmarks
	@$(BIN)/python -m fairlead_cli.proof_page docs/benchmarks
	@$(BIN)/python -m fairlead_cli.site.reference docs/reference.md
	@$(BIN)/python -m fairlead_cli.site.examples docs/examples.md
	@$(BIN)/python -m fairlead_cli.site.runbook docs/runbook.md
	@$(BIN)/python -m fairlead_cli.site.figures docs/tuning.md
	@$(BIN)/python -m fairlead_cli.site.observability docs/observability.md
	@$(BIN)/python -m fairlead_cli.site.chart docs/chart.md
	@$(BIN)/python -m fairlead_cli.site.commands docs/cli.md
	@$(BIN)/python -m fairlead_cli.site.architecture docs/img/architecture.svg

lint-manifests: .venv/.ready ## Have checkov judge the rendered chart and the pods that the operator makes of every example
	@$(BIN)/python -m fairlead_cli.manifests.lint

docs: .venv/.ready ## Build the documentation into site/, to be read without a network
	@$(BIN)/python -m fairlead_cli.site.build

bench: .venv/.ready bench-scale ## bench-scale; fairlead's runtime against bare vLLM on this CPU, as ratios; writes docs/benchmarks/
	@$(BIN)/python benchmarks/runtime_cpu.py; passed=$$?; $(BIN)/python -m fairlead_cli.benchmarks_page docs/benchmarks; exit $$passed

bench-scale: .venv/.ready ## The operator with 1,000 services on simulated nodes; fails when worse than docs/benchmarks/operator-scale.json
	@$(BIN)/python benchmarks/operator_scale.py --resources 1000

proof: .venv/.ready ## What CI proves of the operator: killed at every write, faults, explored and fuzzed specs; writes docs/benchmarks/
	@$(BIN)/python benchmarks/proofs.py

proof-full: .venv/.ready ## The same with every scenario and many more examples
	@FAIRLEAD_PROOF=full $(BIN)/python benchmarks/proofs.py

soak: .venv/.ready ## An hour at saturation on the local cluster: no restart, no failed request; writes docs/benchmarks/
	@$(BIN)/python benchmarks/soak.py; passed=$$?; $(BIN)/python -m fairlead_cli.benchmarks_page docs/benchmarks; exit $$passed

images: .venv/.ready ## Build the operator's, the runtime's and the demo model's image, without Docker
	@$(BIN)/fairlead images build

release: .venv/.ready ## Wheel, chart, images and what is in them, with their digests, into dist/; from a clean commit
	@$(BIN)/python -m fairlead_cli.release

sbom: .venv/.ready ## What is in the operator's and the runtime's image, as CycloneDX, into dist/
	@$(BIN)/python -m fairlead_cli.release sbom

audit: .venv/.ready ## Ask for published vulnerabilities of all pinned packages; SERVICE=osv asks OSV instead of PyPI
	@$(BIN)/python -m fairlead_cli.release.audit --service $(or $(SERVICE),pypi)

lock: .venv/.ready ## Pin all dependencies anew, from pyproject.toml
	@$(BIN)/python locks/lock.py

clean: ## Stop the local cluster and remove the environment of this checkout; the cache in ~/.cache/fairlead stays
	@if $(BIN)/python -c 'import fairlead_cli.__main__' 2>/dev/null; then $(BIN)/python -m fairlead_cli cluster down; \
	elif [ -e .venv ]; then echo "no cluster was stopped, for .venv is broken; if one runs: make .venv/.ready && .venv/bin/fairlead cluster down"; fi
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist site
