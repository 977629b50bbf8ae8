# SPDX-License-Identifier: Apache-2.0
"""Draws "one 3x3 layer, cycle by cycle" from simulations: ``python -m tools.waves [--check]``.

Runs a layer in ``kpu_core`` (``tb/core/waves.py``) and the same one out of the flash of ``kpu_soc``
(``tb/soc/waves.py``) in Icarus Verilog, writes timing figures as WaveJSON (docs/img/waves.json) and SVG
(docs/img/wave-*.svg), and tables of events into docs/one-layer.md and docs/soc.md. ``--check`` writes nothing and
fails when the committed cycles are no longer those of the simulations.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from openkpu.golden.layers import Layer
from openkpu.hw.configs import CORES
from openkpu.hw.fields import ROW_BYTES, SRAM_BASE
from openkpu.hw.sources import FILES, ROOT
from openkpu.schedule.plan import plan
from tb.bench import run_bench
from tb.core import waves
from tb.flash_on_pins import flash_sources

CONFIG = "fpga"
CORE = CORES[CONFIG]
IMAGES = ROOT / "docs" / "img"
JSON = IMAGES / "waves.json"
LAYER_PAGE = ROOT / "docs" / "one-layer.md"
FLASH_PAGE = ROOT / "docs" / "soc.md"
BEGIN, END = "<!-- written by tools/waves.py -->", "<!-- end -->"


class Record:
    """What the signals did, by name and cycle."""

    def __init__(self, samples: dict[str, list[int | None]]):
        self.samples = samples

    def __getitem__(self, name: str) -> list[int | None]:
        return self.samples[name]

    def when(self, *names: str, **values: int) -> list[int]:
        """The cycles in which all of ``names`` are 1 and the others have these values."""
        wanted = dict.fromkeys(names, 1) | values
        return [cycle for cycle in range(len(next(iter(self.samples.values()))))
                if all(self.samples[name][cycle] == value for name, value in wanted.items())]


@dataclass(frozen=True)
class Trace:
    """A line of a figure: a wire, or a bus with a value where ``gate`` is 1."""

    name: str
    gate: str | None = None
    text: Callable[[int], str] = str

    def wave(self, record: Record, cycles: range, unit: str) -> dict[str, object]:
        """As WaveJSON; ``unit`` is the module that drives the signal."""
        wave, data, before = "", [], None
        for cycle in cycles:
            value = record[self.name][cycle]
            known = value is not None and (self.gate is None or record[self.gate][cycle] == 1)
            now = (value if known else None, known)
            if now == before:
                wave += "."
            elif not known:
                wave += "x"
            elif self.gate is None:
                wave += str(value)
            else:
                wave += "="
                data.append(self.text(value))
            before = now
        return {"name": f"{unit.removeprefix('kpu_')}: {self.name}", "wave": wave} | ({"data": data} if data else {})


def bus(names: str, gate: str, text: Callable[[int], str] = str) -> list[Trace]:
    return [Trace(name, gate, text) for name in names.split()]


def wires(names: str) -> list[Trace]:
    return [Trace(name) for name in names.split()]


def byte_range(enables: int) -> str:
    """The bytes of a row that byte enables name."""
    on = [i for i in range(ROW_BYTES) if enables >> i & 1]
    return f"{on[0]}-{on[-1]}" if on else "none"


def figures(record: Record) -> dict[str, dict]:
    """Every figure of the page as WaveJSON, by its name."""
    lines: dict[str, tuple[int, int, list[tuple[str, list[Trace]]]]] = {
        "fetch": (record.when("layer_start")[0] - 1, 26, [
            ("kpu_fetch", [*wires("job_valid m_axi_arvalid m_axi_arready"),
                           *bus("m_axi_araddr", "m_axi_arvalid", lambda a: f"{a - SRAM_BASE:x}")]),
            ("kpu_unpack", wires("m_axi_rvalid m_axi_rready act_we bn_we"))]),
        "features": (record.when("pass_push")[0] - 1, 16, [
            ("kpu_seq", wires("pass_push")),
            ("kpu_feature_fetch", [*wires("ff_rd_valid"), *bus("ff_rd_row", "ff_rd_valid"), *wires("token_valid")]),
            ("kpu_airam", wires("ram_rvalid")),
            ("kpu_window", wires("row_valid row_ready set_valid"))]),
        "weights": (record.when("entry_valid")[0] - 2, 22, [
            ("kpu_unpack", wires("m_axi_rvalid entry_valid")),
            ("kpu_weights", [*wires("w_valid"), *bus("w_seg w_pe", "w_valid")]),
            ("kpu_params", wires("sw_we"))]),
        "issue": (record.when("set_loaded")[0] - 1, 24, [
            ("kpu_weights", wires("set_loaded")),
            ("kpu_segment", wires("seg0_move seg3_move")),
            ("kpu_issue", [*wires("take"), *bus("q", "take"), *wires("set_done a_valid"),
                           *bus("a_addr", "a_valid")]),
            ("kpu_segment", wires("seg0_a_valid seg0_b_valid seg3_a_valid seg3_b_valid"))]),
        "drain": (record.when("block_done")[0] - 2, 24, [
            ("kpu_issue", wires("take block_done")),
            ("kpu_drain", [*wires("d_re"), *bus("d_addr n_pos", "d_re"), *wires("n_line_end")]),
            ("kpu_post", [*wires("r_valid"), *bus("r_pos", "r_valid")])]),
        "writeback": (record.when("r_valid", "r_line_end")[0] - 3, 24, [
            ("kpu_post", [*wires("r_valid"), *bus("r_pos", "r_valid"), *wires("r_line_end post_en")]),
            ("kpu_writeback", [*wires("ram_wr_valid"), *bus("ram_wr_row", "ram_wr_valid"),
                               # the first of the eight bytes
                               *bus("ram_wr_be", "ram_wr_valid", lambda be: byte_range(be).split("-")[0])])]),
        "end": (record.when("layer_done")[0] - 10, 14, [
            ("kpu_writeback", [*wires("ram_wr_valid"), *bus("ram_wr_row", "ram_wr_valid"), *wires("drained")]),
            ("kpu_seq", wires("active layer_done")), ("kpu_regs", wires("irq"))]),
    }
    result = {}
    for name, (first, count, groups) in lines.items():
        cycles = range(first, min(first + count, len(record["take"])))
        ruler = {"name": "cycle", "wave": "=" * len(cycles), "data": [str(c) for c in cycles]}
        result[name] = {"signal": [ruler, *(trace.wave(record, cycles, unit) for unit, traces in groups
                                            for trace in traces)]}
    return result


def events(record: Record, layer: Layer) -> list[tuple[int, str, str]]:
    """(cycle, module, what happens), for the layer, one output pixel and the weights of one output channel."""
    d, core = layer.descriptor, CORE
    p = plan(d, core)
    (line, column), channel = waves.PIXEL, waves.CHANNEL
    assert p.k3 and not p.lgp and p.block == d.o_ch_num, "the page describes one pixel column and one block"
    number = line * d.o_row_wid + column                      # of the pixel, in the order of issue
    segment, pe = divmod(channel, core.SEGLEN)
    phase, lane = divmod(pe, core.LPS)
    byte = channel * p.channel_bytes
    beats = record.when("m_axi_rvalid", "m_axi_rready")
    first_beat = len(beats) - -(-layer.weights.size // 8)     # tables come first
    bursts = [c for c in record.when("m_axi_arvalid", "m_axi_arready")
              if record["m_axi_araddr"][c] <= d.para_start_addr + byte]
    entries = record.when("entry_valid", "entry_ready")
    loads, takes = record.when("w_valid"), record.when("take")
    pixels = d.o_row_wid * d.o_col_high
    out = d.out_layout
    target = out.base + channel // out.group * out.group_step + line * out.row_step
    slot = channel % out.group * (ROW_BYTES // out.group)
    written = [c for c in record.when("ram_wr_valid", ram_wr_row=target) if record["ram_wr_be"][c] >> slot & 1]
    reads = record.when("ff_rd_valid", "ff_rd_ready", ff_rd_row=d.image_src_addr + line + 1)
    sent = [c for c in record.when("post_en", "r_valid")]
    drained = [c for c in record.when("d_re", d_addr=number) if (record["d_phase"][c] or 0) == phase]
    pieces = record.when("post_en", "r_valid", "r_line_end")
    row = record.when("row_valid", "row_ready")[line + 1]
    return sorted([
        (0, "kpu_regs", "offers the twelve words of the layer, one per cycle"),
        (record.when("desc_valid")[-1] + 1, "kpu_decode", "has all words; checks them and searches the best plan"),
        (record.when("plan_valid")[0], "kpu_decode", f"offers the plan: {1 << p.lgp} pixel column, "
         f"{p.block} output channels per block, {p.passes} passes of 3x3"),
        (record.when("layer_start")[0], "kpu_seq", "starts the layer; kpu_fetch works on the same plan"),
        (record.when("act_we")[0], "kpu_unpack", "first word of the activation table, for kpu_post"),
        (record.when("bn_we")[0], "kpu_unpack", "first batch-norm word, for kpu_params"),
        (record.when("pass_push")[0], "kpu_seq", "commands the first pass; the second one two cycles later"),
        (bursts[-1], "kpu_fetch", f"**weight**: the burst with the kernel of output channel {channel}, input channel 0 "
         f"(bytes {byte} to {byte + 8} of the weights) is asked for"),
        (beats[first_beat + (byte + 8) // 8], "kpu_unpack", "**weight**: the last of its nine bytes arrives"),
        (entries[channel * p.passes], "kpu_unpack", "**weight**: becomes a nine-byte entry of kpu_weights' ring"),
        (loads[channel], "kpu_weights", f"**weight**: goes to PE {pe} of segment {segment}, beside the weights in use"),
        (record.when(f"seg{segment}_move")[0], "kpu_segment", "**weight**: moves into use with its segment's set"),
        (reads[0], "kpu_feature_fetch", f"**pixel**: asks for row {d.image_src_addr + line + 1}, the line below output "
         f"line {line}; the two lines above it came one and two cycles before"),
        (reads[0] + 1, "kpu_airam", "**pixel**: the row arrives and waits in a queue"),
        (row, "kpu_window", "**pixel**: takes the row over"),
        (row + 2, "kpu_window_ram", "**pixel**: the row is in the line's RAM, which takes eight pixels per cycle"),
        (takes[number], "kpu_issue", f"**pixel**: takes column {column} of line {line}, input channel 0"),
        (takes[number] + 1, "kpu_window_ram", "**pixel**: its window leaves as the nine taps of `win`, for kpu_array"),
        (takes[0] + 2 + segment, "kpu_segment", "**weight**: first multiplied, with the pass's first pixel"),
        (takes[number] + 2 + segment, "kpu_segment", f"**pixel**: nine products in segment {segment} (`a_valid`), "
         "which kpu_pe adds up to three numbers"),
        (takes[number] + 3 + segment, "kpu_pe", f"**pixel**: adds the three to partial sum {number} of PE {pe} "
         "(`b_valid`)"),
        (takes[pixels + number], "kpu_issue", "**pixel**: the same column of input channel 1"),
        (record.when("block_done")[0], "kpu_issue", "the block's last pixel has been issued"),
        (drained[0], "kpu_drain", f"**pixel**: reads partial sum {number} for lane {segment * core.LPS + lane} "
         f"(segment {segment}, lane {lane} in it, phase {phase})"),
        (drained[0] + 1, "kpu_arg_x", "**pixel**: begins arg_x * S_x, three cycles"),
        (drained[0] + 4, "kpu_lane", "**pixel**: affine step; then norm_mul, search of the activation segment, y_mul, "
         "rounding, bias and clamp, pool"),
        (sent[phase * pixels + number], "kpu_post", "**pixel**: leaves the lanes as a byte"),
        (pieces[line], "kpu_writeback", f"**pixel**: line {line} is complete, for the {core.SEGS * core.LPS} "
         f"channels of phase {phase}"),
        (written[0], "kpu_writeback", f"**pixel**: is written with its line into row {target}, bytes "
         f"{byte_range(record['ram_wr_be'][written[0]])}"),
        (written[0] + 1, "kpu_airam", "**pixel**: stands in the AI RAM, for the next layer to read"),
        (record.when("ram_wr_valid")[-1], "kpu_writeback", "writes the last piece"),
        (record.when("layer_done")[0], "kpu_seq", "ends the layer"),
        (record.when("irq")[0], "kpu_regs", "raises the interrupt"),
    ], key=lambda event: event[0])


def flash_events(record: Record, layer: Layer) -> list[tuple[int, str, str]]:
    """(cycle, module, what happens), for the weights of one output channel on their way from the flash to the PE."""
    d, channel = layer.descriptor, waves.CHANNEL
    p = plan(d, CORE)
    segment, pe = divmod(channel, CORE.SEGLEN)
    last = channel * p.channel_bytes + 8           # byte of the kernel's last weight
    words = record.when("flash_rvalid", "flash_rready")
    own, asked = record.when("dma_arvalid", "dma_arready"), record.when("flash_arvalid", "flash_arready")
    sent, answers = record.when("dma_wvalid", "dma_wready"), record.when("dma_bvalid", "dma_bready")
    size = layer.weights.size
    burst = last // 128                            # bursts of 16 words, aligned as the weights are
    offered = record.when("desc_valid")
    entries, loads = record.when("entry_valid", "entry_ready"), record.when("w_valid")
    beats = record.when("m_axi_rvalid", "m_axi_rready")
    first_beat = len(beats) - -(-size // 8)
    bursts = [c for c in record.when("m_axi_arvalid", "m_axi_arready")
              if record["m_axi_araddr"][c] <= d.para_start_addr + last]
    return [
        (own[0], "dma_channel", "asks for its first descriptor: copy the weights from the flash window to the SRAM"),
        (asked[burst], "flash_window", f"is asked for the burst with bytes {last - 8} to {last}, the kernel of output "
         f"channel {channel} and input channel 0"),
        (record.when(cs_n=0)[0], "spi_phy", "selects the flash; what `spi_sequencer` orders follows: opcode, address, "
         "mode byte and dummy cycles, then data"),
        (words[last // 8], "flash_window", "has the word with the kernel's last byte: "
         f"{words[last // 8] - words[last // 8 - 1]} cycles behind the one before, on four lanes"),
        (next(c for c in record.when("dma_rvalid", "dma_rready") if c >= words[last // 8]), "dma_reader",
         "takes the word, which `axi_xbar_read` has passed on, into its `ram_fifo`"),
        (sent[last // 8], "dma_writer", "has the whole burst and writes that word"),
        (answers[burst], "axi_sram", "has answered the burst: the bytes are in the SRAM"),
        (own[-1], "dma_channel", "reads the layer's twelve words, for `layer_argument_fifo`: the second descriptor"),
        (offered[0], "kpu_regs", "has the whole layer and offers it"),
        (record.when("plan_valid")[0], "kpu_decode", "offers the plan"),
        (bursts[-1], "kpu_fetch", "asks the SRAM for the burst, through `axi_read_buffer`"),
        (beats[first_beat + last // 8], "kpu_unpack", "has the kernel's last byte"),
        (entries[channel * p.passes], "kpu_unpack", "makes an entry of it, for kpu_weights' ring"),
        (loads[channel], "kpu_weights", f"sends it to PE {pe} of segment {segment}"),
        (record.when(f"seg{segment}_move")[0], "kpu_segment", "takes it into use"),
        (record.when("take")[0] + 2 + segment, "kpu_segment", "multiplies it for the first time"),
        (record.when("layer_done")[0], "kpu_seq", "ends the layer"),
    ]


def table(rows: list[tuple[int, str, str]]) -> str:
    lines = [BEGIN, "| cycle | what happens | module | file |", "|---|---|---|---|"]
    lines += [f"| {cycle} | {text} | `{unit}` | `{FILES[unit].relative_to(ROOT)}` |" for cycle, unit, text in rows]
    return "\n".join([*lines, END])


def simulate(toplevel: str, module: str, sources: Sequence[Path] = (), **parameters: int) -> Record:
    """What a bench records in Icarus Verilog."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "waves.json"
        run_bench("icarus", toplevel, module, sources, parameters=CORE.verilog() | parameters, seed=1,
                  environment={"KPU_CONFIG": CONFIG, "KPU_WAVES": str(file)})
        return Record(json.loads(file.read_text()))


def simulate_layer() -> Record:
    return simulate("kpu_core", "tb.core.waves")


def simulate_flash() -> Record:
    # With so many rows as the layer needs, and more.
    return simulate("tb_soc", "tb.soc.waves", [*flash_sources("icarus"), ROOT / "tb/soc/tb_soc.v"], MEM_DEPTH=16384,
                    AIRAM_ROWS=1024)


def tables(record: Record, flash: Record) -> dict[Path, str]:
    """The pages' tables."""
    layer = waves.layer()
    return {LAYER_PAGE: table(events(record, layer)), FLASH_PAGE: table(flash_events(flash, layer))}


def stale() -> list[str]:
    """What the committed files say otherwise than the simulation."""
    record = simulate_layer()
    found = [page for page, text in tables(record, simulate_flash()).items() if text not in page.read_text()]
    if json.loads(JSON.read_text()) != figures(record):
        found.append(JSON)
    return [str(path.relative_to(ROOT)) for path in found]


def draw(record: Record, flash: Record) -> None:
    """Write figures and table."""
    import schemdraw
    from schemdraw import logic

    schemdraw.use("svg")
    schemdraw.config(bgcolor="white", margin=0.9)
    found = figures(record)
    JSON.write_text(json.dumps(found, indent=1) + "\n")
    for name, wave in found.items():
        with schemdraw.Drawing(file=str(IMAGES / f"wave-{name}.svg"), show=False) as drawing:
            drawing += logic.TimingDiagram(wave, yheight=0.42, ygap=0.22, fontsize=11, nodesize=8)
    for page, new in tables(record, flash).items():
        page.write_text(re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _, new=new: new, page.read_text(),
                               flags=re.DOTALL))


def main(arguments: list[str]) -> int:
    """Draw, or with --check only compare; the exit code."""
    if arguments not in ([], ["--check"]):
        print("usage: python -m tools.waves [--check]", file=sys.stderr)
        return 2
    if not arguments:
        draw(simulate_layer(), simulate_flash())
        return 0
    old = stale()
    for name in old:
        print(f"{name} is stale; run 'python -m tools.waves'", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
