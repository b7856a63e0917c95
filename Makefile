# Every target but `readers` does its own set-up: Python 3.11 or newer and make are enough.

PYTHON ?= python3
UV := uv==0.13.9
TESTS ?= tests
MINUTES ?= 5
CHAPTER ?= $(basename $(notdir $(wildcard lambda_fn/core/[a-z]*.py)))
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder
# Where byte code may not be kept, each process compiles the SDKs and the CDK anew: more than half of its time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Say what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 13

.PHONY: demo
demo: .venv-demo/ready ## Try all three doors on a small real model: the laptop, an upload, a pipeline step
	@.venv-demo/bin/python -m examples.demo

.PHONY: demo-laptop
demo-laptop: .venv-demo-laptop/ready ## Try the first door alone: less to install
	@.venv-demo-laptop/bin/python -m examples.demo laptop

.PHONY: test
test: .venv/ready .venv-sagemaker-v3/ready .venv-sagemaker-v2/ready ## Lint, types and all tests: each of them happens
	@$(MAKE) --no-print-directory --keep-going --jobs 2 main beside

.PHONY: check
check: .venv/ready ## Lint, types, and the quick tests that need no server and no SDK: what one runs while working
	@$(MAKE) --no-print-directory --keep-going --jobs 2 quick lint

.PHONY: main
main: .venv/ready
	.venv/bin/pytest $(PARALLEL)

.PHONY: quick
quick: .venv/ready
	.venv/bin/pytest $(PARALLEL) -m "not server and not slow"

# What runs on the cores that the main run leaves idle speaks when it is done.
.PHONY: beside
beside:
	@said=$$(mktemp); $(MAKE) --keep-going lint sdk-v3 sdk-v2 >$$said 2>&1; failed=$$?; cat $$said; rm $$said; exit $$failed

# One process each: what imports an SDK works for ten seconds before its first test.
.PHONY: sdk-v2 sdk-v3
sdk-v2 sdk-v3: sdk-%: .venv-sagemaker-%/ready
	.venv-sagemaker-$*/bin/pytest --confcutdir=tests/pipeline tests/pipeline

.PHONY: lint
lint: .venv/ready ## Lint and types
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy .

.PHONY: readers
readers: ## Install all programs that the tests can use (Debian, as root)
	@packages="$$($(PYTHON) -m tests.programs)"; test -z "$$packages" || \
	(set -x; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $$packages)

.PHONY: hunt
hunt: .venv/ready ## Search for what breaks: other readers on generated archives (MINUTES=5 each), then properties for hours (TESTS=file)
	.venv/bin/python -m tests.hunt tar --minutes $(MINUTES)
	.venv/bin/python -m tests.hunt deflate --minutes $(MINUTES)
	HYPOTHESIS_PROFILE=hunt .venv/bin/pytest -n auto -m hypothesis $(TESTS)

.PHONY: mutants
mutants: $(CHAPTER:%=mutants-%) ## Break core/ in every small way and see whether a test fails (CHAPTER=crc: minutes; all of it: a day)

# The chapter's own tests come first; what they leave alive (survived, no tests, not checked) meets all quick tests of core/.
mutants-%: .venv-mutants/ready
	rm -rf mutants
	-PYTEST_ADDOPTS="-k test_$*" .venv-mutants/bin/mutmut run 'lambda_fn.core.$*.*'
	@alive=$$(.venv-mutants/bin/mutmut results | sed -n 's/^ *\(lambda_fn\.core\.$*\..*\): [sn].*/\1/p'); \
		test -z "$$alive" || .venv-mutants/bin/mutmut run $$alive
	@.venv-mutants/bin/mutmut results --all true | awk '$$1 ~ /^lambda_fn.core.$*\./ { all++; killed += /: killed/; late += /: timeout/ } \
		END { if (all) printf "$*: %.1f %% of %d, %d of them by running out of time\n", 100 * (killed + late) / all, all, late }'

.PHONY: bench
bench: .venv/ready ## Compare with what people use today, on models of 1 GiB and small ones, and edits with each other: takes 40 minutes
	.venv/bin/python -m benchmarks.local
	.venv/bin/python -m benchmarks.edits
	.venv/bin/python -m benchmarks.small

.PHONY: docs
docs: .venv/ready ## Make every generated page and picture of docs/
	@.venv/bin/python -m docs.cost # takes over what was measured last
	@.venv/bin/python -m docs

.PHONY: synth
synth: .venv/ready ## Synthesize what is deployed into cdk.out, checked by cdk-nag; needs no node, Docker or credentials
	@.venv/bin/python -m infra.app && echo "cdk.out/model-repacker.template.json"

.PHONY: clean
clean: ## Remove everything that the other targets made
	rm -rf .venv .venv-* .cache build mutants cdk.out .mypy_cache .pytest_cache .ruff_cache .hypothesis

# A virtual environment is made anew when its list of requirements changes.
.venv/ready: requirements.txt
.venv-demo/ready: examples/requirements.txt examples/requirements-laptop.txt
.venv-demo-laptop/ready: examples/requirements-laptop.txt
.venv-sagemaker-v2/ready: tests/pipeline/requirements-sagemaker-v2.txt
.venv-sagemaker-v3/ready: tests/pipeline/requirements-sagemaker-v3.txt
.venv-mutants/ready: tests/core/requirements-mutants.txt
.venv/ready .venv-demo/ready .venv-demo-laptop/ready .venv-mutants/ready .venv-sagemaker-v2/ready .venv-sagemaker-v3/ready:
	@echo "Making $(@D) from $<"
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check $(UV)
	@$(@D)/bin/uv pip install --quiet --python $(@D)/bin/python --requirements $<
	@touch $@
