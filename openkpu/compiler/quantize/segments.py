# SPDX-License-Identifier: Apache-2.0
"""The 16 segments of the activation table, fitted in the quantized domain.

The hardware takes the last segment whose start is below v and gives clamp(bias + round((v - start) * mul / 2^shift)):
at a segment's start the result is a whole number. Lines on either side of zero are represented exactly; other functions
by the segments of least squared error, found by dynamic programming over possible starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..functions import Function

SEGMENTS = 16
BOTTOM = -(1 << 35)
TOP = (1 << 35) - 1
CANDIDATES = 112
GRID = 1024
FALL = 0.5
"""Mean squared error by which a falling line is worse than a rising one: the hardware rounds it down by one code on
average (section 7.2, p < 0), which its bias makes good, but unevenly."""
REGION = 1 << 28
"""Distance between regions of v; sums stay within a 64th of it, so that none reaches its neighbour's."""


@dataclass(frozen=True, eq=False)
class Table:
    """One activation table: int64 (16,) each."""

    starts: np.ndarray
    y_mul: np.ndarray
    shift: np.ndarray
    bias: np.ndarray

    def __call__(self, v: np.ndarray) -> np.ndarray:
        """uint8 codes of int64 ``v`` (spec/kpu-hardware.md section 7)."""
        i = np.maximum(np.searchsorted(self.starts, v, side="left") - 1, 0)
        p = (v - self.starts[i]) * self.y_mul[i]
        s = self.shift[i]
        whole = p >> s
        rest = p - (whole << s)
        half = (1 << s) >> 1
        up = (rest > half) | ((rest == half) & (s > 0) & (whole & 1 == 1))
        up &= s > 0
        return np.clip(whole + np.where(up, np.where(p < 0, -1, 1), 0) + self.bias[i], 0, 255).astype(np.uint8)


def table(rows: list[tuple[int, float, int]]) -> Table:
    """A table of (start, slope in codes per v, bias) rows; what is left of 16 repeats the last row."""
    starts, muls, shifts, biases = [], [], [], []
    for start, slope, bias in rows:
        mul, shift = _fixed(slope)
        starts.append(start)
        muls.append(mul)
        shifts.append(shift)
        biases.append(bias)
    for _ in range(SEGMENTS - len(rows)):  # an equal start: the later segment wins, and is the same
        for column in (starts, muls, shifts, biases):
            column.append(column[-1])
    return Table(*(np.array(c, np.int64) for c in (starts, muls, shifts, biases)))


def _fixed(slope: float) -> tuple[int, int]:
    """(16-bit multiplier, shift) nearest to a slope."""
    if slope == 0:
        return 0, 0
    shift = min(43, max(0, 14 - int(np.floor(np.log2(abs(slope))))))
    mul = round(slope * 2.0**shift)
    if abs(mul) > 32767:
        shift -= 1
        mul = round(slope * 2.0**shift)
    mul, shift = (int(np.clip(mul, -32767, 32767)), shift) if shift >= 0 else (int(np.sign(slope)) * 32767, 0)
    while mul and mul % 2 == 0 and shift:
        mul, shift = mul // 2, shift - 1
    return mul, shift


def lines(left: float, right: float, zero: int, bits: int) -> Table:
    """left * v below zero and right * v above, for v in codes * 2^bits; exact."""
    return table(line_rows(left, right, zero, bits))


def line_rows(left: float, right: float, zero: int, bits: int) -> list[tuple[int, float, int]]:
    """The rows of :func:`lines`."""
    unit = 2.0**-bits
    if left == right:
        start = _start(-zero / right / unit) if right else 0
        return [(BOTTOM, 0.0, 0), (start, right * unit, 0)]
    rows = [(BOTTOM, 0.0, zero if left <= 0 else 0)]
    if left > 0 and zero:
        rows.append((_start(-zero / left / unit), left * unit, 0))
    elif left < 0:
        rows = [(BOTTOM, 0.0, 255), (_start((255 - zero) / left / unit), left * unit, 255)]
    rows.append((0, right * unit, zero))
    return rows


def _start(v: float) -> int:
    return int(np.clip(np.rint(v), BOTTOM + 1, TOP))


@dataclass(frozen=True, eq=False)
class Curve:
    """A function's codes over its range, and the best segments for every number of them.

    Attributes
    ----------
    errors : errors[n - 1], mean squared error in codes with n segments, clipping included.
    edge : code left of the range.
    """

    errors: np.ndarray
    edge: int
    _search: _Search
    _unit: float

    def rows(self, count: int) -> list[tuple[int, float, int]]:
        """(start, slope in codes per v, bias) of at most ``count`` segments."""
        return [(int(np.rint(x / self._unit)), slope * self._unit, bias) for x, slope, bias in self._search.rows(count)]


def curve(function: Function, unit: float, scale: float, zero: int, low: float, high: float, samples: np.ndarray,
          most: int = SEGMENTS - 1) -> Curve:
    """round(function(v * unit) / scale) + zero for v * unit in low..high.

    Parameters
    ----------
    samples : arguments as they occur; their histogram, mixed with a tenth of an even one, weighs the errors.
    """
    grid = np.linspace(low, high, GRID)
    weight = np.histogram(samples, bins=GRID, range=(low, high))[0].astype(np.float64)
    weight = 0.9 * weight / max(weight.sum(), 1) + 0.1 / GRID
    exact = function(grid) / scale + zero
    want = np.clip(exact, 0, 255)
    search = _Search(grid, want, weight, _candidates(grid, want, weight), most)
    clipped = float((weight * (exact - want) ** 2).sum())
    left = float(function(np.array([low - 1e-3 * (high - low)]))[0]) / scale + zero
    edge = int(np.clip(np.rint(left), 0, 255))
    return Curve(search.errors + clipped, edge if edge in (0, 255) else int(np.rint(want[0])), search, unit)


def middles(count: int) -> list[int]:
    """v in the middle of each region."""
    return [round((i - (count - 1) / 2) * REGION) for i in range(count)]


def combine(curves: list[Curve], weights: list[float]) -> tuple[Table, list[int], float]:
    """One table for several functions, each in a region of v of its own: (table, middle of each region, error).

    The segments go where they save most; ``weights`` are the worth of a squared code of each function.
    """
    counts = [1] * len(curves)
    for _ in range(SEGMENTS - 2 * len(curves)):
        gains = [w * (c.errors[n - 1] - c.errors[n]) if n < len(c.errors) else -1.0
                 for c, w, n in zip(curves, weights, counts, strict=True)]
        counts[int(np.argmax(gains))] += 1
    middles_ = middles(len(curves))
    rows: list[tuple[int, float, int]] = []
    error = 0.0
    for c, w, n, middle in zip(curves, weights, counts, middles_, strict=True):
        rows.append((middle - REGION // 2 if rows else BOTTOM, 0.0, c.edge))
        rows += [(start + middle, slope, bias) for start, slope, bias in c.rows(n)]
        error += w * float(c.errors[n - 1])
    return table(rows), middles_, error


def _candidates(grid: np.ndarray, want: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Grid points where segments may start: evenly in argument and value and by how much is at stake."""
    bend = np.abs(np.gradient(np.gradient(want))) ** 0.4 * weight**0.2 + 1e-12
    stake = np.cumsum(bend / bend.sum() + 0.5 / len(grid))
    even = np.searchsorted(stake, np.linspace(0, stake[-1], CANDIDATES // 2 + 1)[:-1])
    # Where the function is a whole number, a segment starts without an error.
    whole = np.flatnonzero(np.diff(np.rint(want * 2)) != 0)
    pick = whole[np.linspace(0, len(whole) - 1, min(len(whole), CANDIDATES // 2)).astype(int)] if len(whole) else whole
    return np.unique(np.concatenate([[0], even, pick]))


class _Search:
    """At most ``most`` segments from the first knot to the grid's end, of least squared error."""

    def __init__(self, grid: np.ndarray, want: np.ndarray, weight: np.ndarray, knots: np.ndarray, most: int):
        self.grid, self.knots = grid, knots
        ends = np.append(knots[1:], len(grid))
        prefix = {name: np.concatenate([[0], np.cumsum(column)]) for name, column in {
            "w": weight, "x": weight * grid, "xx": weight * grid**2, "y": weight * want, "xy": weight * grid * want,
            "yy": weight * want**2}.items()}
        n = len(knots)
        x0, at = grid[knots][:, None], want[knots][:, None]
        part = {k: p[ends][None] - p[knots][:, None] for k, p in prefix.items()}
        dx = part["x"] - x0 * part["w"]
        # A single point of the grid has no slope, only rounding errors of these sums.
        step = (grid[-1] - grid[0]) / (len(grid) - 1)
        dxx = np.maximum(part["xx"] - 2 * x0 * part["x"] + x0 * x0 * part["w"], 0.1 * step * step * part["w"] + 1e-30)
        cost = np.full((n, n), np.inf)
        self.slopes, self.biases = np.zeros((n, n)), np.zeros((n, n), int)
        # The best line, and the two nearest that begin at a whole number.
        mean = part["y"] / np.maximum(part["w"], 1e-30)
        spread = np.maximum(part["w"] * dxx - dx * dx, (0.1 * step * part["w"]) ** 2 + 1e-30)
        rise = (part["w"] * (part["xy"] - x0 * part["y"]) - dx * part["y"]) / spread
        free = mean - rise * dx / np.maximum(part["w"], 1e-30)
        for bias in (np.floor(at), np.ceil(at), np.clip(np.floor(free), 0, 255), np.clip(np.ceil(free), 0, 255)):
            dxy = part["xy"] - x0 * part["y"] - bias * dx
            dyy = part["yy"] - 2 * bias * part["y"] + bias * bias * part["w"]
            slope = dxy / dxx
            falls = slope < 0
            error = np.maximum(dyy - 2 * slope * dxy + slope * slope * dxx, 0) + np.where(falls, FALL * part["w"], 0)
            flat = falls & (np.maximum(dyy, 0) <= error)
            error, slope = np.where(flat, np.maximum(dyy, 0), error), np.where(flat, 0, slope)
            better = error < cost
            cost = np.where(better, error, cost)
            self.slopes = np.where(better, slope, self.slopes)
            raised = np.minimum(bias + (slope < 0), 255)
            self.biases = np.where(better, raised.astype(int), self.biases)
        cost[np.tril_indices(n, -1)] = np.inf
        total = cost[0].copy()
        self.back = np.full((most, n), -1)
        errors = [total[-1]]
        for k in range(1, most):
            options = total[:-1, None] + cost[1:, :]
            choice = options.argmin(axis=0)
            extended = options[choice, np.arange(n)]
            better = extended < total - 1e-15
            self.back[k] = np.where(better, choice + 1, -1)
            total = np.where(better, extended, total)
            errors.append(total[-1])
        self.errors = np.array(errors)

    def rows(self, count: int) -> list[tuple[float, float, int]]:
        j, k, found = len(self.knots) - 1, count - 1, []
        while True:
            while k > 0 and self.back[k, j] < 0:
                k -= 1
            i = int(self.back[k, j]) if k > 0 else 0
            found.append((float(self.grid[self.knots[i]]), float(self.slopes[i, j]), int(self.biases[i, j])))
            if i == 0:
                return found[::-1]
            j, k = i - 1, k - 1
