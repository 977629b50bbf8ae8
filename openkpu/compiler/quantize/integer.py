# SPDX-License-Identifier: Apache-2.0
"""One KPU layer in integers, for many pictures at once; equals the golden model (a test holds them together)."""

from __future__ import annotations

import numpy as np

from .. import floats
from ..program import KpuStep
from .segments import Table


def layer(step: KpuStep, x: np.ndarray) -> np.ndarray:
    """Codes (N, O, OH, OW) of codes ``x`` (N, C, H, W)."""
    return pool(activate(step, alu(step, x)), step.pool)


def alu(step: KpuStep, x: np.ndarray) -> np.ndarray:
    """Section 5.1 for arguments that stand for whole zero points, as every compiler's do; int64."""
    zero_w = -step.arg_x >> step.shr_x
    zero_x = -step.arg_w >> step.shr_w
    w = step.weights.astype(np.int64) - zero_w
    pad = step.kernel // 2
    bound = np.abs(w).sum(axis=(1, 2, 3)).max() * max(255 - zero_x, zero_x)
    kind: type[np.floating] = np.float32 if bound < 1 << 24 else np.float64
    centred = x.astype(kind) - kind(zero_x)
    if pad:
        centred = np.pad(centred, ((0, 0), (0, 0), (step.rows,) * 2, (1, 1)), constant_values=step.pad_value - zero_x)
    groups = x.shape[1] if step.depthwise else 1
    return floats.conv(centred, w.astype(kind), dilation=(step.rows, 1), groups=groups).astype(np.int64)


def activate(step: KpuStep, sums: np.ndarray) -> np.ndarray:
    """Batch norm and activation."""
    mul, shift, add = (a[:, None, None] for a in (step.bn_mul, step.bn_shift, step.bn_add))
    return Table(step.starts, step.y_mul, step.shift, step.bias)(((sums * mul) >> shift) + add)


def pool(a: np.ndarray, kind: int) -> np.ndarray:
    """Section 8 on codes: means are truncated."""
    y = floats.kpu_pool(a.astype(np.float32), kind)
    return np.floor(y + 1e-4).astype(np.uint8) if kind in (2, 4, 8) else y.astype(np.uint8)
