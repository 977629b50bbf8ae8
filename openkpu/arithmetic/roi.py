# SPDX-License-Identifier: Apache-2.0
"""Pooling of regions of interest, in the order of the vendor's loops (spec/kmodel-format.md 5.7)."""

from __future__ import annotations

import numpy as np

from .types import Number

F32 = np.float32


def _samples(start: np.float32, step: np.float32, count: int, grid: int, size: int) -> tuple[np.ndarray, ...]:
    """For ``count`` bins of ``grid`` samples along one axis: lower and upper pixel, and the upper one's weight.

    The weight is -1 outside the map.
    """
    bins, inner = np.meshgrid(np.arange(count, dtype=F32), np.arange(grid, dtype=F32), indexing="ij")
    at = (start + bins * step + (inner + F32(0.5)) * step / F32(grid)).ravel()
    outside = (at < -1) | (at > size)
    at = np.maximum(np.where(outside, 0, at), 0)
    low = np.minimum(at.astype(np.int64), size - 1)
    at = np.where(low == size - 1, F32(size - 1), at)
    return low, np.minimum(low + 1, size - 1), np.where(outside, F32(-1), at - low.astype(F32))


def roi_align(x: np.ndarray, rois: np.ndarray, batch: np.ndarray, size: tuple[int, ...], mode: str, scale: Number,
              sampling: int) -> np.ndarray:
    """ONNX's RoiAlign without the half-pixel offset.

    x: (N, C, H, W); rois: (n, 4) as x0, y0, x1, y1; batch: (n,) which of the N; result (n, C, *size). ``mode`` avg, or
    max: the largest single weighted pixel.
    """
    out = np.empty((len(rois), x.shape[1], *size), F32)
    for n, region in enumerate(rois * F32(scale)):
        corner, end = region[1::-1], region[:1:-1]
        extent = np.maximum(end - corner, F32(1))
        step = extent / np.asarray(size, F32)
        grid = [sampling] * 2 if sampling > 0 else [int(v) for v in np.ceil(step)]
        axes = [_samples(*a) for a in zip(corner, step, size, grid, x.shape[2:], strict=True)]
        (y0, y1, fy), (x0, x1, fx) = axes
        inside = (fy[:, None] >= 0) & (fx >= 0)
        gy, gx = F32(1) - fy[:, None], F32(1) - fx
        weights = (gy * gx, gy * fx, fy[:, None] * gx, fy[:, None] * fx)
        maps = x[batch[n]]
        parts = [np.where(inside, w * maps[:, rows[:, None], columns], F32(0))
                 for w, rows, columns in zip(weights, (y0, y0, y1, y1), (x0, x1, x0, x1), strict=True)]
        # (C, bins in y, samples in y, bins in x, samples in x) -> samples last, row by row
        shape = -1, size[0], grid[0], size[1], grid[1]
        parts = [p.reshape(shape).transpose(0, 1, 3, 2, 4).reshape(-1, *size, grid[0] * grid[1]) for p in parts]
        if mode == "max":
            out[n] = np.max(parts, axis=(0, -1))
            continue
        total = np.zeros(parts[0].shape[:-1], F32)
        for values in np.moveaxis(parts[0] + parts[1] + parts[2] + parts[3], -1, 0):
            total += values
        out[n] = total / F32(grid[0] * grid[1])
    return out
