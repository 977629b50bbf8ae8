# SPDX-License-Identifier: Apache-2.0
"""Rounding and shifting rules shared by the quantized operators."""

from __future__ import annotations

import numpy as np


def round_half_away(x: np.ndarray) -> np.ndarray:
    """C's roundf: to the nearest integral value, halves away from zero."""
    whole = np.trunc(x)
    return whole + np.copysign(np.abs(x - whole) >= 0.5, x)


def saturate(x: np.ndarray, dtype: np.dtype | type = np.uint8) -> np.ndarray:
    """Clamp integral values to the range of ``dtype`` and convert; NaN gives 0."""
    info = np.iinfo(dtype)
    if np.issubdtype(x.dtype, np.floating):
        x = np.nan_to_num(x.astype(np.float64), nan=0.0, posinf=np.inf, neginf=-np.inf)
    clipped = np.clip(x, info.min, info.max)
    # The largest 64-bit integer has no float64; its neighbour above would wrap in the conversion.
    if info.bits == 64 and np.issubdtype(x.dtype, np.floating):
        exact = np.minimum(clipped, np.nextafter(float(info.max), 0)).astype(dtype)
        return np.where(clipped >= float(info.max), info.max, exact)
    return clipped.astype(dtype)


def shift_round(value: np.ndarray, mul: int, shift: int) -> np.ndarray:
    """(value*mul + half) >> shift in 64 bits: half is added before the floor shift (spec 4.5, ``cs``)."""
    product = value.astype(np.int64) * np.int64(mul)
    return product if shift == 0 else (product + np.int64(1 << (shift - 1))) >> shift


def shift_carry(value: np.ndarray, shift: int) -> np.ndarray:
    """The v3 ``carry`` shift: an odd bit behind the point moves the result away from zero (spec 3.5)."""
    if shift == 0:
        return value
    t = value >> (shift - 1)
    return (t >> 1) + np.where(t & 1, np.where(t >= 0, 1, -1), 0)
