# SPDX-License-Identifier: Apache-2.0
"""Which shifted copies of a map a convolution needs along one axis.

A KPU layer reads pixels p - 1, p, p + 1 around p = stride * y + origin, where the origin is 0, or 1 for the columns of
a stride of two (pool 6). A tap of the network's convolution reads stride * y + d. Written over a copy of the map that
is moved by s, copy[i] = map[i + s] and zero where that is outside, the tap is pixel p + k of the copy with
s + k = d - origin. The copy has lost what was moved out of the map, so a pair (s, k) serves a tap only if no output
needs what was lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product


@dataclass(frozen=True)
class Axis:
    """One axis: ``origin`` of the samples and, per tap, (shift of the copy, place in the kernel -1..1)."""

    origin: int
    taps: tuple[tuple[int, int], ...]

    @property
    def shifts(self) -> tuple[int, ...]:
        return tuple(sorted({s for s, _ in self.taps}))


@cache
def solve(offsets: tuple[int, ...], stride: int, outputs: int, valid: int, physical: int, clean: bool,
          origins: tuple[int, ...], kernel: int, copies: int = 99) -> Axis | None:
    """The assignment with the fewest copies, then the shortest moves; None if there is none.

    Parameters
    ----------
    offsets : d of every tap.
    outputs : output pixels that count.
    valid, physical : pixels that count and pixels of the stored map; those between are zeros if ``clean``.
    kernel : 1 or 3.
    copies : at most so many (1 for depthwise layers).
    """
    best = None
    reach = range(-(kernel // 2), kernel // 2 + 1)
    limit = physical if clean else valid
    for origin in origins:
        options = []
        for d in offsets:
            fits = [(d - origin - k, k) for k in reach
                    if _serves(d, d - origin - k, k, origin, stride, outputs, valid, physical, limit)]
            if not fits:
                break
            options.append(fits)
        else:
            taps = _fewest(options)
            shifts = {s for s, _ in taps}
            cost = len(shifts), sum(abs(s) for s in shifts), origin
            if len(shifts) <= copies and (best is None or cost < best[0]):
                best = cost, Axis(origin, taps)
    return best[1] if best else None


def _serves(d: int, s: int, k: int, origin: int, stride: int, outputs: int, valid: int, physical: int,
            limit: int) -> bool:
    for y in range(outputs):
        wanted, place = stride * y + d, stride * y + origin + k
        inside = 0 <= place < physical
        if 0 <= wanted < valid:
            if not inside:
                return False
        elif inside and limit <= wanted < physical:
            return False  # what lies behind the valid pixels is undefined
    return True


def _fewest(options: list[list[tuple[int, int]]]) -> tuple[tuple[int, int], ...]:
    shifts = sorted({s for fits in options for s, _ in fits}, key=lambda s: (abs(s), s))
    chosen: list[int] = []
    left = [dict(fits) for fits in options]
    while any(not any(s in fits for s in chosen) for fits in left):
        open_taps = [fits for fits in left if not any(s in fits for s in chosen)]
        chosen.append(max(shifts, key=lambda s: (sum(s in fits for fits in open_taps), -abs(s))))
    # A copy that became unnecessary goes.
    for s in sorted(chosen, key=lambda s: -abs(s)):
        rest = [c for c in chosen if c != s]
        if rest and all(any(c in fits for c in rest) for fits in left):
            chosen = rest
    return tuple(next((s, fits[s]) for s in sorted(chosen, key=lambda s: (abs(fits.get(s, 9)), abs(s))) if s in fits)
                 for fits in left)


def pairs(rows: Axis, columns: Axis) -> list[tuple[int, int]]:
    """Shifts (y, x) of the copies that two axes need together."""
    return list(product(rows.shifts, columns.shifts))
