# SPDX-License-Identifier: Apache-2.0
"""Addresses for buffers by their live ranges: best fit, largest first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Buffer:
    """``size`` bytes that are needed from layer ``first`` to layer ``last``, both included."""

    name: str
    size: int
    first: int
    last: int

    def meets(self, other: Buffer) -> bool:
        """True if both are needed at the same time."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Plan:
    """Byte offsets by buffer name, and the end of the highest buffer."""

    offsets: dict[str, int]
    peak: int


def plan(buffers: Sequence[Buffer], alignment: int) -> Plan:
    """Offsets without overlap of buffers that live at the same time.

    The best of a few orders; each buffer goes into the smallest gap that takes it.
    """
    plans = [_place(sorted(buffers, key=order), alignment) for order in _ORDERS]
    return min(plans, key=lambda p: p.peak)


_ORDERS: tuple[Callable[[Buffer], tuple], ...] = (
    lambda b: (-b.size, b.first, b.name),
    lambda b: (-(b.last - b.first), -b.size, b.name),
    lambda b: (-b.size * (b.last - b.first + 1), b.first, b.name),
    lambda b: (b.first, -b.size, b.name),
)


def lower_bound(buffers: Sequence[Buffer], alignment: int) -> tuple[int, int]:
    """(bytes, layer): the most that is alive at once, and the first layer where it is; no plan needs less."""
    best = (0, 0)
    for at in sorted({b.first for b in buffers}):
        size = sum(_rounded(b.size, alignment) for b in buffers if b.first <= at <= b.last)
        best = max(best, (size, -at))
    return best[0], -best[1]


def _rounded(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


def _place(buffers: Sequence[Buffer], alignment: int) -> Plan:
    placed: list[tuple[int, int, Buffer]] = []
    offsets: dict[str, int] = {}
    for buffer in buffers:
        size = _rounded(buffer.size, alignment)
        taken = sorted((start, end) for start, end, other in placed if other.meets(buffer))
        offset = _best_gap(taken, size)
        offsets[buffer.name] = offset
        placed.append((offset, offset + size, buffer))
    return Plan(offsets, max((end for _, end, _ in placed), default=0))


def _best_gap(taken: Sequence[tuple[int, int]], size: int) -> int:
    """Start of the smallest gap between the taken ranges that holds ``size`` bytes, else their end."""
    position = 0
    best: tuple[int, int] | None = None
    for start, end in taken:
        gap = start - position
        if gap >= size and (best is None or gap < best[0]):
            best = (gap, position)
        position = max(position, end)
    return position if best is None else best[1]
