# SPDX-License-Identifier: Apache-2.0
"""What range of each map its 256 codes cover."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import CompileError
from ..mapping.network import KpuLayer, Network
from .calibrate import Statistics
from .scales import Sharing

SPREAD = 0.5
"""A channel whose largest value is x times the map's gets x ** SPREAD of the map's range: between one range for the map
(0), which a new picture hardly leaves, and each channel's own (1), which is finest."""
SMALLEST = 0.02
"""Least range of a channel, relative to its map's: what the pictures hardly excited may still matter in another one."""


@dataclass(frozen=True, eq=False)
class Codes:
    """real = (code - zero) * scale[channel]."""

    scale: np.ndarray
    zero: int

    @property
    def uniform(self) -> bool:
        return bool((self.scale == self.scale[0]).all())


def margin(pictures: int) -> float:
    """How much further than the largest value seen in so many pictures the codes reach."""
    return 1 + 1.5 / pictures


def limited(step: KpuLayer) -> float:
    """The largest value that a function can give; infinite for most."""
    if step.slopes is not None:
        return np.inf
    clamped = step.function.clamped if step.function.steps else None
    return clamped[2] if clamped else np.inf


def homogeneous(step: KpuLayer) -> bool:
    """True if the layer's function commutes with a scale, so that each channel may have its own."""
    if step.slopes is not None or not step.function.steps:
        return True
    clamped = step.function.clamped
    return step.function.slopes is not None or (clamped is not None and clamped[1] == 0)


def choose(net: Network, stats: Statistics, sharing: Sharing, fixed: dict[str, Codes],
           importance: dict[str, np.ndarray]) -> dict[str, Codes]:
    """Codes of every map; ``fixed`` ones are given."""
    from .classes import divide
    makers = {step.output: step for step in net.kpu()}
    pictures = len(next(iter(stats.low.values())))
    low, high = {}, {}
    total = sum(net.shapes[m][1] for m in net.maps)
    weight = np.zeros(total)
    class_low, class_high = np.zeros(total), np.zeros(total)
    for name in net.maps:
        step = makers.get(name)
        if (step is not None and step.exact) or name in fixed:
            continue
        lo, hi = _range(stats, name, step, pictures)
        low[name], high[name] = lo, hi
        if step is None:
            sharing.scale.join(sharing.first[name] + c for c in range(len(lo)))
        elif not homogeneous(step):
            index = divide(step, stats.layers[name], lo, hi, importance.get(name, np.ones(len(lo))), margin(pictures),
                           _zero, _scale)
            for k in np.unique(index):
                sharing.scale.join(sharing.first[name] + c for c in np.flatnonzero(index == k).tolist())
    for name in low:
        lo, hi = low[name], high[name]
        roots = [sharing.scale.find(sharing.first[name] + c) for c in range(net.shapes[name][1])]
        np.minimum.at(class_low, roots, lo)
        np.maximum.at(class_high, roots, hi)
        np.add.at(weight, roots, importance.get(name, np.ones(len(roots))))
    result = dict(fixed)
    known = {sharing.scale.find(sharing.first[n] + c): float(s) for n, f in fixed.items()
             for c, s in enumerate(f.scale)}
    sets: dict[int, list[str]] = {}
    for name in net.maps:
        sets.setdefault(sharing.zero.find(sharing.number[name]), []).append(name)
    for names in sets.values():
        given = [fixed[n] for n in names if n in fixed]
        roots = sorted({sharing.scale.find(sharing.first[n] + c) for n in names for c in range(net.shapes[n][1])})
        zero = given[0].zero if given else _zero(class_low[roots], class_high[roots], weight[roots])
        for name in names:
            if name in result:
                continue
            roots = [sharing.scale.find(sharing.first[name] + c) for c in range(net.shapes[name][1])]
            scale = _scale(class_low[roots], class_high[roots], zero)
            scale = np.array([known.get(root, s) for root, s in zip(roots, scale, strict=True)])
            if not np.isfinite(scale).all():
                raise CompileError(f"the map '{name}' has values below zero beside one that cannot have them; put a "
                                   "convolution between the input and the concatenation")
            result[name] = Codes(scale, zero)
    return result


def _range(stats: Statistics, name: str, step: KpuLayer | None, pictures: int) -> tuple[np.ndarray, np.ndarray]:
    grow = margin(pictures)
    lo = np.minimum(stats.low[name].min(axis=0) * grow, 0)
    hi = np.maximum(stats.high[name].max(axis=0) * grow, 0)
    if step is None:
        return lo, hi
    largest = np.maximum(hi, -lo)
    top = max(float(largest.max()), 1e-9)
    share = np.maximum(largest / top, 1e-9)
    wanted = top * np.maximum(share**SPREAD if homogeneous(step) else share, SMALLEST)
    factor = wanted / (top * share)
    hi = np.where(largest > 0, hi * factor, wanted)
    return lo * factor, np.minimum(hi, limited(step))


def _scale(low: np.ndarray, high: np.ndarray, zero: int) -> np.ndarray:
    up = high / (255 - zero) if zero < 255 else np.where(high > 0, np.inf, 0)
    down = -low / zero if zero else np.where(low < -1e-6 * np.maximum(high, 1e-12), np.inf, 0)
    return np.maximum(np.maximum(up, down), 1e-12)


def _zero(low: np.ndarray, high: np.ndarray, weight: np.ndarray) -> int:
    """The zero point of least expected error over channels that have it in common."""
    if (low >= 0).all():
        return 0
    if (high <= 0).all():
        return 255
    best = min(range(1, 255), key=lambda z: float((weight * _scale(low, high, z) ** 2).sum()))
    return best
