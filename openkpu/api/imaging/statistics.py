# SPDX-License-Identifier: Apache-2.0
"""Histograms and statistics of images, as OpenMV's objects: indexable, and with a method per value."""

from __future__ import annotations

import numpy as np

from openkpu.api.imaging import colour

_VALUES = ("mean", "median", "mode", "stdev", "min", "max", "lq", "uq")
_PREFIXES = ("l_", "a_", "b_")


class _Channels(tuple):
    """Values of one gray channel or of L, A and B, flat in the order of the channels."""

    names: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        for position, name in enumerate(cls.names):
            setattr(cls, name, _value(position))
            for channel, prefix in enumerate(_PREFIXES):
                setattr(cls, prefix + name, _value(channel * len(cls.names) + position))


def _value(position: int):
    def value(self):
        return self[position]

    return value


class Statistics(_Channels):
    """Mean, median, mode, standard deviation, least, largest, lower and upper quartile of each channel."""

    names = _VALUES


class Percentile(_Channels):
    """A value of each channel."""

    names = ("value",)


class Histogram(_Channels):
    """Shares of the pixels in each bin of each channel; the bins of a channel add up to 1."""

    names = ("bins",)
    _ranges: list[tuple[int, float]]

    @classmethod
    def of(cls, values: np.ndarray, mask: np.ndarray | None = None, bins: int | None = None) -> Histogram:
        """Histogram of gray values or RGB565 words, of those pixels where ``mask`` is set."""
        made, ranges = [], []
        for channel, low, high in colour.channels(values):
            used = channel if mask is None else channel[mask]
            count = int(bins or high - low + 1)
            counts, _ = np.histogram(used, bins=count, range=(low, high + 1))
            made.append((counts / max(1, counts.sum())).tolist())
            ranges.append((low, (high - low + 1) / count))
        histogram = cls(made)
        histogram._ranges = ranges
        return histogram

    def get_percentile(self, percentile: float) -> Percentile:
        """The value in each channel below which that share of the pixels lies."""
        return Percentile(self._at(channel, percentile) for channel in range(len(self)))

    def get_threshold(self) -> Percentile:
        """The value in each channel that separates it best in two (Otsu)."""
        return Percentile(self._otsu(channel) for channel in range(len(self)))

    get_threshhold = get_threshold

    def get_statistics(self) -> Statistics:
        """Statistics of the binned values."""
        return Statistics(value for channel in range(len(self)) for value in self._statistics(channel))

    statistics = get_stats = get_statistics

    def _centres(self, channel: int) -> np.ndarray:
        low, width = self._ranges[channel]
        return np.floor(low + width * np.arange(len(self[channel])))

    def _at(self, channel: int, share: float) -> int:
        cumulated = np.cumsum(self[channel])
        index = min(int(np.searchsorted(cumulated, share)), len(cumulated) - 1)
        return int(self._centres(channel)[index])

    def _otsu(self, channel: int) -> int:
        share, centres = np.array(self[channel]), self._centres(channel)
        below, mean = np.cumsum(share), np.cumsum(share * centres)
        with np.errstate(divide="ignore", invalid="ignore"):
            between = (mean[-1] * below - mean) ** 2 / (below * (1 - below))
        return int(centres[np.nanargmax(np.where(np.isfinite(between), between, -1))])

    def _statistics(self, channel: int) -> list[int]:
        share, centres = np.array(self[channel]), self._centres(channel)
        mean = float((share * centres).sum())
        used = np.flatnonzero(share)
        least, largest = (int(centres[used[0]]), int(centres[used[-1]])) if len(used) else (0, 0)
        deviation = float(np.sqrt((share * (centres - mean) ** 2).sum()))
        return [int(mean), self._at(channel, 0.5), int(centres[int(share.argmax())]), int(deviation), least, largest,
                self._at(channel, 0.25), self._at(channel, 0.75)]
