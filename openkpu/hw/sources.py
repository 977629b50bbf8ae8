# SPDX-License-Identifier: Apache-2.0
"""The RTL's files, in one table: simulators, benches, lint, synthesis and ``openkpu.core`` take their lists from here.

A folder stands for a station on the data's way; ``rtl/<folder>/README.md`` says what its modules do. A file is named
after the one module in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# An installed package holds the Verilog and the C++ itself; a checkout has them beside it.
ROOT = PACKAGE if (PACKAGE / "rtl").is_dir() else PACKAGE.parent
RTL = ROOT / "rtl"
INCLUDE = RTL / "include"

FOLDERS: dict[str, tuple[str, ...]] = {
    "": ("kpu_core",),
    "control": ("kpu_regs", "kpu_decode", "kpu_descriptor", "kpu_check", "kpu_planner", "kpu_divide", "kpu_seq"),
    "params": ("kpu_fetch", "kpu_unpack", "kpu_weights", "kpu_params"),
    "conv": ("kpu_feature_fetch", "kpu_window", "kpu_window_ram", "kpu_window_regs", "kpu_issue",
             "kpu_array", "kpu_segment", "kpu_pe", "kpu_two_products"),
    "post": ("kpu_drain", "kpu_post", "kpu_arg_x", "kpu_lane"),
    "output": ("kpu_writeback", "kpu_airam", "airam_bus", "kpu_stream_out"),
    "cache": ("kpu_cache", "cache_lookup", "cache_reads", "cache_fill", "cache_evict"),
    "lib": ("kpu_queue", "kpu_ram", "ram_fifo", "kpu_sum_of_nine"),
    "axi": ("axi_arbiter", "axi_burst_next", "axi_decerr", "axi_decode", "axi_interconnect", "axi_read_buffer",
            "axi_sram", "axi_to_axil", "axi_xbar_read", "axi_xbar_write", "axil_endpoint"),
    "dma": ("dma_engine", "dma_channel", "dma_walker", "dma_reader", "dma_writer"),
    "flash": ("spi_flash", "flash_command", "flash_window", "spi_sequencer", "spi_phy"),
    "soc": ("kpu_soc",),
    "synth": ("kpu_pins",),
}
FILES: dict[str, Path] = {name: RTL / folder / f"{name}.v" for folder, names in FOLDERS.items() for name in names}
DESIGN = [path for name, path in FILES.items() if name not in FOLDERS["synth"]]
"""All but the wrapper that only synthesis needs."""


def below(tops: Iterable[str | Path]) -> list[Path]:
    """The RTL's files of some modules and of everything that they instantiate, in the table's order.

    A top is a module's name, or a Verilog file outside the RTL (a bench) whose instances are meant.
    """
    tops = list(tops)
    found = {top for top in tops if isinstance(top, str)}
    pending = [FILES[name] for name in found] + [top for top in tops if isinstance(top, Path)]
    while pending:
        text = re.sub(r"//.*", "", pending.pop().read_text())
        new = (FILES.keys() & set(re.findall(r"\w+", text))) - found
        found |= new
        pending += [FILES[name] for name in new]
    return [path for name, path in FILES.items() if name in found]
