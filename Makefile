# `make study` and `make test` each work alone on a fresh clone; the rest is for who changes the code.
SPACE ?= digits_ae
ARGS ?=
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: study reproduce test test-all test-cluster bench lint format ui clean
.DEFAULT_GOAL := study

# Each stamp is renewed when what is installed may have changed.
$(VENV)/.study: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable . --constraint constraints.txt
	touch $@

$(VENV)/.dev: $(VENV)/.study
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]' --constraint constraints.txt
	touch $@

study: $(VENV)/.study  ## run a study: make study SPACE=cifar_ae ARGS="--trials 16"
	$(BIN)/python study/run.py --space $(SPACE) $(ARGS)

reproduce: $(VENV)/.study  ## train the reports' own networks: make reproduce ARGS="'fashion/*' --seeds 1"
	$(BIN)/python study/reproduce.py $(ARGS)

# Two processes share the files; more would only be in each other's way, as a whole study takes every core by itself.
test: $(VENV)/.dev  ## the default test suite
	$(BIN)/python -m pytest -m "not slow and not gpu and not cluster" --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-all: $(VENV)/.dev  ## everything that this machine can run
	$(BIN)/python -m pytest

test-cluster: $(VENV)/.dev  ## ray up to ray down on isolated hosts, and on AWS played by moto (root, sshd, rsync)
	$(BIN)/python -m pytest -m "cluster and not slow"

bench: $(VENV)/.dev  ## every benchmark beside its peers, into this machine's table: make bench ARGS="--only epoch"
	$(BIN)/python tests/benchmarks $(ARGS)

requirements-cluster.txt: pyproject.toml constraints.txt $(VENV)/.dev  ## the cluster's packages with their hashes
	echo 'setuptools>=77' | $(BIN)/uv pip compile pyproject.toml - --extra aws --extra gcp --constraint constraints.txt --universal \
	    --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --quiet --output-file $@

requirements-image.txt: pyproject.toml constraints.txt $(VENV)/.dev  ## those of the Dockerfile
	echo 'setuptools>=77' | $(BIN)/uv pip compile pyproject.toml - --extra image --constraint constraints.txt \
	    --python-platform x86_64-manylinux_2_28 --python-version 3.11 --generate-hashes --no-annotate --no-header \
	    --no-emit-index-url --quiet --output-file $@

lint: $(VENV)/.dev  ## ruff and the type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# make ui                        MLflow on the database of this folder
# make ui CLUSTER=cluster.yaml   a tunnel to MLflow and Ray's dashboard on a cluster's head, until Ctrl-C
ui: $(VENV)/.study  ## http://127.0.0.1:5000 (and a cluster's dashboard on http://127.0.0.1:8265)
ifdef CLUSTER
	$(BIN)/ray exec $(CLUSTER) --port-forward 5000 --port-forward 8265 'sleep infinity'
else
	$(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1
endif

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache
