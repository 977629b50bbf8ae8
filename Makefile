# SPDX-License-Identifier: Apache-2.0
# Everything is installed into .venv on first use.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# Two stamps: running models needs little, the tests and the simulators need more.
INSTALLED := $(VENV)/.installed
TOOLS := $(VENV)/.tools
SIMULATOR := $(VENV)/.simulator
LINT_TOOLS := $(VENV)/.lint-tools
SYNTH_TOOLS := $(VENV)/.synth-tools
BOARD_TOOLS := $(VENV)/.board-tools
DOCS_TOOLS := $(VENV)/.docs-tools
COMPILE_TOOLS := $(VENV)/.compile-tools
SHELL := /bin/bash

# One BLAS thread per test process: several of them share the cores already.
export OPENBLAS_NUM_THREADS ?= 1

TARGETS := $(shell sed -n 's/^\([a-z][a-z-]*\):.*/\1/p' $(firstword $(MAKEFILE_LIST)) | sort -u)
.PHONY: $(TARGETS)
.DEFAULT_GOAL := help

help:
	@echo "targets: $(TARGETS)"

venv: $(TOOLS)

# A bare venv (without pip) is what Debian gives when python3-venv is missing: report that instead of a pip trace.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "OpenKPU needs Python 3.11 or later; this is $$($(PYTHON) -V). Try: make PYTHON=python3.11"; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); \
	  else echo "python3-venv is missing. Install it with: sudo apt-get install python3-venv"; exit 1; fi; }
	$(PY) -m pip install -q --disable-pip-version-check -e .
	@touch $@

$(SIMULATOR): $(INSTALLED)
	$(PY) -m pip install -q --disable-pip-version-check -e '.[rtl]'
	@touch $@

$(TOOLS): $(INSTALLED)
	$(PY) -m pip install -q --disable-pip-version-check -e '.[test,rtl,dev,docs]'
	@touch $@

$(LINT_TOOLS): $(TOOLS)
	$(PY) -m pip install -q --disable-pip-version-check -e '.[lint]'
	@touch $@

$(SYNTH_TOOLS): $(INSTALLED)
	$(PY) -m pip install -q --disable-pip-version-check -e '.[synth]'
	@touch $@

$(BOARD_TOOLS): $(INSTALLED)
	$(PY) -m pip install -q --disable-pip-version-check -e '.[board,synth]'
	@touch $@

$(DOCS_TOOLS): $(INSTALLED)
	$(PY) -m pip install -q --disable-pip-version-check -e '.[docs]'
	@touch $@

$(COMPILE_TOOLS): $(INSTALLED)
	$(PY) -m pip install -q --disable-pip-version-check -e '.[compile]'
	@touch $@

# Icarus Verilog needs root to install; the tests that use it are skipped by name without it.
icarus:
	@command -v iverilog >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends iverilog || true; fi; \
	  command -v iverilog >/dev/null || \
	    echo "Icarus Verilog is missing, its tests are skipped. Install it with: sudo apt-get install iverilog"; }

DEMO := examples/demo

# The project's own detector in the RTL, on pictures it was not trained on; results in out/demo and out/demo.png.
# The simulator is built on first use, which takes some minutes. BACKEND=functional needs no simulator.
BACKEND ?= rtl

demo: $(if $(filter functional,$(BACKEND)),$(INSTALLED),$(SIMULATOR))
	@for picture in $(DEMO)/pictures/*.png; do \
	  echo "== $$picture"; \
	  $(VENV)/bin/openkpu run $(DEMO)/shapes.kmodel $$picture --yolo2 $(DEMO)/anchors.txt --labels $(DEMO)/labels.txt \
	    --backend $(BACKEND) --out out/demo/$$(basename $$picture .png) || exit; \
	done
	@$(PY) $(DEMO)/sheet.py out/demo out/demo.png
	@if [ $(BACKEND) != functional ]; then $(VENV)/bin/openkpu profile $(DEMO)/shapes.kmodel; fi
	@echo "Look at out/demo.png"

# The example scripts on the demo model: $(call example,script,frames,options). Screens in out/examples/<script>.
example = $(VENV)/bin/openkpu script examples/$(1).py --lcd out/examples/$(1) --frames $(2) $(3)
PICTURES := --camera $(DEMO)/pictures

examples: $(INSTALLED)
	$(call example,face_find,6,$(PICTURES))
	$(call example,twenty_classes,6,$(PICTURES))
	$(call example,classifier,6,$(PICTURES))
	$(call example,feature_maps,15,--camera $(DEMO)/pictures/heldout_006.png)
	$(call example,self_learning,12,$(PICTURES) --key 0 --key 1 --key 2)
	$(call example,face_recognition,12,$(PICTURES))
	$(PY) $(DEMO)/fit_plates.py out/plates
	$(call example,licence_plate,4,--camera 'out/plates/*.png' --sd out/plates --fs examples)

# Every Verilated bench compiles Verilator's runtime; ccache does it once.
test check-rtl: export OBJCACHE ?= $(shell command -v $(CURDIR)/$(VENV)/bin/ccache)
test check-rtl: export CCACHE_DIR ?= $(CURDIR)/build/ccache
test check-rtl: export CCACHE_DEPEND ?= 1

test: $(TOOLS) icarus
	$(PY) -m pytest -n auto --dist worksteal --durations=10 -rs

# The operators' models for tests/test_nncase_operators.py, compiled and run by nncase 1.9, which needs CPython 3.10.
PYTHON310 ?= python3.10

nncase-ops:
	@$(PYTHON310) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10))' \
	  || { echo "nncase 1.9 needs CPython 3.10. Try: make nncase-ops PYTHON310=/path/to/python3.10"; exit 1; }
	@test -x build/compile/bin/python || $(PYTHON310) -m venv build/compile
	build/compile/bin/python -m pip install -q --disable-pip-version-check -r tests/requirements-nncase.txt
	cd build && compile/bin/python ../tests/generate_nncase_ops.py nncase_ops  # nncase leaves notes where it runs

# What a change in a Verilog file broke, in about a minute: the smallest configuration against the golden model.
check-rtl: $(TOOLS)
	$(PY) -m pytest -x tests/test_rtl_layers.py tests/test_native_backend.py -k "tiny or native"

# The wheel outside the checkout, every command, RTL included (builds its own simulator: minutes).
check-wheel: $(TOOLS)
	$(PY) tools/check_wheel.py --rtl $(PYTHONS)

lint: $(TOOLS) $(LINT_TOOLS)
	$(PY) -m ruff check .
	$(PY) tools/spdx.py
	$(PY) -m mypy
	$(PY) tools/lint.py

# Latches, memories in flip-flops, cells per module. CONFIGS names the configurations to check.
synth-check: $(SYNTH_TOOLS)
	$(PY) tools/synth.py check $(CONFIGS)

# Placed and routed on an ECP5-85: clock and resources (takes a long time).
fpga-estimate: $(SYNTH_TOOLS)
	$(PY) tools/synth.py fpga

# Whole models burnt into, streamed from and larger than the memories of the SoC with the full core (takes minutes).
check-flash: $(TOOLS)
	$(PY) -m pytest -m slow --durations=0 -rs tests/test_soc_models.py

# Timing figures and events from simulations, block figures, the table of modules: everything drawn in docs/.
figures: $(TOOLS)
	$(PY) -m tools.waves
	$(PY) -m tools.figures
	$(PY) -m tools.module_table

# The documentation as a site in build/site; any warning fails. Pages need no network: open build/site/index.html.
docs: $(DOCS_TOOLS)
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

bench-functional: $(INSTALLED)
	$(PY) bench/functional.py

# What the API costs over the simulation itself.
bench-api: $(TOOLS)
	$(PY) bench/api.py

# Clock cycles of the real models in the RTL (builds the simulator on first use), beside targets and predictions.
bench-cycles: $(TOOLS)
	$(PY) bench/cycles.py

# Single small layers in the RTL, cold and queued, beside their targets; --write puts the table into docs/performance.md.
bench-layers: $(TOOLS)
	$(PY) bench/layers.py --write

# Models with the AI RAM behind a cache, as on a board: cycles, frames per second, lines moved.
bench-cached: $(TOOLS)
	$(PY) bench/cached.py

# All real models on configuration board with random stalls on every bus, bit for bit (takes an hour).
check-cached: $(TOOLS)
	$(PY) bench/cached.py --all --stalls 20

# From clone to bitstream: make board BOARD=ulx3s. Prints cells per module, clock, critical path (takes hours).
BOARD ?= ulx3s
board: $(BOARD_TOOLS)
	$(VENV)/bin/openkpu board build $(BOARD)

# The simulated board, FuseSoC's targets and the models on them (takes 20 minutes).
check-board: $(TOOLS) $(BOARD_TOOLS)
	$(PY) -m pytest -n 0 -m slow --durations=0 -rs tests/test_board.py tests/test_fusesoc.py

# What a second process brings to openkpu eval: pictures, and one frame in the RTL cut into pieces.
bench-eval: $(TOOLS)
	$(PY) bench/evaluate.py

# Speed of the RTL simulation.
bench-sim: $(TOOLS)
	$(PY) bench/simulation.py

# Cycles per frame from SRAM and streamed from flash; builds the whole SoC first.
bench-flash: $(TOOLS)
	$(PY) bench/flash.py

# openkpu compile beside nncase 1.9 (where make nncase-ops has installed it): accuracy, host steps, cycles, seconds.
bench-compile: $(COMPILE_TOOLS)
	$(PY) bench/compile.py

clean:
	rm -rf $(VENV) build out sim_build *.egg-info .pytest_cache .ruff_cache
