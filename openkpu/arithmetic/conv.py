# SPDX-License-Identifier: Apache-2.0
"""Host convolutions: float and quantized, forward and transposed."""

from __future__ import annotations

import numpy as np

from .rounding import saturate, shift_round
from .sums import ordered_matmul
from .types import Limits, Pair


def windowed_size(size: int, pad: Pair, kernel: int, stride: int, dilation: int) -> int:
    """Output pixels along one axis of any windowed operator (spec 4.4)."""
    return (size + pad[0] + pad[1] - ((kernel - 1) * dilation + 1) + stride) // stride


def clamp(x: np.ndarray, limits: Limits) -> np.ndarray:
    """Fused activation: values clamped to (low, high)."""
    low, high = np.asarray(limits, x.dtype)
    if low == -np.inf and high == np.inf:
        return x
    return np.clip(x, low, high)


def taps(size: Pair, kernel: Pair, stride: Pair, dilation: Pair):
    """Yield (ky, kx, rows, columns): for every kernel tap the slices of the padded map that ``size`` outputs see."""
    for ky in range(kernel[0]):
        for kx in range(kernel[1]):
            y, x = ky * dilation[0], kx * dilation[1]
            yield (ky, kx, slice(y, y + (size[0] - 1) * stride[0] + 1, stride[0]),
                   slice(x, x + (size[1] - 1) * stride[1] + 1, stride[1]))


def pad_spatial(x: np.ndarray, pad_h: Pair, pad_w: Pair, value: float = 0) -> np.ndarray:
    """Constant padding of the last two axes; negative amounts crop."""
    x = x[..., max(-pad_h[0], 0): x.shape[-2] - max(-pad_h[1], 0), max(-pad_w[0], 0): x.shape[-1] - max(-pad_w[1], 0)]
    amounts = [(0, 0)] * (x.ndim - 2) + [(max(a, 0), max(b, 0)) for a, b in (pad_h, pad_w)]
    return np.pad(x, amounts, constant_values=value) if any(map(any, amounts)) else x


def correlate(x: np.ndarray, w: np.ndarray, groups: int, pad_h: Pair, pad_w: Pair,
              stride: Pair, dilation: Pair) -> np.ndarray:
    """Zero-padded grouped correlation in the dtype of ``x``.

    x: (N, C, H, W); w: (OC, C/groups, KH, KW); result (N, OC, OH, OW).
    One matrix product per tap keeps the peak memory at one shifted copy of the map.
    """
    n, c, h, width = x.shape
    oc, icg, kh, kw = w.shape
    oh = windowed_size(h, pad_h, kh, stride[0], dilation[0])
    ow = windowed_size(width, pad_w, kw, stride[1], dilation[1])
    x = pad_spatial(x, pad_h, pad_w)
    depthwise = icg == 1 and oc == groups
    out = np.zeros((n, oc, oh, ow) if depthwise else (n, groups, oc // groups, oh * ow), x.dtype)
    for ky, kx, rows, columns in taps((oh, ow), (kh, kw), stride, dilation):
        patch = x[:, :, rows, columns]
        if depthwise:
            out += patch * w[:, 0, ky, kx, None, None]
        else:
            out += w[:, :, ky, kx].reshape(groups, oc // groups, icg) @ patch.reshape(n, groups, icg, oh * ow)
    return out.reshape(n, oc, oh, ow)


def conv2d(x: np.ndarray, w: np.ndarray, bias: np.ndarray, groups: int, pad_h: Pair, pad_w: Pair,
           stride: Pair, dilation: Pair, limits: Limits) -> np.ndarray:
    """float32 convolution, NCHW, bias (OC), fused clamp (spec 4.5, 5.7).

    Every sum runs from the bias over input channels, then kernel rows, then columns, as in the vendor's kernels: where
    the result is quantized again, another order would flip single steps.
    """
    n, c, h, width = x.shape
    oc, icg, kh, kw = w.shape
    size = (windowed_size(h, pad_h, kh, stride[0], dilation[0]),
            windowed_size(width, pad_w, kw, stride[1], dilation[1]))
    x = pad_spatial(x, pad_h, pad_w)
    maps = x.reshape(n, groups, icg, *x.shape[2:])
    factors = w.reshape(groups, oc // groups, icg, kh, kw)
    out = np.empty((n, groups, oc // groups, *size), np.float32)
    out[...] = bias.reshape(groups, oc // groups, 1, 1)
    product = np.empty_like(out)
    for k in range(icg):
        for ky, kx, rows, columns in taps(size, (kh, kw), stride, dilation):
            np.multiply(maps[:, :, None, k, rows, columns], factors[:, :, k, ky, kx, None, None], out=product)
            out += product
    return clamp(out.reshape(n, oc, *size), limits)


def exact_product_type(a_offset: int, b_offset: int, terms: int) -> type:
    """float64 (runs on BLAS) when every sum of ``terms`` products of offset bytes is exact in it, else int64."""
    return np.float64 if (abs(a_offset) + 255) * (abs(b_offset) + 255) * terms < 1 << 52 else np.int64


def rescale(acc: np.ndarray, out_mul: int, out_shift: int, out_offset: int) -> np.ndarray:
    """Accumulator -> uint8 (spec 4.5)."""
    return saturate(shift_round(acc, out_mul, out_shift) + out_offset)


def quantized_conv2d(x: np.ndarray, w: np.ndarray, bias: np.ndarray, groups: int, pad_h: Pair, pad_w: Pair,
                     stride: Pair, dilation: Pair, in_offset: int, filter_offset: int,
                     out_mul: int, out_shift: int, out_offset: int) -> np.ndarray:
    """uint8 convolution with 32-bit sums of (x + in_offset)*(w + filter_offset); pixels outside are skipped."""
    kind = exact_product_type(in_offset, filter_offset, w[0].size)
    acc = correlate(x.astype(kind) + kind(in_offset), w.astype(kind) + kind(filter_offset), groups,
                    pad_h, pad_w, stride, dilation)
    return rescale(acc.astype(np.int64) + bias[:, None, None], out_mul, out_shift, out_offset)


def conv2d_transpose(x: np.ndarray, w: np.ndarray, out_shape: tuple[int, ...], pad_h: Pair, pad_w: Pair,
                     stride: Pair, dilation: Pair, limits: Limits) -> np.ndarray:
    """float32 transposed convolution without bias, which the vendor's code never adds (spec 4.5).

    x: (N, C, H, W); w: (groups, OC/groups, C/groups, KH, KW); result ``out_shape`` (N, OC, OH, OW).
    """
    n, c, h, width = x.shape
    groups, ocg, icg, kh, kw = w.shape
    full = np.zeros((n, groups * ocg, max((h - 1) * stride[0] + (kh - 1) * dilation[0] + 1, out_shape[2] + pad_h[0]),
                     max((width - 1) * stride[1] + (kw - 1) * dilation[1] + 1, out_shape[3] + pad_w[0])), np.float32)
    flat = x.reshape(n, groups, icg, h * width)
    for ky, kx, rows, columns in taps((h, width), (kh, kw), stride, dilation):
        full[:, :, rows, columns] += (w[..., ky, kx] @ flat).reshape(n, groups * ocg, h, width)
    out = full[:, :, pad_h[0]: pad_h[0] + out_shape[2], pad_w[0]: pad_w[0] + out_shape[3]]
    return clamp(out, limits)


def matmul(a: np.ndarray, b: np.ndarray, bias: np.ndarray, limits: Limits) -> np.ndarray:
    """float32 a @ b + bias, summed from the bias on, fused clamp (spec 4.5, 5.7)."""
    return clamp(ordered_matmul(a, b, bias), limits)


def quantized_matmul(a: np.ndarray, b: np.ndarray, bias: np.ndarray, a_offset: int, b_offset: int,
                     out_mul: int, out_shift: int, out_offset: int) -> np.ndarray:
    """uint8 matrix product with 32-bit sums of (a + a_offset)*(b + b_offset) (spec 4.5)."""
    kind = exact_product_type(a_offset, b_offset, a.shape[1])
    acc = (a.astype(kind) + kind(a_offset)) @ (b.astype(kind) + kind(b_offset))
    return rescale(acc.astype(np.int64) + bias, out_mul, out_shift, out_offset)
