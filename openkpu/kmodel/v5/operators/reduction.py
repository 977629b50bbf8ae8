# SPDX-License-Identifier: Apache-2.0
"""Reductions, pooling, ranking and running sums (spec/kmodel-format.md 5.7)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from ....arithmetic import reduce
from ...kernels import kernel
from ...model import InOut, Layer, Tensor
from ...window import Clamp, Window
from ..frame import FLOAT, Frame, Function, Shape

REDUCE_OPS = ("mean", "min", "max", "sum")
REDUCE_ARG_OPS = ("arg_min", "arg_max")


@dataclass(frozen=True, eq=False, kw_only=True)
class Reduce(InOut):
    """float32 or int32; ``axes`` are non-negative and sorted; ``out`` has them as 1 or not at all (``keep_dims``)."""

    op: str
    axes: tuple[int, ...]
    keep_dims: bool
    init: np.number


def _reduced(f: Frame, shape: Shape) -> tuple[Shape, Shape]:
    """The reduced dimensions and the result's shape."""
    axes = f.axes(len(shape))
    if f.args["keep_dims"]:
        return axes, tuple(1 if i in axes else n for i, n in enumerate(shape))
    return axes, tuple(n for i, n in enumerate(shape) if i not in axes)


def _reduce(f: Frame) -> Layer:
    a = f.args
    dtype = f.only("datatype", a["dt"], "<f4", "<i4")
    axes, target = _reduced(f, a["s"])
    return Reduce(**f.base(), input=f.tensor("in", dtype, a["s"], a["t_in"]), out=f.out(target), op=a["op"],
                  axes=axes, keep_dims=a["keep_dims"], init=f.number("init", dtype))


@kernel(Reduce)
def reduce_(op: Reduce, x: np.ndarray) -> np.ndarray:
    init = op.init if op.op in ("mean", "sum") else None
    return reduce.reduce_axes(x, op.op, op.axes, init).reshape(op.out.shape)


@dataclass(frozen=True, eq=False, kw_only=True)
class ReduceArg(InOut):
    """Index of the smallest or largest element; ``out`` int32 or int64."""

    op: str
    axes: tuple[int, ...]
    keep_dims: bool
    select_last: bool


def _reduce_arg(f: Frame) -> Layer:
    a = f.args
    f.only("datatype", a["dt"], FLOAT)
    f.only("output datatype", a["dt_out"], "<i4", "<i8")
    axes, target = _reduced(f, a["s"])
    return ReduceArg(**f.base(), input=f.tensor("in", a["dt"], a["s"], a["t_in"]), out=f.out(target, a["dt_out"]),
                     op=a["op"], axes=axes, keep_dims=a["keep_dims"], select_last=a["select_last"])


@kernel(ReduceArg)
def reduce_arg(op: ReduceArg, x: np.ndarray) -> np.ndarray:
    return reduce.arg_extreme(x, op.op, op.axes, op.select_last).reshape(op.out.shape)


@dataclass(frozen=True, eq=False, kw_only=True)
class ReduceProd(InOut):
    axes: tuple[int, ...]
    keep_dims: bool


def _reduce_prod(f: Frame) -> Layer:
    a = f.args
    dtype = a.get("dt", FLOAT)
    axes, target = _reduced(f, a["s"])
    return ReduceProd(**f.base(), input=f.tensor("in", dtype, a["s"], a["t_in"]), out=f.out(target, dtype),
                      axes=axes, keep_dims=a["keep_dims"])


@kernel(ReduceProd)
def reduce_prod(op: ReduceProd, x: np.ndarray) -> np.ndarray:
    return x.prod(axis=op.axes, dtype=x.dtype).reshape(op.out.shape)


@dataclass(frozen=True, eq=False, kw_only=True)
class ReduceWindow2d(InOut):
    """float32 (N, C, H, W): pooling over the pixels inside the image."""

    op: str
    window: Window
    init: np.float32
    clamp: Clamp


def _reduce_window2d(f: Frame) -> Layer:
    a = f.args
    f.only("datatype", a["dt"], FLOAT)
    n, c, h, w = f.rank("input shape", a["s"], 4)
    window, (oh, ow) = f.window((a["kh"], a["kw"]), (h, w))
    for size, count, pad, reach, stride, dilation in zip((h, w), (oh, ow), (window.pad_h, window.pad_w), window.kernel,
                                                         window.stride, window.dilation, strict=True):
        # A mean divides by the pixels inside the image, so no window may miss it.
        if dilation > size or pad[0] > (reach - 1) * dilation or (count - 1) * stride - pad[0] >= size:
            f.fail("padding", f"= {pad} puts a window outside the image")
    f.work(n * c * oh * ow * prod(window.kernel))
    return ReduceWindow2d(**f.base(), input=f.tensor("in", FLOAT, a["s"], a["t_in"]), out=f.out((n, c, oh, ow)),
                          op=a["op"], window=window, init=np.float32(f.args["init"]), clamp=f.clamp())


@kernel(ReduceWindow2d)
def reduce_window2d(op: ReduceWindow2d, x: np.ndarray) -> np.ndarray:
    w = op.window
    return reduce.reduce_window2d(x, op.op, w.pad_h, w.pad_w, w.kernel, w.stride, w.dilation, op.init, op.clamp)


@dataclass(frozen=True, eq=False, kw_only=True)
class Topk(Layer):
    """The ``k`` largest (or smallest) along ``axis``; ``indices`` int64."""

    input: Tensor
    values: Tensor
    indices: Tensor
    k: int
    axis: int
    largest: bool
    sorted: bool

    WRITES = ("values", "indices")


def _topk(f: Frame) -> Layer:
    a = f.args
    axis = f.axis(a["axis"], len(a["s"]))
    k = f.reader.within("k", a["k"], 1, a["s"][axis])
    shape = (*a["s"][:axis], k, *a["s"][axis + 1:])
    if a["s_v"] != shape or a["s_i"] != shape:
        f.fail("output shapes", f"= {a['s_v']}, {a['s_i']} are not {shape}")
    return Topk(**f.base(), input=f.tensor("in", a["dt"], a["s"], a["t_in"]), k=k, axis=axis, largest=a["largest"],
                sorted=a["sorted"], values=f.out(shape, strides="t_v", field="values"),
                indices=f.out(shape, "<i8", "t_i", "indices"))


@kernel(Topk)
def topk(op: Topk, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return reduce.top_k(x, op.k, op.axis, op.largest)


@dataclass(frozen=True, eq=False, kw_only=True)
class Cumsum(InOut):
    axis: int
    exclusive: bool
    reverse: bool


def _cumsum(f: Frame) -> Layer:
    a = f.args
    return Cumsum(**f.base(), input=f.tensor("in", a["dt"], a["s"], None), out=f.out(a["s"], strides=None),
                  axis=f.axis(a["axis"], len(a["s"])), exclusive=a["exclusive"], reverse=a["reverse"])


@kernel(Cumsum)
def cumsum(op: Cumsum, x: np.ndarray) -> np.ndarray:
    walked = np.flip(x, op.axis) if op.reverse else x
    total = np.cumsum(walked, axis=op.axis, dtype=x.dtype)
    if op.exclusive:
        total = total - walked
    return np.flip(total, op.axis) if op.reverse else total


FUNCTIONS = {
    "REDUCE": Function({0: "dt s t_in t_out op:reduce r_axes keep_dims:bool"}, "init:n out in", _reduce),
    "REDUCE_ARG": Function(
        {0: "dt s t_in dt_out t_out op:reduce_arg r_axes keep_dims:bool select_last:bool"},
        "out in", _reduce_arg),
    "REDUCE_PROD": Function(
        {0: "s t_in t_out r_axes keep_dims:bool",
         7: "dt s t_in t_out r_axes keep_dims:bool"},
        "out in", _reduce_prod),
    "REDUCE_WINDOW2D": Function(
        {0: "dt op:reduce s t_in t_out kh:H kw:H stride_h:H stride_w:H dil_h:H dil_w:H lo:f hi:f"},
        "pad_w:p pad_h:p out init:n in", _reduce_window2d),
    "TOPK": Function({0: "dt s t_in s_v t_v s_i t_i k:q axis:i largest:bool sorted:bool"}, "indices values in", _topk),
    "CUMSUM": Function({0: "dt s axis:i exclusive:bool reverse:bool"}, "out in", _cumsum),
}
ENUMERATIONS: dict[str, tuple] = {"reduce": REDUCE_OPS, "reduce_arg": REDUCE_ARG_OPS}
