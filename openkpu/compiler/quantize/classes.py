# SPDX-License-Identifier: Apache-2.0
"""Classes of channels with scales of their own, for functions that do not commute with a scale.

The activation table is one for all channels, but batch norm can move each channel's sums to a region of their own: a
table of 16 segments then holds the same function two or three times, for outputs of different scale. Channels of small
range gain precision, each class has fewer segments; what is better is worked out per layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..functions import Function
from ..mapping.network import KpuLayer
from . import segments
from .calibrate import LayerStatistics

MOST = 4
RANGE_BITS = 22
"""Sums of a region are within 2^22."""


@dataclass(frozen=True, eq=False)
class Class:
    """Channels with one scale; the function's arguments that occur in them."""

    channels: np.ndarray
    low: float
    high: float
    samples: np.ndarray

    @property
    def unit(self) -> float:
        return max(-self.low, self.high) / 2.0**RANGE_BITS

    def curve(self, function: Function, scale: float, zero: int) -> segments.Curve:
        return segments.curve(function, self.unit, scale, zero, self.low, self.high, self.samples)


def classes(stats: LayerStatistics, index: np.ndarray, grow: float) -> list[Class]:
    """The classes that an index per channel describes."""
    low, high = np.min(stats.low, axis=0), np.max(stats.high, axis=0)
    found = []
    for k in np.unique(index):
        channels = np.flatnonzero(index == k)
        samples = np.concatenate([t[channels].ravel()[:: max(1, t[channels].size // 4000)] for t in stats.targets])
        found.append(Class(channels, min(float(low[channels].min()) * grow, -1e-3),
                           max(float(high[channels].max()) * grow, 1e-3), samples))
    return found


def divide(step: KpuLayer, stats: LayerStatistics, low: np.ndarray, high: np.ndarray, weight: np.ndarray,
           grow: float, zero_of, scale_of) -> np.ndarray:
    """A class per output channel, of least expected error.

    Parameters
    ----------
    low, high : the range that each channel's codes have to cover.
    weight : worth of a squared error of each channel.
    zero_of, scale_of : the rules of :mod:`ranges` for a zero point and scales.
    """
    best, best_cost = np.zeros(len(high), int), np.inf
    log = np.log(np.maximum(high, 1e-6))
    for count in range(1, min(MOST, len(high)) + 1):
        index = cluster(log, count)
        parts = classes(stats, index, grow)
        lows = np.array([low[c.channels].min() for c in parts])
        highs = np.array([high[c.channels].max() for c in parts])
        worth = np.array([weight[c.channels].sum() for c in parts])
        zero = zero_of(lows, highs, worth)
        scales = scale_of(lows, highs, zero)
        curves = [c.curve(step.function, float(s), zero) for c, s in zip(parts, scales, strict=True)]
        values = [float(w * s * s) for w, s in zip(worth, scales, strict=True)]
        cost = sum(values) / 12 + segments.combine(curves, values)[2]
        if cost < 0.97 * best_cost:
            best, best_cost = index, cost
    return best


def cluster(values: np.ndarray, count: int) -> np.ndarray:
    """Numbers 0..count-1: groups of near values, by k-means from evenly spaced centres."""
    centres = np.linspace(values.min(), values.max(), count + 2)[1:-1] if count > 1 else np.array([values.mean()])
    for _ in range(20):
        index = np.abs(values[:, None] - centres).argmin(axis=1)
        centres = np.array([values[index == k].mean() if (index == k).any() else centres[k] for k in range(count)])
    return np.unique(index, return_inverse=True)[1]
