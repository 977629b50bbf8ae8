# SPDX-License-Identifier: Apache-2.0
"""Float sums in the order of the vendor's loops: element by element, rounding to float32 after every addition."""

from __future__ import annotations

import numpy as np

from .types import Number


def ordered_sum(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Sum along one axis from its first to its last element (numpy's own sum adds in pairs), axis removed."""
    return np.take(np.add.accumulate(x, axis=axis, dtype=x.dtype), -1, axis=axis)


def ordered_matmul(a: np.ndarray, b: np.ndarray, start: np.ndarray | Number) -> np.ndarray:
    """start + a @ b in float32; every sum runs along the inner dimension from ``start``."""
    shape = np.broadcast_shapes(a.shape[:-2], b.shape[:-2]) + (a.shape[-2], b.shape[-1])
    out = np.broadcast_to(start, shape).astype(np.float32)
    for i in range(a.shape[-1]):
        out += a[..., :, i, None] * b[..., None, i, :]
    return out
