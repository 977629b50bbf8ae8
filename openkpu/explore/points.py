# SPDX-License-Identifier: Apache-2.0
"""Configurations of the core and what a model takes on each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from ..hw.check import descriptor_errors
from ..hw.configs import CoreParameters
from ..hw.device import KpuConfig
from ..kmodel import Model
from ..profiling.layers import predict


@dataclass
class Point:
    """A configuration.

    Attributes
    ----------
    core : its parameters.
    reason : why it cannot run the model; "" if it can.
    cycles : of a frame, by the cycle model; 0 if it cannot.
    gates : logic without memories (``area.py``); ``synthesized`` by Yosys, else estimated.
    rtl_cycles : counted by the RTL, where it was run.
    """

    core: CoreParameters
    reason: str = ""
    cycles: int = 0
    gates: int = 0
    synthesized: bool = False
    rtl_cycles: int | None = None

    @property
    def name(self) -> str:
        """The parameters in short."""
        c = self.core
        return f"s{c.SEGS}l{c.SEGLEN}p{c.LPS}d{c.DEPTH}w{c.WEIGHT_ENTRIES}r{c.AIRAM_ROWS}"

    @property
    def config(self) -> KpuConfig:
        """What such a core can hold."""
        return self.core.config(self.name)

    @property
    def ram_bytes(self) -> int:
        """AI RAM and weight buffer."""
        return self.config.airam_bytes + self.config.weight_bytes

    @property
    def deviation(self) -> float | None:
        """By how many percent the cycle model differs from the RTL."""
        return None if self.rtl_cycles is None else 100 * (self.cycles - self.rtl_cycles) / self.rtl_cycles

    def rate(self, mhz: float) -> float:
        """Frames per second at a clock."""
        return mhz * 1e6 / self.cycles if self.cycles else 0.0


def refused(core: CoreParameters) -> str:
    """The rule of ``rtl/kpu_core.v`` that a configuration breaks; "" if it is built."""
    def power(n: int, low: int, high: int) -> bool:
        return low <= n <= high and not n & (n - 1)

    if not power(core.SEGS, 2, 8):
        return "SEGS must be 2, 4 or 8"
    if not power(core.SEGLEN, 2, 8):
        return "SEGLEN must be 2, 4 or 8"
    if not power(core.LPS, 1, core.SEGLEN):
        return "LPS must be a power of two up to SEGLEN"
    if not power(core.DEPTH, 64, 512):
        return "DEPTH must be a power of two from 64 to 512"
    if not 2 <= core.AIRAM_ROWS <= 32768:
        return "AIRAM_ROWS must be 2 to 32768"
    if not power(core.WEIGHT_ENTRIES, 256, 8192):
        return "WEIGHT_ENTRIES must be a power of two from 256 to 8192"
    return ""


def unfit(model: Model, config: KpuConfig) -> str:
    """Why a model does not fit a configuration; "" if it does."""
    for layer in model.kpu_layers:
        for source, target in zip(layer.input.layouts, layer.kpu_out.layouts, strict=True):
            placed = replace(layer.descriptor, image_src_addr=source.base, image_dst_addr=target.base, active_addr=0,
                             bwsx_base_addr=0)
            for error in descriptor_errors(placed, config, layer.eight_bit):
                return f"layer {layer.index}: {error.reason}"
    return ""


def grid(segs: Sequence[int], seglens: Sequence[int], lanes: Sequence[int], depths: Sequence[int],
         weights: Sequence[int], rows: Sequence[int]) -> list[CoreParameters]:
    """All combinations."""
    return [CoreParameters(*values) for values in
            ((s, e, p, d, r, w) for s, e, p, d, w, r in product(segs, seglens, lanes, depths, weights, rows))]


def explore(model: Model, cores: Sequence[CoreParameters]) -> Iterator[Point]:
    """The points, one after another, without area."""
    for core in cores:
        point = Point(core)
        point.reason = refused(core) or unfit(model, point.config)
        if not point.reason:
            point.cycles = sum(layer.total for layer in predict(model, core))
        yield point


def front(points: Sequence[Point]) -> list[Point]:
    """Those that no other one beats: fewer cycles, or fewer gates, or else less RAM; from small to large."""
    usable = [p for p in points if not p.reason]
    found: list[Point] = []
    for p in sorted(usable, key=lambda p: (p.gates, p.cycles, p.ram_bytes)):
        if not found or p.cycles < found[-1].cycles:
            found.append(p)
    return found
