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
CANDIDATES = 192


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
    while mul and mul % 2 == 0 and shift:
        mul, shift = mul // 2, shift - 1
    return mul, shift


def lines(left: float, right: float, zero: int, bits: int) -> Table:
    """left * v below zero and right * v above, for v in codes * 2^bits; exact."""
    unit = 2.0**-bits
    if left == right:
        start = _start(-zero / right / unit) if right else 0
        return table([(BOTTOM, 0.0, 0), (start, right * unit, 0)])
    rows = [(BOTTOM, 0.0, zero if left <= 0 else 0)]
    if left > 0 and zero:
        rows.append((_start(-zero / left / unit), left * unit, 0))
    elif left < 0:
        rows = [(BOTTOM, 0.0, 255), (_start((255 - zero) / left / unit), left * unit, 255)]
    rows.append((0, right * unit, zero))
    return table(rows)


def _start(v: float) -> int:
    return int(np.clip(np.rint(v), BOTTOM + 1, TOP))


def fit(function: Function, unit: float, scale: float, zero: int, low: float, high: float,
        samples: np.ndarray, segments: int = SEGMENTS) -> tuple[list[tuple[int, float, int]], float]:
    """Rows for round(function(v * unit) / scale) + zero, v * unit in low..high, and their mean squared error in codes.

    Parameters
    ----------
    samples : arguments as they occur; their histogram, mixed with a tenth of an even one, weighs the errors.
    """
    grid = np.linspace(low, high, 2048)
    weight = np.histogram(samples, bins=2048, range=(low, high))[0].astype(np.float64)
    weight = 0.9 * weight / max(weight.sum(), 1) + 0.1 / 2048
    want = np.clip(function(grid) / scale + zero, 0, 255)
    knots = _candidates(grid, want, weight)
    rows, error = _search(grid, want, weight, knots, segments - 1)
    first = int(np.rint(want[0]))
    left = function(np.array([low - 1e-3 * (high - low)]))[0]
    edge = int(np.clip(np.rint(left / scale + zero), 0, 255))
    result: list[tuple[int, float, int]] = [(BOTTOM, 0.0, edge if edge in (0, 255) else first)]
    for x, slope, bias in rows:
        result.append((int(np.rint(x / unit)), slope * unit, bias))
    return result, error


def _candidates(grid: np.ndarray, want: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Grid points where segments may start: evenly in argument and value and by how much is at stake."""
    bend = np.abs(np.gradient(np.gradient(want))) ** 0.4 * weight**0.2 + 1e-12
    stake = np.cumsum(bend / bend.sum() + 0.5 / len(grid))
    even = np.searchsorted(stake, np.linspace(0, stake[-1], CANDIDATES // 2 + 1)[:-1])
    # Where the function is a whole number, a segment starts without an error.
    whole = np.flatnonzero(np.diff(np.rint(want * 2)) != 0)
    pick = whole[np.linspace(0, len(whole) - 1, min(len(whole), CANDIDATES // 2)).astype(int)] if len(whole) else whole
    return np.unique(np.concatenate([[0], even, pick]))


def _search(grid: np.ndarray, want: np.ndarray, weight: np.ndarray, knots: np.ndarray,
            most: int) -> tuple[list[tuple[float, float, int]], float]:
    """At most ``most`` segments from the first knot to the grid's end."""
    ends = np.append(knots[1:], len(grid))
    prefix = {}
    for name, column in {"w": weight, "x": weight * grid, "xx": weight * grid**2, "y": weight * want,
                         "xy": weight * grid * want, "yy": weight * want**2}.items():
        prefix[name] = np.concatenate([[0], np.cumsum(column)])
    n = len(knots)
    cost = np.full((n, n), np.inf)
    slopes, biases = np.zeros((n, n)), np.zeros((n, n), int)
    for i, a in enumerate(knots):
        x0 = grid[a]
        part = {k: p[ends[i:]] - p[a] for k, p in prefix.items()}
        dx = part["x"] - x0 * part["w"]
        dxx = np.maximum(part["xx"] - 2 * x0 * part["x"] + x0 * x0 * part["w"], 1e-30)
        best = np.full(n - i, np.inf)
        for bias in {int(np.floor(want[a])), int(np.ceil(want[a])), int(np.rint(want[a]))}:
            bias = min(max(bias, 0), 255)
            dxy = part["xy"] - x0 * part["y"] - bias * dx
            dyy = part["yy"] - 2 * bias * part["y"] + bias * bias * part["w"]
            slope = np.maximum(dxy / dxx, 0)  # falling lines are rounded badly by the hardware (section 7.2)
            error = np.maximum(dyy - 2 * slope * dxy + slope * slope * dxx, 0)
            better = error < best
            best = np.where(better, error, best)
            slopes[i, i:] = np.where(better, slope, slopes[i, i:])
            biases[i, i:] = np.where(better, bias, biases[i, i:])
        cost[i, i:] = best
    total = cost[0].copy()
    back = np.zeros((most, n), int)
    for k in range(1, most):
        options = total[:-1, None] + cost[1:, :]
        choice = options.argmin(axis=0)
        extended = options[choice, np.arange(n)]
        better = extended < total - 1e-15
        back[k] = np.where(better, choice + 1, -1)
        total = np.where(better, extended, total)
    j, k, rows = n - 1, most - 1, []
    while True:
        while k > 0 and back[k, j] < 0:
            k -= 1
        i = back[k, j] if k > 0 else 0
        rows.append((float(grid[knots[i]]), float(slopes[i, j]), int(biases[i, j])))
        if i == 0:
            break
        j, k = i - 1, k - 1
    return rows[::-1], float(total[-1])
