# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
# Needs: python3-venv python3-dev g++ make (Debian package names); checked, with a clear message.

PYTHON ?= python3
VENV := .venv/bin

# Of `make demo`: one's own video or folder of frames, the first box, and what is known to be true.
VIDEO ?=
INIT ?=
TRUTH ?=
MODEL ?=
OUTPUT ?=
# Of `make test`: further arguments of pytest, e.g. TESTS='test/ros -k lifecycle'.
TESTS ?=
# In its types NumPy 2 has defaults for the arguments of np.ndarray; NumPy 1 asks for them.
MYPY_OPTIONS = $(shell $(VENV)/python -c \
	'import numpy; print("--allow-any-generics" * numpy.__version__.startswith("1."))')

.DEFAULT_GOAL := help
.PHONY: help env demo test lint docs interpreters clean

help:
	@echo 'make env     build .venv: ROS 2, this package and everything it needs'
	@echo 'make demo    watch a real ROS 2 graph follow a target (VIDEO=path INIT=x,y,w,h'
	@echo '             [TRUTH=file] for your own; MODEL=name, OUTPUT=folder)'
	@echo 'make test    run all tests (TESTS="path -k name" for some)'
	@echo 'make lint    check style and types of the sources'
	@echo 'make docs    make a site of docs/ and of the docstrings: build/docs'
	@echo 'make interpreters  run what needs no ROS under every supported Python that is here'
	@echo 'make clean   remove everything that was built'
	@echo
	@echo 'PYTHON=python3.12 chooses the Python (3.10 to 3.13) of a new environment.'

env:
	@command -v $(PYTHON) >/dev/null || { echo "make env: no $(PYTHON) on PATH: install it \
	(Debian and Ubuntu: sudo apt install python3-venv) or run make env PYTHON=/path/to/python3" \
	>&2; exit 1; }
	@$(PYTHON) underlay/environment.py

demo: env
	@$(VENV)/lorat demo $(if $(VIDEO),--video '$(VIDEO)') $(if $(INIT),--init='$(INIT)') \
		$(if $(TRUTH),--truth '$(TRUTH)') $(if $(MODEL),--model '$(MODEL)') \
		$(if $(OUTPUT),--output '$(OUTPUT)')

# Three workers, for one of them mostly waits for nodes. Where the variable is set, as images of
# containers have it, each of some hundred processes would compile the package again.
test: env
	@PYTHONDONTWRITEBYTECODE= $(VENV)/python -m pytest -n 3 $(TESTS)

lint: env
	@$(VENV)/python -m ruff check .
	@$(VENV)/python -m mypy $(MYPY_OPTIONS)
	@$(VENV)/python underlay/ament_lint.py

interpreters: env
	@$(VENV)/python underlay/interpreters.py

docs: env
	@$(VENV)/python underlay/docs.py

clean:
	rm -rf .venv build docs/api install log demo dist simulation *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
