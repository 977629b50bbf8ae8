# SPDX-License-Identifier: Apache-2.0
"""The mapped network in floats: for calibration, and the proof that the mapping changed nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from .. import floats
from ..functions import BINARY, UNARY
from .network import HostOp, KpuLayer, Network, Size

Values = dict[str, np.ndarray]
LOWEST = -1e30


def run(net: Network, inputs: Iterable[np.ndarray],
        after: Callable[[KpuLayer | HostOp, Values, np.ndarray | None], None] | None = None) -> Values:
    """The outputs' values for one picture; ``after`` sees every step's result, and a KPU layer's sums."""
    values: Values = dict(zip(net.inputs, inputs, strict=True)) | dict(net.constants)
    last = {name: i for i, step in enumerate(net.steps)
            for name in ([p.map for p in step.inputs] if isinstance(step, KpuLayer) else step.inputs)}
    for i, step in enumerate(net.steps):
        before = None
        if isinstance(step, KpuLayer):
            before = sums(step, gather(step, values))
            values[step.output] = finish(step, before)
        else:
            values[step.output] = host(step, values, net.shapes[step.output])
        if after:
            after(step, values, before)
        for name in [n for n in values if last.get(n) == i and n not in net.outputs]:
            del values[name]
    return values


def gather(step: KpuLayer, values: Values) -> np.ndarray:
    """The channels that a layer reads, (N, C, H, W)."""
    parts = [values[p.map][:, p.begin: p.begin + p.count] for p in step.inputs]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def sums(step: KpuLayer, x: np.ndarray) -> np.ndarray:
    """What the function is applied to."""
    w = step.weights.astype(x.dtype)
    pad = step.kernel // 2
    pads = (pad * step.rows, pad) * 2
    if step.low_outside and pad:
        x = np.pad(x, ((0, 0), (0, 0), (pads[0],) * 2, (pads[1],) * 2), constant_values=LOWEST)
        pads = (0, 0, 0, 0)
    groups = x.shape[1] if step.depthwise else 1
    return floats.conv(x, w, step.bias, dilation=(step.rows, 1), pads=pads, groups=groups)


def activate(step: KpuLayer, y: np.ndarray) -> np.ndarray:
    if step.slopes is not None:
        left, right = (s.astype(y.dtype)[:, None, None] for s in step.slopes)
        return np.where(y < 0, y * left, y * right)
    return step.function(y).astype(y.dtype) if step.function.steps else y


def layer(step: KpuLayer, x: np.ndarray) -> np.ndarray:
    return finish(step, sums(step, x))


def finish(step: KpuLayer, y: np.ndarray) -> np.ndarray:
    """Function and pool."""
    return floats.kpu_pool(activate(step, y), step.pool)


def host(step: HostOp, values: Values, shape: tuple[int, ...]) -> np.ndarray:
    """One host operator for one picture."""
    x = [values[name] for name in step.inputs]
    a = step.attrs
    if step.op == "reshape":
        return x[0].reshape(shape)
    if step.op == "transpose":
        return x[0].transpose(a["perm"])
    if step.op == "concat":
        return np.concatenate(x, axis=a["axis"])
    if step.op == "slice":
        return x[0][tuple(slice(b, e, s) for b, e, s in zip(a["begin"], a["end"], a["step"], strict=True))]
    if step.op == "pad":
        inside = tuple(slice(max(0, -b), n + min(0, e)) for (b, e), n in zip(a["pads"], x[0].shape, strict=True))
        return np.pad(x[0][inside], [(max(0, b), max(0, e)) for b, e in a["pads"]], constant_values=a["value"])
    if step.op == "unary":
        return UNARY[a["kind"]](x[0])
    if step.op == "binary":
        return BINARY[a["kind"]](x[0], x[1])
    if step.op == "softmax":
        e = np.exp(x[0] - x[0].max(axis=a["axis"], keepdims=True))
        return e / e.sum(axis=a["axis"], keepdims=True)
    if step.op == "reduce":
        folds: dict[str, Callable[..., np.ndarray]] = {"mean": np.mean, "max": np.max, "min": np.min, "sum": np.sum}
        return folds[a["kind"]](x[0], axis=tuple(a["axes"])).reshape(shape)
    if step.op == "matmul":
        return x[0] @ x[1] + (x[2] if len(x) > 2 else 0)
    if step.op == "pool":
        (t, b), (le, r) = a["pads"]
        return floats.pool(x[0], a["kind"], a["kernel"], a["stride"], (t, le, b, r))[:, :, : shape[2], : shape[3]]
    if step.op == "resize":
        return _resize(x[0], shape[2:], a)
    if step.op == "conv2d":
        (t, b), (le, r) = a["pads"]
        return floats.conv(x[0], x[1], x[2], a["stride"], a["dilation"], (t, le, b, r), a["groups"])
    return _transposed(x, a, shape)


def _resize(x: np.ndarray, size: Size, a: dict) -> np.ndarray:
    if a["mode"] == "nearest":
        ys, xs = (np.arange(o) * n // o for o, n in zip(size, x.shape[2:], strict=True))
        return x[:, :, ys][:, :, :, xs]
    for axis, out in zip((2, 3), size, strict=True):
        n = x.shape[axis]
        at = np.arange(out, dtype=np.float64)
        at = at * (n - 1) / max(out - 1, 1) if a["align_corners"] else \
            (at + 0.5) * n / out - 0.5 if a["half_pixel"] else at * n / out
        low = np.clip(np.floor(at), 0, n - 1).astype(int)
        high = np.minimum(low + 1, n - 1)
        part = np.clip(at - low, 0, 1).astype(x.dtype).reshape([-1 if i == axis else 1 for i in range(4)])
        x = np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part
    return x


def _transposed(x: list[np.ndarray], a: dict, shape: tuple[int, ...]) -> np.ndarray:
    image, w, b = x
    (top, _), (left, _) = a["pads"]
    groups, (i, per, kh, kw) = a["groups"], w.shape
    (sy, sx), (dy, dx) = a["stride"], a["dilation"]
    n, _, h, wd = image.shape
    whole = np.zeros((n, per * groups, (h - 1) * sy + dy * (kh - 1) + 1, (wd - 1) * sx + dx * (kw - 1) + 1),
                     image.dtype)
    for g in range(groups):
        ins, outs = slice(g * i // groups, (g + 1) * i // groups), slice(g * per, (g + 1) * per)
        for ky in range(kh):
            for kx in range(kw):
                part = np.einsum("nchw,co->nohw", image[:, ins], w[ins, :, ky, kx])
                rows = slice(ky * dy, ky * dy + (h - 1) * sy + 1, sy)
                whole[:, outs, rows, kx * dx: kx * dx + (wd - 1) * sx + 1: sx] += part
    padded = np.zeros((n, per * groups, max(shape[2] + top, whole.shape[2]), max(shape[3] + left, whole.shape[3])),
                      image.dtype)
    padded[:, :, : whole.shape[2], : whole.shape[3]] = whole
    return padded[:, :, top: top + shape[2], left: left + shape[3]] + b[:, None, None]
