# SPDX-License-Identifier: Apache-2.0
"""Reductions, windows (pooling), softmax and normalisation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import libm
from .conv import clamp, pad_spatial, taps, windowed_size
from .elementwise import BINARY
from .sums import ordered_sum
from .types import Limits, Number, Pair

F32 = np.float32
_FOLD = {"mean": BINARY["add"], "sum": BINARY["add"], "min": BINARY["min"], "max": BINARY["max"]}


def reduce_axes(x: np.ndarray, op: str, axes: tuple[int, ...], init: Number | None = None,
                reciprocal: bool = False) -> np.ndarray:
    """Fold ``axes`` (kept with length 1) from ``init`` (None: 0, for min and max the type's farthest finite value).

    Sums run in row-major order, as in the vendor's kernels; min and max pass over NaNs, as C++'s do. Mean divides the
    sum by the count (v5), or multiplies it by 1/count in float32 (``reciprocal``; v4).
    """
    rest = tuple(i for i in range(x.ndim) if i not in axes)
    flat = x.transpose(*rest, *axes).reshape(*(x.shape[i] for i in rest), -1)
    count = flat.shape[-1]
    if init is None:
        limits = np.finfo(x.dtype) if x.dtype.kind == "f" else np.iinfo(x.dtype)
        init = {"min": limits.max, "max": limits.min}.get(op, 0)
    flat = np.concatenate([np.full((*flat.shape[:-1], 1), init, x.dtype), flat], axis=-1)
    fold: dict[str, Callable[..., np.ndarray]] = {"mean": ordered_sum, "sum": ordered_sum, "min": np.fmin.reduce,
                                                  "max": np.fmax.reduce}
    result = fold[op](flat, axis=-1)
    if op == "mean":
        result = (result * F32(1 / count) if reciprocal else result / x.dtype.type(count)).astype(x.dtype)
    return result.reshape([1 if i in axes else n for i, n in enumerate(x.shape)])


def arg_extreme(x: np.ndarray, op: str, axes: tuple[int, ...], select_last: bool) -> np.ndarray:
    """Index along ``axes[0]`` of the smallest ("arg_min") or largest element, ``axes`` removed.

    ``select_last`` takes the last element closer than 1e-6 to the extreme, as the vendor's kernel does.
    """
    rest = tuple(i for i in range(x.ndim) if i not in axes)
    flat = x.transpose(*rest, *axes).reshape(*(x.shape[i] for i in rest), -1)
    if op == "arg_min":
        flat = -flat
    found = flat.argmax(axis=-1)
    if select_last:
        close = np.abs(flat - flat.max(axis=-1, keepdims=True)) < F32(1e-6)
        close |= np.arange(flat.shape[-1]) == found[..., None]
        found = flat.shape[-1] - 1 - close[..., ::-1].argmax(axis=-1)
    return found // int(np.prod([x.shape[i] for i in axes[1:]], dtype=np.int64))


def top_k(x: np.ndarray, k: int, axis: int, largest: bool) -> tuple[np.ndarray, np.ndarray]:
    """The k largest (smallest) values along ``axis``, best first, and their indices; equal values in index order."""
    order = np.argsort(-x if largest else x, axis=axis, kind="stable")
    indices = np.take(order, range(k), axis=axis)
    return np.take_along_axis(x, indices, axis=axis), indices


def reduce_window2d(x: np.ndarray, op: str, pad_h: Pair, pad_w: Pair, kernel: Pair, stride: Pair, dilation: Pair,
                    init: Number, limits: Limits) -> np.ndarray:
    """Window reduction of (N, C, H, W) over the pixels inside the image only (spec 4.5)."""
    size = (windowed_size(x.shape[2], pad_h, kernel[0], stride[0], dilation[0]),
            windowed_size(x.shape[3], pad_w, kernel[1], stride[1], dilation[1]))
    inside = pad_spatial(np.ones(x.shape[2:], bool), pad_h, pad_w)
    padded = pad_spatial(x, pad_h, pad_w)
    out = np.full(x.shape[:2] + size, init, x.dtype)
    count = np.zeros(size, np.int32)
    for _, _, rows, columns in taps(size, kernel, stride, dilation):
        seen = inside[rows, columns]
        count += seen
        np.copyto(out, _FOLD[op](out, padded[:, :, rows, columns]), where=seen)
    if op == "mean":
        out = (out / count.astype(F32)).astype(x.dtype)
    return clamp(out, limits)


def pool_v3(x: np.ndarray, op: str, out_hw: tuple[int, ...], kernel: Pair, stride: Pair, pad: Pair) -> np.ndarray:
    """Pooling of (C, H, W) over the pixels inside the image; the value starts at 0 (spec 3.5)."""
    # v3 stores the output size instead of the padding behind the map; choose the latter so that both agree.
    pad_h, pad_w = ((p, (o - 1) * s + k - p - size)
                    for o, s, k, p, size in zip(out_hw, stride, kernel, pad, x.shape[1:], strict=True))
    limits = (-np.inf, np.inf) if x.dtype == F32 else (0, 255)
    return reduce_window2d(x[None], op, pad_h, pad_w, kernel, stride, (1, 1), 0, limits)[0]


def softmax(x: np.ndarray, axis: int = -1, beta: Number = 1.0) -> np.ndarray:
    """exp((x - max)*beta), normalised along ``axis`` (spec 4.5, 5.7)."""
    e = libm.expf((x - x.max(axis=axis, keepdims=True)) * F32(beta))
    return e / np.expand_dims(ordered_sum(e, axis), axis)


def softmax_v3(x: np.ndarray) -> np.ndarray:
    """v3 softmax of a vector: the running maximum starts at FLT_MIN, so negative inputs are not shifted (spec 3.5)."""
    e = libm.expf(x - max(x.max(), np.finfo(F32).tiny))
    return e / ordered_sum(e)


def l2_normalize(x: np.ndarray) -> np.ndarray:
    """x / sqrt(max(sum of squares, 1e-10)) (spec 3.5)."""
    total = np.maximum(ordered_sum(np.square(x)), F32(1e-10))
    return x * (F32(1) / np.sqrt(total))


def layer_normalize(x: np.ndarray, scale: np.ndarray, bias: np.ndarray, axis: int, epsilon: Number) -> np.ndarray:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias over the dimensions from ``axis`` on (spec 5.7).

    Every element is divided by the count before it is summed.
    """
    flat = x.reshape(*x.shape[:axis], -1)
    count = F32(flat.shape[-1])
    centred = flat - ordered_sum(flat / count)[..., None]
    spread = np.sqrt(ordered_sum(centred * centred / count) + epsilon)[..., None]
    return (centred / spread * scale.ravel() + bias.ravel()).reshape(x.shape)
