# SPDX-License-Identifier: Apache-2.0
"""Operators that move elements: copies, pads, slices, transposes, resizing (spec/kmodel-format.md 5.7)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from ....arithmetic import shape
from ...kernels import kernel
from ...model import InOut, Layer
from ...reader import MAX_DIMENSION
from ..frame import Frame, Function, Shape

PAD_MODES = ("constant", "reflect", "symmetric", "edge")
RESIZE_MODES = ("bilinear", "nearest")


@dataclass(frozen=True, eq=False, kw_only=True)
class Broadcast(InOut):
    """``input`` repeated to the shape of ``out``."""


def _broadcast(f: Frame) -> Layer:
    a = f.args
    if f.broadcast(a["s_in"], a["s_out"]) != a["s_out"]:
        f.fail("output shape", f"= {a['s_out']} is smaller than {a['s_in']}")
    return Broadcast(**f.base(), input=f.tensor("in", a["dt"], a["s_in"], a["t_in"]), out=f.out(a["s_out"]))


@kernel(Broadcast)
def broadcast(op: Broadcast, x: np.ndarray) -> np.ndarray:
    return np.broadcast_to(x, op.out.shape)


@dataclass(frozen=True, eq=False, kw_only=True)
class Copy(InOut):
    """Element for element (COPY of the StackVM and copy of k210 modules)."""


def _copy(f: Frame) -> Layer:
    source, target = f.pair()
    return Copy(**f.base(), input=source, out=target)


@kernel(Copy)
def copy(op: Copy, x: np.ndarray) -> np.ndarray:
    return x


@dataclass(frozen=True, eq=False, kw_only=True)
class Pad(InOut):
    """``pads``: (before, after, interior) per dimension; ``mode`` constant, reflect, symmetric or edge."""

    pads: tuple[tuple[int, int, int], ...]
    mode: shape.PadMode
    value: np.number


def _pad(f: Frame) -> Layer:
    a = f.args
    shape, pads, mode = a["s"], a["p_pads"], a["mode"]
    if len(pads) != len(shape):
        f.fail("paddings", f"= {pads} do not suit the shape {shape}")
    for size, (before, after, interior) in zip(shape, pads, strict=True):
        limit = {"constant": MAX_DIMENSION, "reflect": size - 1, "symmetric": size, "edge": MAX_DIMENSION}[mode]
        if not (-size < min(before, 0) + min(after, 0) and max(before, after) <= limit
                and 0 <= interior <= MAX_DIMENSION
                and (mode == "constant" or (min(before, after) >= 0 and interior == 0))):
            f.fail("paddings", f"= {pads} do not suit the shape {shape} in mode {mode}")
    target = tuple(n + before + after + (n - 1) * interior
                   for n, (before, after, interior) in zip(shape, pads, strict=True))
    if target and min(target) < 1:
        f.fail("paddings", f"= {pads} leave nothing of the shape {shape}")
    return Pad(**f.base(), input=f.tensor("in", a["dt"], shape, a["t_in"]), out=f.out(target), pads=pads, mode=mode,
               value=f.number("value", a["dt"]))


@kernel(Pad)
def pad(op: Pad, x: np.ndarray) -> np.ndarray:
    before, after, interior = zip(*op.pads, strict=True)
    return shape.pad(x, before, after, op.value, op.mode, interior)


@dataclass(frozen=True, eq=False, kw_only=True)
class ResizeImage(InOut):
    """The two last dimensions."""

    mode: str
    align_corners: bool
    half_pixel_centers: bool


def _resize_image(f: Frame) -> Layer:
    a = f.args
    shape = f.rank("input shape", a["s"], 4)
    size = f.reader.dims("out_h, out_w", *(int(f.number(n, "<i4")) for n in ("out_h", "out_w")))
    return ResizeImage(**f.base(), input=f.tensor("in", a["dt"], shape, a["t_in"]), out=f.out((*shape[:2], *size)),
                       mode=a["mode"], align_corners=a["align_corners"], half_pixel_centers=a["half_pixel_centers"])


@kernel(ResizeImage)
def resize_image(op: ResizeImage, x: np.ndarray) -> np.ndarray:
    size = op.out.shape[-2:]
    if op.mode == "nearest":
        return shape.resize_nearest(x, size, op.align_corners, op.half_pixel_centers)
    return shape.resize_bilinear(x, size, op.align_corners, op.half_pixel_centers, v5=True)


@dataclass(frozen=True, eq=False, kw_only=True)
class Slice(InOut):
    """out[k] = in[starts + k*steps], every visited index inside the input; steps may be negative."""

    starts: tuple[int, ...]
    steps: tuple[int, ...]


def _slice(f: Frame) -> Layer:
    a = f.args
    begins, ends, steps = a["r_begins"], a["r_ends"], a["r_strides"]
    for name, value in (("begins", begins), ("ends", ends), ("strides", steps)):
        f.rank(name, value, len(a["s"]))
    if 0 in steps:
        f.fail("strides", f"= {steps} holds a zero")
    visited = []
    for size, begin, end, step in zip(a["s"], begins, ends, steps, strict=True):
        indices = range(begin, min(end, size) if step > 0 else max(end, -1), step)
        if not len(indices) or not 0 <= begin < size:
            f.fail("begins, ends", f"= {begins}, {ends} is no part of the shape {a['s']}")
        visited.append(len(indices))
    return Slice(**f.base(), input=f.tensor("in", a["dt"], a["s"], a["t_in"]), out=f.out(tuple(visited)),
                 starts=begins, steps=steps)


@kernel(Slice)
def slice_(op: Slice, x: np.ndarray) -> np.ndarray:
    return shape.strided_slice(x, op.starts, op.steps, op.out.shape)


@dataclass(frozen=True, eq=False, kw_only=True)
class SpaceToBatch(InOut):
    """``block`` over the last dimensions; ``pads`` (before, after) of those dimensions. The block's position is the
    slowest part of the new batch index, the old batch the fastest."""

    block: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]


def _blocks(f: Frame) -> tuple[Shape, tuple[tuple[int, int], ...]]:
    block, pads = f.args["r_block"], f.args["p_pads"]
    if not block or len(block) >= len(f.args["s"]) or len(pads) != len(block):
        f.fail("block", f"= {block} with paddings {pads} does not suit the shape {f.args['s']}")
    f.reader.dims("block", *block)
    if any(min(p) < 0 or max(p) > MAX_DIMENSION or p[2] for p in pads):
        f.fail("paddings", f"= {pads} are not supported")
    return block, tuple((before, after) for before, after, _ in pads)


def _space_to_batch(f: Frame) -> Layer:
    a = f.args
    block, pads = _blocks(f)
    shape, first = a["s"], len(a["s"]) - len(block)
    sizes = [n + sum(p) for n, p in zip(shape[first:], pads, strict=True)]
    if any(n % b for n, b in zip(sizes, block, strict=True)):
        f.fail("block", f"= {block} does not divide {tuple(sizes)}")
    target = (shape[0] * prod(block), *shape[1:first], *(n // b for n, b in zip(sizes, block, strict=True)))
    return SpaceToBatch(**f.base(), input=f.tensor("in", a["dt"], shape, a["t_in"]), out=f.out(target), block=block,
                        pads=pads)


@kernel(SpaceToBatch)
def space_to_batch(op: SpaceToBatch, x: np.ndarray) -> np.ndarray:
    return shape.space_to_batch(x, op.block, op.pads)


@dataclass(frozen=True, eq=False, kw_only=True)
class BatchToSpace(InOut):
    """``block`` over the last dimensions and ``crops`` (before, after) of them: undoes ``SpaceToBatch``."""

    block: tuple[int, ...]
    crops: tuple[tuple[int, int], ...]


def _batch_to_space(f: Frame) -> Layer:
    a = f.args
    block, crops = _blocks(f)
    shape, first = a["s"], len(a["s"]) - len(block)
    sizes = [n * b - sum(c) for n, b, c in zip(shape[first:], block, crops, strict=True)]
    if shape[0] % prod(block) or min(sizes) < 1:
        f.fail("block", f"= {block} with crops {crops} does not suit the shape {shape}")
    target = (shape[0] // prod(block), *shape[1:first], *sizes)
    return BatchToSpace(**f.base(), input=f.tensor("in", a["dt"], shape, a["t_in"]), out=f.out(target), block=block,
                        crops=crops)


@kernel(BatchToSpace)
def batch_to_space(op: BatchToSpace, x: np.ndarray) -> np.ndarray:
    return shape.batch_to_space(x, op.block, op.crops)


@dataclass(frozen=True, eq=False, kw_only=True)
class Transpose(InOut):
    """out = transpose(in, perm)."""

    perm: tuple[int, ...]


def _transpose(f: Frame) -> Layer:
    a = f.args
    shape, perm = a["s"], a["r_perm"]
    if sorted(perm) != list(range(len(shape))):
        f.fail("perm", f"= {perm} is no permutation of the dimensions of {shape}")
    return Transpose(**f.base(), input=f.tensor("in", a["dt"], shape, a["t_in"]),
                     out=f.out(tuple(shape[p] for p in perm)), perm=perm)


@kernel(Transpose)
def transpose(op: Transpose, x: np.ndarray) -> np.ndarray:
    return x.transpose(op.perm)


@dataclass(frozen=True, eq=False, kw_only=True)
class Trilu(InOut):
    """Upper or lower triangle of the two last dimensions, diagonal ``k``."""

    upper: bool
    k: int


def _trilu(f: Frame) -> Layer:
    a = f.args
    if len(a["s"]) < 2:
        f.fail("shape", f"= {a['s']} is no matrix")
    return Trilu(**f.base(), input=f.tensor("in", a["dt"], a["s"], None), out=f.out(a["s"], strides=None),
                 upper=a["upper"], k=f.reader.within("k", a["k"], -MAX_DIMENSION, MAX_DIMENSION))


@kernel(Trilu)
def trilu(op: Trilu, x: np.ndarray) -> np.ndarray:
    return (np.triu if op.upper else np.tril)(x, op.k)


FUNCTIONS = {
    "BROADCAST": Function({0: "dt s_in t_in s_out t_out"}, "out in", _broadcast),
    "COPY": Function({0: "dt s t_in t_out"}, "out in", _copy),
    "PAD": Function({0: "dt s t_in t_out p_pads mode:pad"}, "value:n out in", _pad),
    "RESIZE_IMAGE": Function(
        {0: "dt s t_in t_out align_corners:bool half_pixel_centers:bool mode:resize"},
        "out in out_w:n out_h:n", _resize_image),
    "SLICE": Function({0: "dt s t_in t_out r_begins r_ends r_strides"}, "out in", _slice),
    "SPACE_TO_BATCH": Function({0: "dt s t_in t_out r_block p_pads"}, "out in", _space_to_batch),
    "BATCH_TO_SPACE": Function({0: "dt s t_in t_out r_block p_pads"}, "out in", _batch_to_space),
    "TRANSPOSE": Function({0: "dt s t_in t_out r_perm"}, "out in", _transpose),
    "TRILU": Function({0: "dt s upper:bool k:q"}, "out in", _trilu),
}
ENUMERATIONS: dict[str, tuple] = {"pad": PAD_MODES, "resize": RESIZE_MODES}
