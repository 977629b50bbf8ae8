# SPDX-License-Identifier: Apache-2.0
"""Fields and states by name in waveforms: modules that Verilator binds to the core where waveforms are wanted.

A field of a bus is a signal of its own there, and what has names for its values is an enumeration, whose names GTKWave
and Surfer show. The states are those that the RTL's own ``S_*`` parameters name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .signals import BUSES, JOB, PLAN, TOKEN, Bus
from .sources import FILES

OBSERVED: tuple[tuple[str, Bus, str], ...] = (
    ("planned", PLAN, "plan"), ("executing", PLAN, "layer"), ("job_asked", JOB, "job"),
    ("job_arriving", JOB, "job_out"), ("token_fetched", TOKEN, "token"), ("token_used", TOKEN, "wtoken"))
"""Instance in ``kpu_core`` -> the bus that it shows, and the wire."""

STATES = ("kpu_decode", "kpu_planner", "kpu_seq", "kpu_fetch")
"""Modules whose ``state`` gets names; the instance is called ``named``."""


def state_names(module: str) -> tuple[int, dict[str, int]]:
    """Bits of a module's ``state`` and the numbers of its states, in small letters without ``S_``.

    Raises
    ------
    ValueError
        The module has no such parameters.
    """
    text = FILES[module].read_text()
    found = re.search(r"localparam \[(\d+):0\] (S_\w+ = [^;]*);", text)
    if not found:
        raise ValueError(f"{module} names no states")
    values = {name.lower(): int(number) for name, number in re.findall(r"S_(\w+) = \d+'d(\d+)", found[2])}
    return int(found[1]) + 1, values


def text() -> str:
    """The SystemVerilog file."""
    lines = ["// SPDX-License-Identifier: Apache-2.0",
             "// Generated from openkpu/hw/signals.py by `python -m openkpu.hw.generate`; do not edit.",
             "// Names for waveforms; only simulators that write them contain these modules."]
    for bus in BUSES:
        lines += ["", *_bus(bus)]
    for module in STATES:
        width, values = state_names(module)
        lines += ["", f"module {module}_states (input wire [{width - 1}:0] bits);",
                  *_enumeration("state", width, {f"s_{name}": value for name, value in values.items()}, "bits"),
                  "endmodule", f"bind {module} {module}_states named (.bits(state));"]
    lines += ["", *(f"bind kpu_core kpu_{bus.name}_names {name} (.bits({wire}));" for name, bus, wire in OBSERVED)]
    return "\n".join([*lines, ""])


def _bus(bus: Bus) -> Iterator[str]:
    yield f"module kpu_{bus.name}_names (input wire [{bus.width - 1}:0] bits);"
    for signal, low in bus.ranges():
        bits = f"bits[{low + signal.width - 1}:{low}]"
        if signal.values:
            yield from _enumeration(signal.name, signal.width, {v: i for i, v in enumerate(signal.values)}, bits)
        else:
            size = f"[{signal.width - 1}:0] " if signal.width > 1 else ""
            yield f"    wire {size}{signal.name} = {bits};"
    yield "endmodule"


def _enumeration(name: str, width: int, values: dict[str, int], bits: str) -> Iterator[str]:
    listed = ", ".join(f"{value} = {width}'d{number}" for value, number in values.items())
    yield f"    typedef enum logic [{width - 1}:0] {{{listed}}} {name}_values;"
    yield f"    {name}_values {name};"
    yield f"    assign {name} = {name}_values'({bits});"
