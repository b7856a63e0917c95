# Every target does its own set-up: Python 3.11 or newer and make are enough.

PYTHON ?= python3
UV := uv==0.13.9

.PHONY: help
help: ## Say what there is
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

.PHONY: demo
demo: .venv-demo/ready ## Repack a small real model, and time it against the usual script
	@.venv-demo/bin/python -m examples.demo

.PHONY: test
test: .venv/ready .venv-sagemaker-v3/ready .venv-sagemaker-v2/ready ## Lint, types and tests
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy .
	.venv/bin/pytest
	.venv-sagemaker-v3/bin/pytest --confcutdir=tests/pipeline tests/pipeline
	.venv-sagemaker-v2/bin/pytest --confcutdir=tests/pipeline tests/pipeline

.PHONY: hunt
hunt: .venv/ready ## Compare with other readers on generated archives: takes MINUTES=5 each for tar and deflate
	.venv/bin/python -m tests.hunt tar --minutes $(or $(MINUTES),5)
	.venv/bin/python -m tests.hunt deflate --minutes $(or $(MINUTES),5)

.PHONY: mutants
mutants: .venv-mutants/ready ## Break core/ in every small way and see whether a test fails: takes hours
	rm -rf mutants
	.venv-mutants/bin/mutmut run
	@.venv-mutants/bin/mutmut results --all true | awk -F '[.:]' '{ all[$$3]++; killed[$$3] += $$NF ~ /killed|timeout/ } \
		END { for (name in all) printf "%s: %.0f %% of %d\n", name, 100 * killed[name] / all[name], all[name] }'

.PHONY: bench
bench: .venv/ready ## Compare with what people use today, on two models of 1 GiB: takes half an hour
	.venv/bin/python -m benchmarks.local

.PHONY: synth
synth: .venv/ready ## Synthesize what is deployed into cdk.out, checked by cdk-nag; needs no node, Docker or credentials
	@.venv/bin/python -m infra.app && echo "cdk.out/ModelRepacker.template.json"

.PHONY: clean
clean: ## Remove everything that the other targets made
	rm -rf .venv .venv-* .cache build mutants cdk.out .mypy_cache .pytest_cache .ruff_cache .hypothesis

# A virtual environment is made anew when its list of requirements changes.
.venv/ready: requirements.txt
.venv-demo/ready: examples/requirements.txt
.venv-sagemaker-v2/ready: tests/pipeline/requirements-sagemaker-v2.txt
.venv-sagemaker-v3/ready: tests/pipeline/requirements-sagemaker-v3.txt
.venv-mutants/ready: tests/core/requirements-mutants.txt
.venv/ready .venv-demo/ready .venv-mutants/ready .venv-sagemaker-v2/ready .venv-sagemaker-v3/ready:
	@echo "Making $(@D) from $<"
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check $(UV)
	@$(@D)/bin/uv pip install --quiet --python $(@D)/bin/python --requirements $<
	@touch $@
