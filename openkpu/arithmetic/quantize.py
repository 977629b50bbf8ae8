# SPDX-License-Identifier: Apache-2.0
"""Quantize, dequantize, requantize and table look-up."""

from __future__ import annotations

import numpy as np

from .rounding import round_half_away, saturate
from .types import Number

F32 = np.float32


def quantize_v3(x: np.ndarray, scale: Number, bias: Number) -> np.ndarray:
    """float32 -> uint8: roundf((x - bias) * (1/scale)), clamped (spec 3.5)."""
    t = (x - F32(bias)) * (F32(1) / F32(scale))
    return saturate(round_half_away(t))


def quantize(x: np.ndarray, scale: Number, bias: Number, rounding: str,
             dtype: np.dtype | type = np.uint8) -> np.ndarray:
    """float32 -> integer: x*scale + bias, rounded, clamped to the type (spec 4.5, 5.7).

    ``rounding`` of halves: "away" (v4's simulator), "even" (v5's simulator), or "chip": the K210's runtimes round
    to even, but away from zero for the last element of an odd count.
    """
    t = x * F32(scale) + F32(bias)
    rounded = round_half_away(t) if rounding == "away" else np.rint(t)
    if rounding == "chip" and t.size % 2:
        last = (-1,) * t.ndim
        rounded[last] = round_half_away(t[last])
    return saturate(rounded, dtype)


def dequantize(q: np.ndarray, scale: Number | np.ndarray, bias: Number | np.ndarray) -> np.ndarray:
    """integer -> float32: q*scale + bias (spec 3.5, 5.7); arrays of scale and bias broadcast."""
    return q.astype(F32) * np.asarray(scale, F32) + np.asarray(bias, F32)


def dequantize_v4(q: np.ndarray, zero_point: int, scale: Number) -> np.ndarray:
    """uint8 -> float32: (q - zero_point) * (1/scale); v4's scale goes from real to quantized (spec 4.5)."""
    return (q.astype(np.int32) - np.int32(zero_point)).astype(F32) * (F32(1) / F32(scale))


def lookup(x: np.ndarray, table: np.ndarray) -> np.ndarray:
    """uint8 through a table of 256 entries (REQUANTIZE, table_lookup1d)."""
    return table[x]
