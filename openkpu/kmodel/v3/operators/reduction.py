# SPDX-License-Identifier: Apache-2.0
"""Pooling, softmax, normalization, fully connected layers (spec/kmodel-format.md 3.4, 3.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ....arithmetic import conv, reduce
from ....arithmetic.sums import ordered_sum
from ...kernels import kernel
from ...model import InOut
from ...reader import MAX_ELEMENTS
from ...record import Operator
from ..fields import Body

MAX_KERNEL = 1024


@dataclass(frozen=True, eq=False, kw_only=True)
class GlobalAveragePool2d(InOut):
    """(channels, kernel_size) -> (channels,)."""


def _global_average_pool(b: Body) -> GlobalAveragePool2d:
    channels = b.args["input.d0"]
    return GlobalAveragePool2d(**b.base, input=b.tensor("input", "<f4", (channels, b.args["input.d1"])),
                               out=b.out("<f4", (channels,)))


@kernel(GlobalAveragePool2d)
def global_average_pool(op: GlobalAveragePool2d, x: np.ndarray) -> np.ndarray:
    return ordered_sum(x, axis=1) / np.float32(x.shape[1])


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantizedMaxPool2d(InOut):
    """uint8 (C, H, W) -> (C, OH, OW)."""

    kernel_w: int
    kernel_h: int
    stride_w: int
    stride_h: int
    pad_w: int
    pad_h: int


@dataclass(frozen=True, eq=False, kw_only=True)
class AveragePool2d(InOut):
    """(C, H, W) -> (C, OH, OW); every window holds at least one pixel. ``act`` is stored but not applied."""

    kernel_w: int
    kernel_h: int
    stride_w: int
    stride_h: int
    pad_w: int
    pad_h: int
    act: int


_WINDOW = ("kernel_w", "kernel_h", "stride_w", "stride_h", "pad_w", "pad_h")


def _pool(b: Body, dtype: str) -> dict[str, Any]:
    iw, ih, ic = (b.args[f"input.d{i}"] for i in (2, 1, 0))
    ow, oh, oc = (b.args[f"out.d{i}"] for i in (2, 1, 0))
    kw, kh, sw, sh, pw, ph = (b.args[name] for name in _WINDOW)
    b.dims("in_w, in_h, in_c, out_w, out_h", iw, ih, ic, ow, oh)
    if oc != ic:
        b.fail("out_c", f"= {oc} differs from in_c = {ic}")
    for field in _WINDOW[:4]:
        b.within(field, b.args[field], 1, MAX_KERNEL)
    # Otherwise a window lies wholly outside the image, and its mean would be 0/0.
    if pw >= kw or ph >= kh or (ow - 1) * sw - pw >= iw or (oh - 1) * sh - ph >= ih:
        b.fail("pad, stride, out size", f"= pad {pw},{ph}, stride {sw},{sh}, {ow}x{oh} puts a window outside "
                                        f"the {iw}x{ih} image")
    work = oc * oh * ow * kh * kw
    if work > MAX_ELEMENTS:
        b.fail("kernel, out size", f"= {kw}x{kh}, {ow}x{oh}x{oc} needs {work} steps")
    b.context.spend(work=work)
    return {**b.base, **b.given(*_WINDOW), "input": b.tensor("input", dtype, (ic, ih, iw)),
            "out": b.out(dtype, (oc, oh, ow))}


def _quantized_max_pool(b: Body) -> QuantizedMaxPool2d:
    return QuantizedMaxPool2d(**_pool(b, "u1"))


def _average_pool(b: Body) -> AveragePool2d:
    return AveragePool2d(**_pool(b, "<f4"), act=b.args["act"])


def _pooled(op: QuantizedMaxPool2d | AveragePool2d, x: np.ndarray, kind: str) -> np.ndarray:
    return reduce.pool_v3(x, kind, op.out.shape[1:], (op.kernel_h, op.kernel_w), (op.stride_h, op.stride_w),
                          (op.pad_h, op.pad_w))


@kernel(QuantizedMaxPool2d)
def max_pool(op: QuantizedMaxPool2d, x: np.ndarray) -> np.ndarray:
    return _pooled(op, x, "max")


@kernel(AveragePool2d)
def average_pool(op: AveragePool2d, x: np.ndarray) -> np.ndarray:
    return _pooled(op, x, "mean")


@dataclass(frozen=True, eq=False, kw_only=True)
class L2Normalization(InOut):
    """(channels,)."""


def _vector(b: Body) -> dict[str, Any]:
    shape = (b.args["input.count"],)
    return {**b.base, "input": b.tensor("input", "<f4", shape), "out": b.out("<f4", shape)}


@kernel(L2Normalization)
def l2_normalization(op: L2Normalization, x: np.ndarray) -> np.ndarray:
    return reduce.l2_normalize(x)


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(InOut):
    """(channels,)."""


@kernel(Softmax)
def softmax(op: Softmax, x: np.ndarray) -> np.ndarray:
    return reduce.softmax_v3(x)


@dataclass(frozen=True, eq=False, kw_only=True)
class FullyConnected(InOut):
    """(in,) -> (out,); ``weights`` float32 (out, in), ``bias`` float32 (out,); ``act`` 0 linear, 1 ReLU, 2 ReLU6."""

    act: int
    weights: np.ndarray
    bias: np.ndarray


def _fully_connected(b: Body) -> FullyConnected:
    ic, oc = b.args["input.count"], b.args["out.count"]
    return FullyConnected(**b.base, act=b.within("act", b.args["act"], 0, 2), input=b.tensor("input", "<f4", (ic,)),
                          out=b.out("<f4", (oc,)), weights=b.constant("weights", oc, ic), bias=b.constant("bias", oc))


@kernel(FullyConnected)
def fully_connected(op: FullyConnected, x: np.ndarray) -> np.ndarray:
    limits = ((-np.inf, np.inf), (0, np.inf), (0, 6))[op.act]
    return conv.clamp(ordered_sum(op.weights * x, axis=1) + op.bias, limits)


_IN_OUT = "input:address out:address"
_POOL = (f"{_IN_OUT} input:d2 input:d1 input:d0 out:d2 out:d1 out:d0 kernel_w:I kernel_h:I stride_w:I stride_h:I "
         "pad_w:I pad_h:I")
OPERATORS = {
    "KL_GLOBAL_AVERAGE_POOL2D": Operator(f"{_IN_OUT} input:d1 input:d0", _global_average_pool),
    "KL_QUANTIZED_MAX_POOL2D": Operator(_POOL, _quantized_max_pool),
    "KL_AVERAGE_POOL2D": Operator(f"{_POOL} act:I", _average_pool),
    "KL_L2_NORMALIZATION": Operator(f"{_IN_OUT} input:count", lambda b: L2Normalization(**_vector(b))),
    "KL_SOFTMAX": Operator(f"{_IN_OUT} input:count", lambda b: Softmax(**_vector(b))),
    "KL_FULLY_CONNECTED": Operator(f"{_IN_OUT} input:count out:count act:I weights:f4 bias:f4", _fully_connected),
}
