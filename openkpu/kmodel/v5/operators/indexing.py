# SPDX-License-Identifier: Apache-2.0
"""Operators whose indices are data: gathers, one-hot, compress (spec/kmodel-format.md 5.7)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from ...kernels import kernel
from ...model import Layer, Tensor
from ..frame import FLOAT, Frame, Function, checked_indices

ONEHOT_MODES = ("normal", "process_neg")


@dataclass(frozen=True, eq=False, kw_only=True)
class Gather(Layer):
    """``indices`` int32 along ``axis``. Their values are data: check them when running."""

    input: Tensor
    indices: Tensor
    out: Tensor
    axis: int


def _gather(f: Frame) -> Layer:
    a = f.args
    axis = f.reader.within("axis", a["axis"], 0, len(a["s_in"]) - 1)
    if a["s_out"] != a["s_in"][:axis] + a["s_idx"] + a["s_in"][axis + 1:]:
        f.fail("output shape", f"= {a['s_out']} does not suit {a['s_in']} and indices {a['s_idx']}")
    return Gather(**f.base(), input=f.tensor("in", a["dt"], a["s_in"], a["t_in"]),
                  indices=f.tensor("indices", "<i4", a["s_idx"], None), out=f.out(a["s_out"]), axis=axis)


@kernel(Gather)
def gather(op: Gather, x: np.ndarray, indices: np.ndarray) -> np.ndarray:
    return np.take(x, checked_indices(op, indices, (x.shape[op.axis],)), axis=op.axis)


@dataclass(frozen=True, eq=False, kw_only=True)
class GatherNd(Layer):
    """``indices`` int32. Their values are data: check them when running."""

    input: Tensor
    indices: Tensor
    out: Tensor
    batch_dims: int


def _gather_nd(f: Frame) -> Layer:
    a = f.args
    batch, rank = a["batch_dims"], len(a["s_in"])
    depth = a["s_idx"][-1] if a["s_idx"] else 0
    if not (1 <= depth <= rank - batch and batch < len(a["s_idx"]) and a["s_idx"][:batch] == a["s_in"][:batch]
            and a["s_out"] == a["s_idx"][:-1] + a["s_in"][batch + depth:]):
        f.fail("output shape", f"= {a['s_out']} does not suit {a['s_in']}, indices {a['s_idx']} and {batch} batch dims")
    return GatherNd(**f.base(), input=f.tensor("in", a["dt"], a["s_in"], a["t_in"]),
                    indices=f.tensor("indices", "<i4", a["s_idx"], None), out=f.out(a["s_out"]), batch_dims=batch)


@kernel(GatherNd)
def gather_nd(op: GatherNd, x: np.ndarray, indices: np.ndarray) -> np.ndarray:
    count, batch = indices.shape[-1], op.batch_dims
    checked_indices(op, indices, x.shape[batch: batch + count])
    grid = np.ogrid[tuple(slice(n) for n in indices.shape[:-1])]
    return x[(*grid[:batch], *np.moveaxis(indices, -1, 0))]


@dataclass(frozen=True, eq=False, kw_only=True)
class GatherElements(Layer):
    """float32; ``indices`` int64 along ``axis``, negative ones from the end. Their values are data: check them when
    running."""

    input: Tensor
    indices: Tensor
    out: Tensor
    axis: int


def _gather_elements(f: Frame) -> Layer:
    a = f.args
    axis = f.axis(a["axis"], len(a["s_in"]))
    f.rank("indices shape", a["s_idx"], len(a["s_in"]))
    if any(i != axis and n > m for i, (n, m) in enumerate(zip(a["s_idx"], a["s_in"], strict=True))):
        f.fail("indices shape", f"= {a['s_idx']} does not suit {a['s_in']}")
    return GatherElements(**f.base(), input=f.tensor("in", FLOAT, a["s_in"], None), axis=axis,
                          indices=f.tensor("indices", "<i8", a["s_idx"], None), out=f.out(a["s_idx"], FLOAT, None))


@kernel(GatherElements)
def gather_elements(op: GatherElements, x: np.ndarray, indices: np.ndarray) -> np.ndarray:
    size = x.shape[op.axis]
    found = checked_indices(op, np.where(indices < 0, indices + size, indices), (size,))
    part = tuple(slice(None) if i == op.axis else slice(n) for i, n in enumerate(indices.shape))
    return np.take_along_axis(x[part], found, op.axis)


@dataclass(frozen=True, eq=False, kw_only=True)
class Onehot(Layer):
    """``indices`` int32; ``off_value`` and ``on_value`` are tensors (1,). The depth is the size of ``out`` along
    ``axis``. ``mode`` "normal", or "process_neg": negative indices count from the end."""

    indices: Tensor
    off_value: Tensor
    on_value: Tensor
    out: Tensor
    axis: int
    mode: str


def _onehot(f: Frame) -> Layer:
    a = f.args
    axis = f.reader.within("axis", a["axis"], 0, len(a["s_idx"]))
    if a["s_out"][:axis] + a["s_out"][axis + 1:] != a["s_idx"]:
        f.fail("output shape", f"= {a['s_out']} does not suit indices {a['s_idx']}")
    return Onehot(**f.base(), indices=f.tensor("indices", "<i4", a["s_idx"], None), axis=axis, mode=a["mode"],
                  off_value=f.tensor("off_value", a["dt"], (1,), None),
                  on_value=f.tensor("on_value", a["dt"], (1,), None), out=f.out(a["s_out"]))


@kernel(Onehot)
def onehot(op: Onehot, indices: np.ndarray, off: np.ndarray, on: np.ndarray) -> np.ndarray:
    size = op.out.shape[op.axis]
    wanted = np.where(indices < 0, indices + size, indices) if op.mode == "process_neg" else indices
    hit = np.expand_dims(wanted, op.axis) == np.arange(size).reshape([-1] + [1] * (len(op.out.shape) - 1 - op.axis))
    return np.where(hit, on[0], off[0])


@dataclass(frozen=True, eq=False, kw_only=True)
class Compress(Layer):
    """float32: the slices of ``input`` along ``axis`` (None: the elements) whose ``condition`` (uint8) is not 0."""

    input: Tensor
    condition: Tensor
    out: Tensor
    axis: int | None


def _compress(f: Frame) -> Layer:
    a = f.args
    shape, (count,) = a["s_in"], f.rank("condition shape", a["s_condition"], 1)
    axis = f.reader.within("axis", int(f.number("axis", "<i4")), 0, len(shape))
    # How many are kept is known where the condition is a constant; the vendor's kernel writes on without a bound.
    condition = f.tensor("condition", "u1", (count,), None)
    kept = f.constant(condition, "condition").astype(bool)[:shape[axis] if axis < len(shape) else prod(shape)].sum()
    target = (int(kept),) if axis == len(shape) else (*shape[:axis], int(kept), *shape[axis + 1:])
    return Compress(**f.base(), input=f.tensor("in", FLOAT, shape, None), condition=condition,
                    out=f.out(target, FLOAT, None), axis=None if axis == len(shape) else axis)


@kernel(Compress)
def compress(op: Compress, x: np.ndarray, condition: np.ndarray) -> np.ndarray:
    kept = condition != 0
    size = x.size if op.axis is None else x.shape[op.axis]
    return np.compress(kept[:size], x, op.axis)


FUNCTIONS = {
    "GATHER": Function({0: "dt s_in s_out t_in t_out s_idx axis:B"}, "indices out in", _gather),
    "GATHER_ND": Function({0: "dt s_in s_out t_in t_out s_idx batch_dims:B"}, "indices out in", _gather_nd),
    "GATHER_ELEMENTS": Function({9: "s_in s_idx axis:i"}, "out indices in", _gather_elements),
    "ONEHOT": Function({0: "dt s_idx s_out t_out axis:B mode:onehot"}, "out off_value on_value depth indices", _onehot),
    "COMPRESS": Function({9: "s_in s_condition axis:f"}, "out condition in", _compress),
}
ENUMERATIONS: dict[str, tuple] = {"onehot": ONEHOT_MODES}
