# SPDX-License-Identifier: Apache-2.0
"""Operators that move elements: concatenation, flatten, nearest-neighbour resizing (spec/kmodel-format.md 3.4, 3.5)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....arithmetic import shape as arithmetic
from ...kernels import kernel
from ...model import InOut, Layer, Tensor
from ...record import Operator
from ..fields import Body

MAX_CONCAT = 4096


@dataclass(frozen=True, eq=False, kw_only=True)
class Concat(Layer):
    """uint8 (bytes,) each: byte ranges one behind the other (KL_CONCAT and KL_QUANTIZED_CONCAT)."""

    MAP = "concat"

    parts: tuple[Tensor, ...]
    out: Tensor


def _concat(b: Body) -> Concat:
    (count,) = b.fields("input_count:I")
    b.within("input_count", count, 1, MAX_CONCAT)
    ranges = b.array("inputs", "<u4", count, 2).tolist()
    parts = tuple(b.memory.tensor(b, f"input {i}", "main", start, "u1", (n,)) for i, (start, n) in enumerate(ranges))
    return Concat(**b.base, parts=parts, out=b.out("u1", (sum(p.count for p in parts),)))


def _write_concat(layer: Any, _: int) -> bytes:
    parts = b"".join(struct.pack("<2I", p.offset, p.count) for p in layer.parts)
    return struct.pack("<3I", 0, layer.out.offset, len(layer.parts)) + parts


@kernel(Concat)
def concat(op: Concat, *parts: np.ndarray) -> np.ndarray:
    return np.concatenate(parts)


@dataclass(frozen=True, eq=False, kw_only=True)
class TensorflowFlatten(InOut):
    """(C, H, W) -> (H, W, C)."""

    MAP = "none"


def _flatten(b: Body) -> TensorflowFlatten:
    w, h, c = b.dims("width, height, channels", *(b.args[f"input.d{i}"] for i in (2, 1, 0)))
    return TensorflowFlatten(**b.base, input=b.tensor("input", "<f4", (c, h, w)), out=b.out("<f4", (h, w, c)))


@kernel(TensorflowFlatten)
def tensorflow_flatten(op: TensorflowFlatten, x: np.ndarray) -> np.ndarray:
    return x.transpose(1, 2, 0)


@dataclass(frozen=True, eq=False, kw_only=True)
class ResizeNearestNeighbor(InOut):
    """(C, H, W) -> (C, OH, OW); float32, or uint8 for KL_QUANTIZED_RESIZE_NEAREST_NEIGHBOR."""


def _resize(dtype: str) -> Callable[[Body], Layer]:
    def build(b: Body) -> ResizeNearestNeighbor:
        iw, ih, c, ow, oh = b.dims("in_w, in_h, in_c, out_w, out_h", *(b.args[f"input.d{i}"] for i in (2, 1, 0)),
                                   b.args["out.d2"], b.args["out.d1"])
        return ResizeNearestNeighbor(**b.base, input=b.tensor("input", dtype, (c, ih, iw)),
                                     out=b.out(dtype, (c, oh, ow)))
    return build


@kernel(ResizeNearestNeighbor)
def resize_nearest_neighbor(op: ResizeNearestNeighbor, x: np.ndarray) -> np.ndarray:
    return arithmetic.resize_nearest(x, op.out.shape[-2:])


_MAP = "input:address out:address input:d2 input:d1 input:d0"
OPERATORS = {
    "KL_CONCAT": Operator("out:address", _concat, _write_concat),
    "KL_QUANTIZED_CONCAT": Operator("out:address", _concat, _write_concat),
    "KL_TENSORFLOW_FLATTEN": Operator(_MAP, _flatten),
    "KL_RESIZE_NEAREST_NEIGHBOR": Operator(f"{_MAP} out:d2 out:d1 :zero", _resize("<f4")),
    "KL_QUANTIZED_RESIZE_NEAREST_NEIGHBOR": Operator(f"{_MAP} out:d2 out:d1 :zero", _resize("u1")),
}
