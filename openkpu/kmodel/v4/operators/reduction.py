# SPDX-License-Identifier: Apache-2.0
"""Reductions, pooling, softmax (spec/kmodel-format.md 4.4, 4.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from ....arithmetic import reduce as arithmetic
from ...kernels import kernel
from ...model import InOut, Layer
from ...reader import MAX_ELEMENTS
from ...record import Operator
from ...v5.operators import normalization
from ...window import Clamp, Window
from ..fields import REDUCE_OPS, Body


@dataclass(frozen=True, eq=False, kw_only=True)
class Reduce(InOut):
    """Axes where ``out`` is 1 and ``input`` is not are folded into ``init``."""

    op: str
    init: np.float32


def _reduce(b: Body) -> Reduce:
    source, target = b.args["input.shape"], b.args["out.shape"]
    if any(o not in (1, i) for i, o in zip(source, target, strict=True)):
        b.fail("out_shape", f"= {target} is no reduction of {source}")
    return Reduce(**b.base, input=b.tensor("input", source, "<f4"), out=b.out(target, "<f4"), op=b.args["op"],
                  init=np.float32(b.args["init"]))


@kernel(Reduce)
def reduce(op: Reduce, x: np.ndarray) -> np.ndarray:
    axes = tuple(i for i, (n, m) in enumerate(zip(x.shape, op.out.shape, strict=True)) if m < n)
    return arithmetic.reduce_axes(x, op.op, axes, op.init, reciprocal=True)


@dataclass(frozen=True, eq=False, kw_only=True)
class ReduceWindow2d(InOut):
    """Pooling over the pixels inside the image."""

    op: str
    window: Window
    init: np.float32
    clamp: Clamp


@dataclass(frozen=True, eq=False, kw_only=True)
class CpuReduceWindow2d(InOut):
    """NHWC tensors; "sum" does not occur."""

    op: str
    window: Window
    init: np.float32
    clamp: Clamp


def _reduce_window2d(cls: Callable[..., Layer], nhwc: bool, kinds: tuple[str, ...]) -> Callable[[Body], Layer]:
    def build(b: Body) -> Layer:
        b.choice("reduce_op", REDUCE_OPS.index(b.args["op"]), kinds)
        shape, window = b.args["input.shape"], b.args["window"]
        h, w = shape[1:3] if nhwc else shape[2:]
        oh, ow = b.windowed(h, w, window)
        target = (shape[0], oh, ow, shape[3]) if nhwc else (*shape[:2], oh, ow)
        _window_touches_image(b, (h, w), (oh, ow), window)
        b.work(prod(target) * prod(window.kernel))
        return cls(**b.base, input=b.tensor("input", shape, "<f4"), out=b.out(target, "<f4"),
                   init=np.float32(b.args["init"]), **b.given("op", "window", "clamp"))
    return build


def _window_touches_image(b: Body, image: tuple[int, int], out: tuple[int, int], w: Window) -> None:
    """A mean divides by the pixels inside the image, so no window may miss it."""
    for size, count, pad, kernel_size, stride, dilation in zip(image, out, (w.pad_h, w.pad_w), w.kernel, w.stride,
                                                               w.dilation, strict=True):
        reach = (kernel_size - 1) * dilation
        # With gaps wider than the image a window can straddle it; then look at each of its positions.
        for index in {0, count - 1} if dilation <= size else range(count):
            first = index * stride - pad[0]
            nearest = first + -(-max(-first, 0) // dilation) * dilation
            if nearest > first + reach or nearest >= size:
                b.fail("padding", f"= {pad} puts a window outside the image")


@kernel(ReduceWindow2d)
def reduce_window2d(op: ReduceWindow2d | CpuReduceWindow2d, x: np.ndarray) -> np.ndarray:
    w = op.window
    return arithmetic.reduce_window2d(x, op.op, w.pad_h, w.pad_w, w.kernel, w.stride, w.dilation, op.init, op.clamp)


@kernel(CpuReduceWindow2d)
def cpu_reduce_window2d(op: CpuReduceWindow2d, x: np.ndarray) -> np.ndarray:
    return reduce_window2d(op, x.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(InOut):
    """(outer, inner), along inner."""

    beta: np.float32


def _softmax(b: Body) -> Softmax:
    inner, outer = b.args["input.cols"], b.args["input.rows"]
    for size in (inner, outer):
        b.within("inner_size, outer_size", size, 1, MAX_ELEMENTS)
    return Softmax(**b.base, input=b.tensor("input", (outer, inner), "<f4"), out=b.out((outer, inner), "<f4"),
                   beta=b.finite("beta", b.args["beta"]))


kernel(Softmax)(normalization.softmax)

_WINDOW = "input:range out:range op:reduce input:shape window:window init:f clamp:clamp"
OPERATORS = {
    "reduce": Operator("input:range out:range op:reduce input:shape out:shape init:f", _reduce),
    "reduce_window2d": Operator(_WINDOW, _reduce_window2d(ReduceWindow2d, False, REDUCE_OPS)),
    "cpu_reduce_window2d": Operator(_WINDOW, _reduce_window2d(CpuReduceWindow2d, True, REDUCE_OPS[:3])),
    "softmax": Operator("input:range out:range input:cols input:rows beta:f", _softmax),
}
