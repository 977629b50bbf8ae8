# SPDX-License-Identifier: Apache-2.0
"""Layers whose channels do not mix are cut into narrower ones, which cost less together."""

from __future__ import annotations

import numpy as np

from ..limits import channel_group

OVERHEAD = 200
"""Cycles that a layer of its own costs on our core; more on the chip, where few layers have blocks at all."""


def cycles(outs: int, ins: int, kernel: int, size: tuple[int, ...]) -> float:
    """Cycles of our core's array for a layer that computes ``size`` pixels: 64 elements of nine taps each."""
    pixels = size[0] * size[1]
    passes = ins if kernel == 3 else -(-ins // 9)
    return OVERHEAD + max(pixels / 64 * 8 * -(-outs // 8) * passes, pixels * outs / 20)


def split(weights: np.ndarray, size: tuple[int, ...], source: tuple[int, ...],
          may_part: bool) -> list[tuple[slice, slice]]:
    """(output channels, input channels) of the layers that (O, I, k, k) weights become."""
    outs, ins, kernel = weights.shape[:3]
    if not may_part:
        return [(slice(0, outs), slice(0, ins))]
    used = (weights != 0).any(axis=(2, 3))
    lows = np.where(used.any(1), used.argmax(1), -1)
    highs = np.where(used.any(1), ins - used[:, ::-1].argmax(1), -1)
    group_in, group_out = channel_group(source[1]), channel_group(size[1])
    span = _span(lows, highs, 0, outs, group_in, ins)
    best, best_cost = [(slice(0, outs), slice(*span))], cycles(outs, span[1] - span[0], kernel, size)
    per = group_out
    while per < outs:
        cuts = [(a, min(a + per, outs)) for a in range(0, outs, per)]
        spans = [_span(lows, highs, a, b, group_in, ins) for a, b in cuts]
        cost = sum(cycles(b - a, s[1] - s[0], kernel, size) for (a, b), s in zip(cuts, spans, strict=True))
        if cost < best_cost:
            best_cost = cost
            best = [(slice(a, b), slice(*s)) for (a, b), s in zip(cuts, spans, strict=True)]
        per *= 2
    return best


def _span(lows: np.ndarray, highs: np.ndarray, a: int, b: int, group: int, ins: int) -> tuple[int, int]:
    """Input channels that outputs a..b need, from a channel where a map may be read."""
    some = lows[a:b][lows[a:b] >= 0]
    if not len(some):
        return 0, min(group, ins)
    low, high = int(some.min()), int(highs[a:b].max())
    return low // group * group, high
