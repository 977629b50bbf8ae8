# SPDX-License-Identifier: Apache-2.0
"""The signals that tell how a layer runs, in groups along the data's way, as lists for GTKWave and Surfer.

Fields of the plan, of jobs and of tokens have their names from the bus tables (``openkpu.hw.names``); states, too.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..hw.names import OBSERVED, state_names

TOP = "kpu.kpu_core"
HEX, DECIMAL, BINARY, ENUMERATION = 0x22, 0x24, 0x28, 1 << 32
BEGIN, BEGIN_CLOSED, END = 0x800200, 0xC00200, 0x1000200


@dataclass(frozen=True)
class Wire:
    """A signal: its path below ``kpu_core``, its width, whether its values have names."""

    path: str
    width: int = 1
    named: bool = False

    @property
    def flags(self) -> int:
        """How GTKWave shows it."""
        if self.named:
            return HEX | ENUMERATION
        return BINARY if self.width == 1 else HEX if self.width > 24 else DECIMAL

    @property
    def full(self) -> str:
        """Name from the top."""
        return f"{TOP}.{self.path}"


@dataclass(frozen=True)
class Group:
    """Signals under a heading; closed ones show it only, where the viewer can."""

    title: str
    wires: tuple[Wire, ...]
    closed: bool = False


def _state(instance: str, module: str) -> Wire:
    return Wire(f"{instance}.named.state", state_names(module)[0], True)


def _fields(instance: str) -> tuple[Wire, ...]:
    bus = next(bus for name, bus, _ in OBSERVED if name == instance)
    return tuple(Wire(f"{instance}.{s.name}", s.width, bool(s.values)) for s in bus.signals)


def groups() -> tuple[Group, ...]:
    """Everything, in the order of the data's way."""
    return (
        Group("layer", (Wire("clk"), Wire("active"), Wire("layer_start"), Wire("layer_done"), Wire("busy"),
                        Wire("wait_param"), Wire("wait_feature"), Wire("wait_writeback"))),
        Group("plan of the layer in execution", _fields("executing"), closed=True),
        Group("decode and plan", (_state("decode", "kpu_decode"), _state("decode.planner", "kpu_planner"))),
        Group("sequencer: passes and blocks", (
            _state("seq", "kpu_seq"), Wire("pass_valid"), Wire("pass_ready"), Wire("pass_channel", 11),
            Wire("pass_slots", 4), Wire("pass_y", 10), Wire("pass_lines", 10), Wire("pass_first"), Wire("pass_last"),
            Wire("block_valid"), Wire("block_ready"), Wire("block_channel", 11), Wire("block_outs", 7),
            Wire("block_oy", 10), Wire("block_rows", 10))),
        Group("parameters", (_state("fetch", "kpu_fetch"), Wire("job_valid"), Wire("job_ready"),
                             Wire("m_axi_arvalid"), Wire("m_axi_arready"), Wire("m_axi_araddr", 32),
                             Wire("m_axi_rvalid"), Wire("m_axi_rready"), Wire("m_axi_rdata", 64))),
        Group("job that is asked for", _fields("job_asked")),
        Group("features", (Wire("ff_rd_valid"), Wire("ff_rd_ready"), Wire("ff_rd_row", 15), Wire("token_valid"),
                           Wire("token_ready"), Wire("row_valid"), Wire("row_ready"))),
        Group("token that leaves the fetch", _fields("token_fetched")),
        Group("token that the window takes", (Wire("wtoken_valid"), Wire("wtoken_ready"), *_fields("token_used"))),
        Group("array", (Wire("set_valid"), Wire("take"), Wire("set_done"), Wire("set_loaded"), Wire("set_freed"))),
    )


def gtkwave(waveform: str) -> str:
    """A GTKWave save file."""
    lines = ["[*] openkpu trace", f'[dumpfile] "{waveform}"', f'[savefile] "{waveform.rpartition(".")[0]}.gtkw"',
             "[timestart] 0"]
    for group in groups():
        lines += [f"@{BEGIN_CLOSED if group.closed else BEGIN:x}", f"-{group.title}"]
        for wire in group.wires:
            lines += [f"@{wire.flags:x}", wire.full + (f"[{wire.width - 1}:0]" if wire.width > 1 else "")]
        lines += [f"@{END:x}", f"-{group.title}"]
    return "\n".join([*lines, ""])


def surfer() -> str:
    """A Surfer command file."""
    lines = []
    for group in groups():
        lines += [f"divider_add {group.title}", *(f"variable_add {wire.full}" for wire in group.wires)]
    return "\n".join([*lines, "zoom_fit", ""])
