# SPDX-License-Identifier: Apache-2.0
"""Operators that move elements: pad, slice, resize, transposes of batches and space."""

from __future__ import annotations

from typing import Literal

import numpy as np

from .rounding import saturate
from .types import Number

F32 = np.float32
PadMode = Literal["constant", "reflect", "symmetric", "edge"]


def pad(x: np.ndarray, before: tuple[int, ...], after: tuple[int, ...], value: Number, mode: PadMode = "constant",
        interior: tuple[int, ...] | None = None) -> np.ndarray:
    """Pad every axis; negative amounts crop; ``interior`` values go between the elements first (spec 4.5, 5.7)."""
    if interior is not None and any(interior):
        spread = np.full([(n - 1) * (i + 1) + 1 for n, i in zip(x.shape, interior, strict=True)], value, x.dtype)
        spread[tuple(slice(None, None, i + 1) for i in interior)] = x
        x = spread
    x = x[tuple(slice(max(-b, 0), n - max(-a, 0)) for n, b, a in zip(x.shape, before, after, strict=True))]
    amounts = [(max(b, 0), max(a, 0)) for b, a in zip(before, after, strict=True)]
    if mode == "constant":
        return np.pad(x, amounts, constant_values=np.asarray(value, x.dtype))
    return np.pad(x, amounts, mode=mode)


def strided_slice(x: np.ndarray, begin: tuple[int, ...], step: tuple[int, ...],
                  shape: tuple[int, ...]) -> np.ndarray:
    """out[k] = x[begin + k*step] for every k inside ``shape``; steps may be negative (spec 4.5, 5.7)."""
    return x[np.ix_(*(b + np.arange(n) * s for b, s, n in zip(begin, step, shape, strict=True)))]


def resize_scales(in_hw: tuple[int, ...], out_hw: tuple[int, ...], align_corners: bool) -> tuple[F32, ...]:
    """Input pixels per output pixel (float32), in y and x."""
    return tuple(F32((i - 1) / (o - 1)) if align_corners and o > 1 else F32(i) / F32(o)
                 for i, o in zip(in_hw, out_hw, strict=True))


def nearest_index(size: int, out: int, scale: F32, align_corners: bool = False, half_pixel: bool = False) -> np.ndarray:
    """Source index of every output index for nearest-neighbour resizing."""
    v = (np.arange(out, dtype=F32) + F32(0.5 if half_pixel else 0)) * scale
    chosen = np.trunc(v + F32(0.5)) if align_corners else np.floor(v)
    return np.clip(chosen, 0, size - 1).astype(np.intp)


def resize_nearest(x: np.ndarray, out_hw: tuple[int, ...], align_corners: bool = False,
                   half_pixel: bool = False) -> np.ndarray:
    """Nearest-neighbour resize of the last two axes; any dtype (spec 3.5, 4.5, 5.7)."""
    scales = resize_scales(x.shape[-2:], out_hw, align_corners)
    rows, columns = (nearest_index(n, o, s, align_corners, half_pixel)
                     for n, o, s in zip(x.shape[-2:], out_hw, scales, strict=True))
    return x[..., rows[:, None], columns]


def _bilinear_axis(size: int, out: int, scale: F32, half_pixel: bool, ceil: bool):
    at = np.arange(out, dtype=F32)
    v = (at + F32(0.5)) * scale - F32(0.5) if half_pixel else at * scale
    low = np.maximum(np.floor(v), 0)
    high = np.minimum(np.ceil(v) if ceil else low + 1, size - 1)
    return low.astype(np.intp), np.maximum(high, 0).astype(np.intp), (v - low).astype(F32)


def resize_bilinear(x: np.ndarray, out_hw: tuple[int, ...], align_corners: bool, half_pixel: bool = False,
                    v5: bool = False) -> np.ndarray:
    """Bilinear resize of the last two axes; integers are truncated (v4) or rounded by adding 0.5 first (v5)."""
    (y0, y1, fy), (x0, x1, fx) = (
        _bilinear_axis(n, o, s, half_pixel, v5)
        for n, o, s in zip(x.shape[-2:], out_hw, resize_scales(x.shape[-2:], out_hw, align_corners), strict=True))
    y0, y1, fy = y0[:, None], y1[:, None], fy[:, None]
    one = F32(1)
    f = x.astype(F32)
    mixed = (f[..., y0, x0] * ((one - fy) * (one - fx)) + f[..., y1, x0] * (fy * (one - fx))
             + f[..., y0, x1] * ((one - fy) * fx) + f[..., y1, x1] * (fy * fx))
    return mixed if x.dtype == F32 else saturate(np.trunc(mixed + F32(0.5 if v5 else 0)), x.dtype)


def space_to_batch(x: np.ndarray, block: tuple[int, ...], pads: tuple[tuple[int, int], ...]) -> np.ndarray:
    """(N, rest..., spatial...) -> (N*prod(block), rest..., spatial/block...), after padding the spatial axes with 0."""
    first, k = x.ndim - len(block), len(block)
    x = np.pad(x, [(0, 0)] * first + list(pads))
    split = list(x.shape[:first])
    for size, b in zip(x.shape[first:], block, strict=True):
        split += [size // b, b]
    order = [first + 2 * i + 1 for i in range(k)] + list(range(first)) + [first + 2 * i for i in range(k)]
    moved = x.reshape(split).transpose(order)
    return moved.reshape(-1, *moved.shape[k + 1:])


def batch_to_space(x: np.ndarray, block: tuple[int, ...], crops: tuple[tuple[int, int], ...]) -> np.ndarray:
    """The inverse of ``space_to_batch``; ``crops`` are cut off the spatial axes at the end."""
    first, k = x.ndim - len(block), len(block)
    order = list(range(k, k + first))
    for i in range(k):
        order += [k + first + i, i]
    moved = x.reshape(*block, -1, *x.shape[1:]).transpose(order)
    sizes = [n * b for n, b in zip(x.shape[first:], block, strict=True)]
    merged = moved.reshape(*moved.shape[:first], *sizes)
    kept: list[slice] = [slice(a, n - b) for n, (a, b) in zip(sizes, crops, strict=True)]
    return merged[(slice(None),) * (merged.ndim - len(kept)) + tuple(kept)]
