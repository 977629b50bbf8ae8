# SPDX-License-Identifier: Apache-2.0
"""Operators that move elements: copies, pads, slices, transposes, resizing (spec/kmodel-format.md 4.4, 4.5)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np

from ....arithmetic import shape as arithmetic
from ...kernels import kernel
from ...model import InOut, Layer, Tensor
from ...reader import MAX_DIMENSION
from ...record import Operator
from ...v5.operators import movement as v5
from ..fields import Body, encode_range

MAX_PARTS = 4096


@dataclass(frozen=True, eq=False, kw_only=True)
class Concat(Layer):
    """uint8 bytes: parts (outer, n_k) side by side make ``out`` (outer, sum of n_k)."""

    MAP = "concat"

    parts: tuple[Tensor, ...]
    out: Tensor


def _concat(b: Body) -> Concat:
    inner, outer, count = b.fields("inner_size:I outer_size:I inputs_count:I")
    b.within("inputs_count", count, 1, MAX_PARTS)
    ranges = [b.range(f"input {i}") for i in range(count)]
    dims = b.dims("dims", *b.array("dims", "<i4", count).tolist())
    parts = tuple(b.bytes_of(r, outer, inner * d) for r, d in zip(ranges, dims, strict=True))
    return Concat(**b.base, parts=parts, out=b.bytes_of(b.args["out"], outer, inner * sum(dims), write=True))


def _write_concat(layer: Any, _: int) -> bytes:
    """Widths of the parts as multiples of their greatest common divisor, the inner size."""
    inner = gcd(*(p.shape[1] for p in layer.parts))
    head = encode_range(layer.out) + struct.pack("<3I", inner, layer.out.shape[0], len(layer.parts))
    return head + b"".join(map(encode_range, layer.parts)) + b"".join(
        struct.pack("<i", p.shape[1] // inner) for p in layer.parts)


@kernel(Concat)
def concat(op: Concat, *parts: np.ndarray) -> np.ndarray:
    return np.concatenate(parts, axis=1)


@dataclass(frozen=True, eq=False, kw_only=True)
class MemoryCopy(InOut):
    """uint8 (n,): the whole 32-bit words of the range."""


def _memory_copy(b: Body) -> MemoryCopy:
    x, out = b.args["input"], b.args["out"]
    if x.size != out.size or x.size < 4:
        b.fail("output", f"has {out.size} bytes, but the input has {x.size}")
    words = x.size // 4 * 4
    source, target = (r._replace(size=words) for r in (x, out))
    return MemoryCopy(**b.base, input=b.bytes_of(source, words), out=b.bytes_of(target, words, write=True))


kernel(MemoryCopy)(v5.copy)


@dataclass(frozen=True, eq=False, kw_only=True)
class Pad(InOut):
    """Any dtype; ``pads`` are four (before, after), negative ones crop; ``value`` has the input's dtype."""

    pads: tuple[tuple[int, int], ...]
    value: np.number


def _pad(b: Body) -> Pad:
    shape, pads, dtype = b.args["input.shape"], b.args["pads"], np.dtype(b.args["input"].dtype)
    for size, (before, after) in zip(shape, pads, strict=True):
        if min(before, 0) + min(after, 0) <= -size or max(before, after) > MAX_DIMENSION:
            b.fail("paddings", f"= {pads} don't suit the shape {shape}")
    target = b.dims("padded shape", *(size + sum(p) for size, p in zip(shape, pads, strict=True)))
    return Pad(**b.base, input=b.tensor("input", shape), out=_like_input(b, target), pads=pads,
               value=np.frombuffer(b.args["value"], dtype, 1)[0])


@kernel(Pad)
def pad(op: Pad, x: np.ndarray) -> np.ndarray:
    before, after = zip(*op.pads, strict=True)
    return arithmetic.pad(x, before, after, op.value)


@dataclass(frozen=True, eq=False, kw_only=True)
class ResizeImage(InOut):
    """float32 or uint8; ``mode`` "bilinear" or "nearest"."""

    mode: str
    align_corners: bool


def _resize_image(b: Body) -> ResizeImage:
    shape = b.args["input.shape"]
    size = b.dims("out_h, out_w", b.args["out.height"], b.args["out.width"])
    return ResizeImage(**b.base, input=b.tensor("input", shape), out=_like_input(b, (*shape[:2], *size)),
                       **b.given("mode", "align_corners"))


def _like_input(b: Body, shape: tuple[int, ...]) -> Tensor:
    return b.out(shape, b.args["input"].dtype)


@kernel(ResizeImage)
def resize_image(op: ResizeImage, x: np.ndarray) -> np.ndarray:
    if op.mode == "nearest":
        return arithmetic.resize_nearest(x, op.out.shape[-2:])
    return arithmetic.resize_bilinear(x, op.out.shape[-2:], op.align_corners)


@dataclass(frozen=True, eq=False, kw_only=True)
class Transpose(InOut):
    """Any dtype: out = transpose(in, perm)."""

    perm: tuple[int, ...]


def _transpose(b: Body) -> Transpose:
    shape, perm = b.args["input.shape"], b.args["perm"]
    if sorted(perm) != [0, 1, 2, 3]:
        b.fail("perm", f"= {perm} is no permutation of 0..3")
    return Transpose(**b.base, input=b.tensor("input", shape), perm=perm,
                     out=_like_input(b, tuple(shape[p] for p in perm)))


kernel(Transpose)(v5.transpose)


@dataclass(frozen=True, eq=False, kw_only=True)
class StridedSlice(InOut):
    """Any dtype; four of ``begin``, ``end``, ``strides``; every visited index is inside the input."""

    begin: tuple[int, ...]
    end: tuple[int, ...]
    strides: tuple[int, ...]


def _strided_slice(b: Body) -> StridedSlice:
    shape, begin, end, strides = (b.args[name] for name in ("input.shape", "begin", "end", "strides"))
    if 0 in strides:
        b.fail("strides", f"= {strides} holds a zero")
    visited = [range(*axis) for axis in zip(begin, end, strides, strict=True)]
    for steps, size in zip(visited, shape, strict=True):
        if not len(steps) or not (0 <= steps[0] < size and 0 <= steps[-1] < size):
            b.fail("begin, end", f"= {begin}, {end} is no part of the shape {shape}")
    return StridedSlice(**b.base, input=b.tensor("input", shape), out=_like_input(b, tuple(map(len, visited))),
                        **b.given("begin", "end", "strides"))


@kernel(StridedSlice)
def strided_slice(op: StridedSlice, x: np.ndarray) -> np.ndarray:
    return arithmetic.strided_slice(x, op.begin, op.strides, op.out.shape)


_SHAPED = "input:range out:range input:shape"
OPERATORS = {
    "concat": Operator("out:range", _concat, _write_concat),
    "memory_copy": Operator("input:range out:range", _memory_copy),
    "pad": Operator(f"{_SHAPED} pads:pads value:value", _pad),
    "resize_image": Operator(f"{_SHAPED} out:height out:width mode:resize align_corners:flag", _resize_image),
    "transpose": Operator(f"{_SHAPED} perm:dims", _transpose),
    "strided_slice": Operator(f"{_SHAPED} begin:dims end:dims strides:dims :masks", _strided_slice),
}
