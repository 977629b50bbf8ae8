# SPDX-License-Identifier: Apache-2.0
"""Convolutions and matrix products on the host (spec/kmodel-format.md 4.4, 4.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ....arithmetic import conv
from ...kernels import kernel
from ...model import InOut, Layer, TwoInOut
from ...reader import MAX_ELEMENTS
from ...record import Operator
from ...window import Clamp, Window, window_args
from ..fields import Body, Shape

_OFFSETS = ("in_offset", "filter_offset", "out_mul", "out_shift", "out_offset")


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv2d(InOut):
    """``weights`` float32 (OC, IC/groups, KH, KW), ``bias`` float32 (OC,)."""

    groups: int
    window: Window
    clamp: Clamp
    weights: np.ndarray
    bias: np.ndarray


def _conv2d_operands(b: Body, dtype: str) -> tuple[dict[str, Any], Shape]:
    """Operands and weight shape (OC, IC/groups, KH, KW)."""
    n, ic, h, w = b.args["input.shape"]
    groups, oc = b.dims("groups, out_channels", b.args["groups"], b.args["out.channels"])
    if ic % groups or oc % groups:
        b.fail("groups", f"= {groups} does not divide {ic} input and {oc} output channels")
    window = b.args["window"]
    oh, ow = b.windowed(h, w, window)
    weights = (oc, ic // groups, *window.kernel)
    b.work(n * oh * ow * prod(weights))
    return {"input": b.tensor("input", (n, ic, h, w), dtype), "out": b.out((n, oc, oh, ow), dtype),
            "groups": groups, "window": window}, weights


def _conv2d(b: Body) -> Conv2d:
    operands, shape = _conv2d_operands(b, "<f4")
    return Conv2d(**b.base, **operands, **b.given("clamp"), weights=b.constant("weights", *shape),
                  bias=b.constant("bias", shape[0]))


@kernel(Conv2d)
def conv2d(op: Conv2d, x: np.ndarray) -> np.ndarray:
    return conv.conv2d(x, op.weights, op.bias, op.groups, *window_args(op.window), op.clamp)


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantizedConv2d(InOut):
    """uint8; ``weights`` uint8 (OC, IC/groups, KH, KW), ``bias`` int32 (OC,); offsets are added."""

    groups: int
    window: Window
    in_offset: int
    filter_offset: int
    out_mul: int
    out_shift: int
    out_offset: int
    weights: np.ndarray
    bias: np.ndarray


def _quantized_conv2d(b: Body) -> QuantizedConv2d:
    operands, shape = _conv2d_operands(b, "u1")
    return QuantizedConv2d(**b.base, **operands, **b.given(*_OFFSETS), bias=b.constant("bias", shape[0]),
                           weights=b.constant("weights", *shape))


@kernel(QuantizedConv2d)
def quantized_conv2d(op: QuantizedConv2d, x: np.ndarray) -> np.ndarray:
    return conv.quantized_conv2d(x, op.weights, op.bias, op.groups, *window_args(op.window), op.in_offset,
                                 op.filter_offset, op.out_mul, op.out_shift, op.out_offset)


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv2dTranspose(InOut):
    """``weights`` float32 (groups, OC/groups, IC/groups, KH, KW); ``bias`` float32 (OC,) is stored but never added."""

    groups: int
    window: Window
    clamp: Clamp
    weights: np.ndarray
    bias: np.ndarray


def _conv2d_transpose(b: Body) -> Conv2dTranspose:
    in_shape, out_shape, window = b.args["input.shape"], b.args["out.shape"], b.args["window"]
    (groups,) = b.dims("groups", b.args["groups"])
    ic, oc = in_shape[1], out_shape[1]
    if ic % groups or oc % groups or in_shape[0] != out_shape[0]:
        b.fail("groups", f"= {groups} does not suit the shapes {in_shape} and {out_shape}")
    weights = (groups, oc // groups, ic // groups, *window.kernel)
    b.work(in_shape[0] * in_shape[2] * in_shape[3] * prod(weights))
    return Conv2dTranspose(**b.base, input=b.tensor("input", in_shape, "<f4"), out=b.out(out_shape, "<f4"),
                           groups=groups, **b.given("window", "clamp"), weights=b.constant("weights", *weights),
                           bias=b.constant("bias", oc))


@kernel(Conv2dTranspose)
def conv2d_transpose(op: Conv2dTranspose, x: np.ndarray) -> np.ndarray:
    return conv.conv2d_transpose(x, op.weights, op.out.shape, *window_args(op.window), op.clamp)


@dataclass(frozen=True, eq=False, kw_only=True)
class CpuConv2d(InOut):
    """NHWC tensors; ``weights`` float32 (OC, KH, KW, IC), ``bias`` float32 (OC,)."""

    window: Window
    clamp: Clamp
    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class CpuDepthwiseConv2d(InOut):
    """NHWC tensors; ``weights`` float32 (C, KH, KW), ``bias`` float32 (C,)."""

    window: Window
    clamp: Clamp
    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class CpuQuantizedConv2d(InOut):
    """NHWC uint8; ``weights`` uint8 (OC, KH, KW, IC), ``bias`` int32 (OC,); offsets are subtracted."""

    window: Window
    in_offset: int
    filter_offset: int
    out_mul: int
    out_shift: int
    out_offset: int
    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class CpuQuantizedDepthwiseConv2d(InOut):
    """NHWC uint8; ``weights`` uint8 (C, KH, KW), ``bias`` int32 (C,); offsets are subtracted."""

    window: Window
    in_offset: int
    filter_offset: int
    out_mul: int
    out_shift: int
    out_offset: int
    weights: np.ndarray
    bias: np.ndarray


def _cpu_conv2d(cls: Callable[..., Layer], dtype: str, *given: str) -> Callable[[Body], Layer]:
    """The four operators in NHWC; those without ``out.depth`` are depthwise."""
    def build(b: Body) -> Layer:
        n, h, w, c = b.args["input.shape"]
        depthwise = "out.depth" not in b.args
        (oc,) = (c,) if depthwise else b.dims("out_channels", b.args["out.depth"])
        window = b.args["window"]
        oh, ow = b.windowed(h, w, window)
        weights = (oc, *window.kernel) if depthwise else (oc, *window.kernel, c)
        b.work(n * oh * ow * prod(weights))
        return cls(**b.base, input=b.tensor("input", (n, h, w, c), dtype), out=b.out((n, oh, ow, oc), dtype),
                   **b.given("window", *given), weights=b.constant("weights", *weights), bias=b.constant("bias", oc))
    return build


def _nchw(x: np.ndarray) -> np.ndarray:
    return x.transpose(0, 3, 1, 2)


def _nhwc(x: np.ndarray) -> np.ndarray:
    return x.transpose(0, 2, 3, 1)


@kernel(CpuConv2d)
def cpu_conv2d(op: CpuConv2d, x: np.ndarray) -> np.ndarray:
    return _nhwc(conv.conv2d(_nchw(x), _nchw(op.weights), op.bias, 1, *window_args(op.window), op.clamp))


@kernel(CpuDepthwiseConv2d)
def cpu_depthwise_conv2d(op: CpuDepthwiseConv2d, x: np.ndarray) -> np.ndarray:
    return _nhwc(conv.conv2d(_nchw(x), op.weights[:, None], op.bias, len(op.bias), *window_args(op.window), op.clamp))


@kernel(CpuQuantizedConv2d)
def cpu_quantized_conv2d(op: CpuQuantizedConv2d, x: np.ndarray) -> np.ndarray:
    return _nhwc(conv.quantized_conv2d(_nchw(x), _nchw(op.weights), op.bias, 1, *window_args(op.window), -op.in_offset,
                                       -op.filter_offset, op.out_mul, op.out_shift, op.out_offset))


@kernel(CpuQuantizedDepthwiseConv2d)
def cpu_quantized_depthwise_conv2d(op: CpuQuantizedDepthwiseConv2d, x: np.ndarray) -> np.ndarray:
    return _nhwc(conv.quantized_conv2d(_nchw(x), op.weights[:, None], op.bias, len(op.bias), *window_args(op.window),
                                       -op.in_offset, -op.filter_offset, op.out_mul, op.out_shift, op.out_offset))


@dataclass(frozen=True, eq=False, kw_only=True)
class Matmul(TwoInOut):
    """(rows, cols) x (cols, b_cols) + ``bias`` float32 (b_cols,)."""

    clamp: Clamp
    bias: np.ndarray


def _matmul_operands(b: Body, dtype: str) -> dict[str, Any]:
    rows, cols, b_cols = sizes = b.args["a.rows"], b.args["a.cols"], b.args["b.cols"]
    for size in sizes:
        b.within("a_rows, a_cols, b_cols", size, 1, MAX_ELEMENTS)
    b.work(rows * cols * b_cols)
    return {"a": b.tensor("a", (rows, cols), dtype), "b": b.tensor("b", (cols, b_cols), dtype),
            "out": b.out((rows, b_cols), dtype)}


def _matmul(b: Body) -> Matmul:
    return Matmul(**b.base, **_matmul_operands(b, "<f4"), **b.given("clamp"),
                  bias=b.constant("bias", b.args["b.cols"]))


@kernel(Matmul)
def matmul(op: Matmul, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return conv.matmul(a, b, op.bias, op.clamp)


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantizedMatmul(TwoInOut):
    """uint8 (rows, cols) x (cols, b_cols); ``bias`` int32 (b_cols,); offsets are added."""

    a_offset: int
    b_offset: int
    out_mul: int
    out_shift: int
    out_offset: int
    bias: np.ndarray


def _quantized_matmul(b: Body) -> QuantizedMatmul:
    return QuantizedMatmul(**b.base, **_matmul_operands(b, "u1"), bias=b.constant("bias", b.args["b.cols"]),
                           **b.given("a_offset", "b_offset", "out_mul", "out_shift", "out_offset"))


@kernel(QuantizedMatmul)
def quantized_matmul(op: QuantizedMatmul, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return conv.quantized_matmul(a, b, op.bias, op.a_offset, op.b_offset, op.out_mul, op.out_shift, op.out_offset)


_IN_OUT = "input:range out:range input:shape"
_REQUANTIZE = "out_mul:i out_shift:i out_offset:i"
_QUANTIZED = f"in_offset:i filter_offset:i {_REQUANTIZE}"
_MATRICES = "a:range b:range out:range a:rows a:cols b:cols"
OPERATORS = {
    "conv2d": Operator(f"{_IN_OUT} groups:i out:channels window:window clamp:clamp weights:f4 bias:f4", _conv2d),
    "quantized_conv2d": Operator(f"{_IN_OUT} groups:i out:channels window:window {_QUANTIZED} bias:i4 weights:u1",
                                 _quantized_conv2d),
    "conv2d_transpose": Operator(f"{_IN_OUT} out:shape groups:i window:window clamp:clamp weights:f4 bias:f4",
                                 _conv2d_transpose),
    "cpu_conv2d": Operator(f"{_IN_OUT} out:depth window:window clamp:clamp weights:f4 bias:f4",
                           _cpu_conv2d(CpuConv2d, "<f4", "clamp")),
    "cpu_depthwise_conv2d": Operator(f"{_IN_OUT} window:window clamp:clamp weights:f4 bias:f4",
                                     _cpu_conv2d(CpuDepthwiseConv2d, "<f4", "clamp")),
    "cpu_quantized_conv2d": Operator(f"{_IN_OUT} out:depth window:window {_QUANTIZED} weights:u1 bias:i4",
                                     _cpu_conv2d(CpuQuantizedConv2d, "u1", *_OFFSETS)),
    "cpu_quantized_depthwise_conv2d": Operator(f"{_IN_OUT} window:window {_QUANTIZED} weights:u1 bias:i4",
                                               _cpu_conv2d(CpuQuantizedDepthwiseConv2d, "u1", *_OFFSETS)),
    "matmul": Operator(f"{_MATRICES} clamp:clamp bias:f4", _matmul),
    "quantized_matmul": Operator(f"{_MATRICES} a_offset:i b_offset:i {_REQUANTIZE} bias:i4", _quantized_matmul),
}
