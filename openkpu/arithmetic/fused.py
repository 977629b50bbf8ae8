# SPDX-License-Identifier: Apache-2.0
"""Fused multiply-adds: the arithmetic of nncase before 1.3, whose builds let the compiler contract a*b + c."""

from __future__ import annotations

import numpy as np

from . import conv
from .types import Limits, Pair

F32, F64 = np.float32, np.float64


def multiply_add(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """float32 a*b + c, rounded once.

    The product of two float32 is exact in float64. The sum is rounded to odd there, so that the second rounding gives
    what a single one would.
    """
    product, addend = np.multiply(a, b, dtype=F64), np.asarray(c, F64)
    total = product + addend
    part = total - product
    lost = (product - (total - part)) + (addend - part)
    even = total.view(np.int64) & 1 == 0
    total = np.where(even & (lost != 0) & np.isfinite(total), np.nextafter(total, np.copysign(np.inf, lost)), total)
    return total.astype(F32)


def conv2d(x: np.ndarray, w: np.ndarray, bias: np.ndarray, groups: int, pad_h: Pair, pad_w: Pair,
           stride: Pair, dilation: Pair, limits: Limits) -> np.ndarray:
    """``conv.conv2d`` as nncase before 1.3 has it.

    Its fast kernels (square and odd up to 7x7, strides 1 and 2, one group) fuse, and add the bias last. The others are
    the same as later. Depthwise sums of its fast kernels run in an order that is not known: they may differ by an ulp.
    """
    oc, icg, kh, kw = w.shape
    if kh != kw or kh not in (1, 3, 5, 7) or stride not in ((1, 1), (2, 2)) or dilation != (1, 1) or groups != 1:
        return conv.conv2d(x, w, bias, groups, pad_h, pad_w, stride, dilation, limits)
    size = (conv.windowed_size(x.shape[2], pad_h, kh, stride[0], dilation[0]),
            conv.windowed_size(x.shape[3], pad_w, kw, stride[1], dilation[1]))
    maps = conv.pad_spatial(x, pad_h, pad_w)
    out = np.zeros((len(x), oc, *size), F32)
    for k in range(icg):
        for ky, kx, rows, columns in conv.taps(size, (kh, kw), stride, dilation):
            out = multiply_add(maps[:, None, k, rows, columns], w[:, k, ky, kx, None, None], out)
    return conv.clamp(out + bias[:, None, None], limits)
