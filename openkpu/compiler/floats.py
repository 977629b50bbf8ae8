# SPDX-License-Identifier: Apache-2.0
"""Float arithmetic of the operators, for maps (N, C, H, W): what a rewrite has to equal, and what calibration runs."""

from __future__ import annotations

import numpy as np

Pads = tuple[int, int, int, int]
"""top, left, bottom, right."""


def columns(x: np.ndarray, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int],
            pads: Pads, value: float = 0) -> np.ndarray:
    """Windows as a view (N, C, kh, kw, OH, OW)."""
    if any(pads):
        x = np.pad(x, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])), constant_values=value)
    n, c, h, w = x.shape
    oh = (h - dilation[0] * (kernel[0] - 1) - 1) // stride[0] + 1
    ow = (w - dilation[1] * (kernel[1] - 1) - 1) // stride[1] + 1
    s = x.strides
    return np.lib.stride_tricks.as_strided(
        x, (n, c, *kernel, oh, ow),
        (s[0], s[1], s[2] * dilation[0], s[3] * dilation[1], s[2] * stride[0], s[3] * stride[1]), writeable=False)


def conv(x: np.ndarray, w: np.ndarray, b: np.ndarray | None = None, stride: tuple[int, int] = (1, 1),
         dilation: tuple[int, int] = (1, 1), pads: Pads = (0, 0, 0, 0), groups: int = 1) -> np.ndarray:
    """Convolution in the operands' own precision."""
    kernel = w.shape[2], w.shape[3]
    n, o = len(x), len(w)
    if kernel == (1, 1) and stride == (1, 1) and groups == 1 and not any(pads):
        y = (w[:, :, 0, 0] @ x.reshape(n, x.shape[1], -1)).reshape(n, o, *x.shape[2:])
    elif groups == x.shape[1] == o:
        windows = columns(x, kernel, stride, dilation, pads)
        y = np.zeros((n, o, *windows.shape[4:]), np.result_type(x, w))
        for ky in range(kernel[0]):
            for kx in range(kernel[1]):
                y += windows[:, :, ky, kx] * w[None, :, 0, ky, kx, None, None]
    else:
        windows = columns(x, kernel, stride, dilation, pads)
        size = windows.shape[4:]
        per_in, per_out = x.shape[1] // groups, o // groups
        y = np.empty((n, o, *size), np.result_type(x, w))
        for i in range(n):
            for g in range(groups):
                part = windows[i, g * per_in: (g + 1) * per_in].reshape(-1, size[0] * size[1])
                outs = slice(g * per_out, (g + 1) * per_out)
                y[i, outs] = (w[outs].reshape(per_out, -1) @ part).reshape(per_out, *size)
    return y if b is None else y + b.astype(y.dtype)[:, None, None]


def pool(x: np.ndarray, kind: str, kernel: tuple[int, int], stride: tuple[int, int], pads: Pads,
         count_pad: bool = False, size: tuple[int, int] | None = None) -> np.ndarray:
    """Max or mean pool; ``size`` is the output's (windows that begin inside, as with ceil_mode)."""
    if size is not None:
        need = [(size[i] - 1) * stride[i] + kernel[i] - x.shape[2 + i] - pads[i] for i in (0, 1)]
        extra = [max(0, need[i] - pads[2 + i]) for i in (0, 1)]
    else:
        extra = [0, 0]
    full = pads[0], pads[1], pads[2] + extra[0], pads[3] + extra[1]
    if kind == "max":
        if x.dtype.kind != "f":
            return pool(x.astype(np.float32), kind, kernel, stride, pads, count_pad, size).astype(x.dtype)
        return columns(x, kernel, stride, (1, 1), full, -np.inf).max(axis=(2, 3))
    total = columns(x, kernel, stride, (1, 1), full).sum(axis=(2, 3))
    inside = np.ones((1, 1, *x.shape[2:]), x.dtype)
    if count_pad:
        inside = np.pad(inside, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])), constant_values=1)
        full = 0, 0, *extra
    return total / columns(inside, kernel, stride, (1, 1), full).sum(axis=(2, 3))


def kpu_pool(a: np.ndarray, pool_type: int) -> np.ndarray:
    """The KPU's pools 0..9 in floats (spec/kpu-hardware.md section 8), means not truncated."""
    n, c, h, w = a.shape
    if pool_type == 0:
        return a
    if pool_type in (8, 9):
        edge = np.pad(a, ((0, 0), (0, 0), (0, 1), (0, 1)), mode="edge")
        return pool(edge, "max" if pool_type == 9 else "mean", (2, 2), (1, 1), (0, 0, 0, 0))
    step = 4 if pool_type in (3, 4, 7) else 2
    a = a[:, :, : h // step * step, : w // step * step]
    if pool_type in (5, 6, 7):
        return a[:, :, ::step, pool_type == 6::step]
    return pool(a, "max" if pool_type in (1, 3) else "mean", (step, step), (step, step), (0, 0, 0, 0))
