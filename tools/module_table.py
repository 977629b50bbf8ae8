# SPDX-License-Identifier: Apache-2.0
"""Writes the status table of all modules, docs/modules/README.md: ``python -m tools.module_table [--check]``.

A row says what a module is for (the first sentence of its file), what its ports cost in time, and its cells in
configuration ``fpga`` before technology mapping, as ``tools/synth.py check fpga`` counted them last
(build/synth/check_fpga.json); without such a count the committed figures stay.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from openkpu.hw.sources import FOLDERS, ROOT, RTL
from tools.synth import BUILD, module_name

PAGE = ROOT / "docs" / "modules" / "README.md"
BEGIN, END = "<!-- written by tools/module_table.py -->", "<!-- end -->"

# Latency and throughput, and which paths between ports are combinational or cut by registers.
TIMING = {
    "kpu_core": "between any two units a queue or a register",
    "kpu_regs": "2 cycles per access; stalls only a push into the full queue",
    "kpu_decode": "one plan at a time, hidden behind the layer before",
    "kpu_descriptor": "fields combinational, products 2 cycles",
    "kpu_check": "4 cycles",
    "kpu_planner": "100 to 220 cycles",
    "kpu_divide": "WIDTH cycles",
    "kpu_seq": "a pass every 2 cycles; commands registered, ready to ready combinational",
    "kpu_fetch": "a burst per cycle; address channel registered",
    "kpu_unpack": "8 bytes in, one entry out per cycle; `entry_ready` to `m_axi_rready` combinational",
    "kpu_weights": "3 cycles to the first weight, one per cycle; outputs registered",
    "kpu_params": "3 cycles, one channel per cycle; outputs registered",
    "kpu_feature_fetch": "one row per cycle; `rd_ready` to `token_valid` combinational",
    "kpu_window": "2 cycles in, 1 out, one take per cycle; `win`, `dww` registered",
    "kpu_window_ram": "1 cycle in and one per eight pixels; `q` through LUT RAM to the outputs' registers",
    "kpu_window_regs": "1 cycle in",
    "kpu_issue": "one take per cycle; `set_valid` to `take` combinational, the rest registered",
    "kpu_array": "SEGS + 2 cycles at most; registered between segments",
    "kpu_segment": "1 cycle per segment, 2 to the sum",
    "kpu_pe": "1 cycle to the dot product, 2 to the sum; one pixel per cycle",
    "kpu_two_products": "combinational",
    "kpu_drain": "one sum per cycle; `en` to `d_re` combinational",
    "kpu_post": "14 cycles, one token per cycle; `en` stops all",
    "kpu_arg_x": "3 stages, one value per lane and cycle",
    "kpu_lane": "13 stages, one value per cycle",
    "kpu_writeback": "3 cycles behind a complete piece; `r_valid` to `en` combinational, row registered",
    "kpu_airam": "1 cycle, a read and a write each; the bus to `rd_ready` combinational",
    "airam_bus": "one beat per cycle; `s_axi_rready` and `s_axi_wvalid` reach no output of their cycle",
    "kpu_cache": "3 cycles on a hit, a read per cycle; `rd_ready`, `wr_hold` registered",
    "cache_lookup": "2 cycles; tags to `read_ready` combinational",
    "cache_reads": "1 cycle; `filled` to `go` combinational",
    "cache_fill": "a beat per cycle, one cycle more per line; `line_taken` to `m_axi_rready` combinational",
    "cache_evict": "2 cycles to the first beat; `query_row` to `pending` combinational",
    "kpu_stream_out": "8 bytes per cycle where rows allow; output registered (FIFO)",
    "kpu_queue": "1 cycle; cuts both handshakes, data from LUT RAM",
    "kpu_ram": "1 cycle; output registered",
    "ram_fifo": "2 cycles; cuts everything but `out_ready` to the RAM's enable",
    "kpu_sum_of_nine": "combinational",
    "axi_arbiter": "combinational",
    "axi_burst_next": "combinational",
    "axi_decerr": "1 cycle, one beat per cycle",
    "axi_decode": "combinational",
    "axi_interconnect": "as its crossbars",
    "axi_read_buffer": "2 cycles; cuts the data channel, the address channel is combinational",
    "axi_sram": "2 cycles, 8 bytes per cycle",
    "axi_to_axil": "one access at a time",
    "axi_xbar_read": "address 1 cycle; data combinational",
    "axi_xbar_write": "about 4 cycles per burst; data combinational",
    "axil_endpoint": "1 cycle; answers registered",
    "dma_engine": "as its channels",
    "dma_channel": "a descriptor is 8 words; one burst outstanding per direction",
    "dma_walker": "one burst per step; outputs registered",
    "dma_reader": "8 bytes per cycle within a burst; always ready",
    "dma_writer": "8 bytes per cycle within a burst",
    "spi_flash": "one user of the SPI bus at a time",
    "flash_command": "as long as the flash takes, bounded",
    "flash_window": "8 bytes per 16 SPI cycles on four lanes",
    "spi_sequencer": "no gap between the parts of a transaction",
    "spi_phy": "one bit per lane and SPI cycle",
    "kpu_soc": "SRAM 5 cycles, for the KPU 7",
}


def purpose(path: Path) -> str:
    """The first sentence of a file's header."""
    lines = []
    for line in path.read_text().splitlines()[1:]:  # behind the licence
        if not line.startswith("// "):
            break
        lines.append(line[3:])
    return re.split(r"(?<=[.;])\s", " ".join(lines), maxsplit=1)[0].rstrip(".;").replace("|", "\\|")


def counted() -> dict[str, str]:
    """Cells by module: from the last count, or those of the committed table."""
    report = ROOT / BUILD / "check_fpga.json"
    if report.is_file():
        cells: dict[str, int] = {}
        for name, stat in json.loads(report.read_text())["modules"].items():
            cells[module_name(name)] = max(stat["num_cells"], cells.get(module_name(name), 0))
        return {name: f"{count:,}".replace(",", " ") for name, count in cells.items()}
    return dict(re.findall(r"^\| \[`(\w+)`\].*\| ([\d ]+) \|$", PAGE.read_text(), re.MULTILINE))


def table() -> str:
    """The table."""
    cells = counted()
    lines = [BEGIN, "| module | folder | what it is | time, and paths from port to port | cells |",
             "|---|---|---|---|---|"]
    for folder, names in FOLDERS.items():
        if folder == "synth":
            continue
        page = folder or "soc"
        text = (PAGE.parent / f"{page}.md").read_text()
        for name in names:
            place = f"#{name}" if f"## {name}\n" in text else ""
            lines.append(f"| [`{name}`]({page}.md{place}) | {folder or 'rtl'} | {purpose(RTL / folder / f'{name}.v')} "
                         f"| {TIMING[name]} | {cells.get(name, '')} |")
    return "\n".join([*lines, END])


def main(arguments: list[str]) -> int:
    """Write the table, or with --check only compare it; the exit code."""
    text = PAGE.read_text()
    new = re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: table(), text, flags=re.DOTALL)
    if arguments:
        return int(new != text)
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
