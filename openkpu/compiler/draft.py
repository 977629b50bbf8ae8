# SPDX-License-Identifier: Apache-2.0
"""A model without addresses: layers over named buffers, which the planner then places.

Every buffer is written before it is read, and the bytes of a buffer once written stay valid until its last reader.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from ..hw.layout import MapLayout
from ..kmodel.model import KPU_POOL, Layer, Tensor
from .planner import Buffer

ALWAYS = 1 << 30
"""Layer number behind the last."""


def dtype_name(dtype: Any) -> str:
    """"u1" or "f4", as values have it."""
    return np.dtype(dtype).str.lstrip("<|=")


@dataclass(frozen=True)
class Ref:
    """A tensor in a buffer, ``offset`` bytes behind its start. Strides as in ``kmodel.model.Tensor``."""

    buffer: str
    dtype: str
    shape: tuple[int, ...]
    offset: int = 0
    strides: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.count * np.dtype(self.dtype).itemsize

    def shaped(self, *shape: int, dtype: str | None = None) -> Ref:
        """The same bytes as another shape."""
        return replace(self, shape=tuple(shape), dtype=dtype or self.dtype, strides=())

    @property
    def flat(self) -> Ref:
        """The same bytes as a vector."""
        return self.shaped(self.count)

    @property
    def as_bytes(self) -> Ref:
        """The same bytes as a vector of uint8."""
        return self.shaped(self.nbytes, dtype="u1")


@dataclass
class Space:
    """A buffer: ``pool`` "main", "kpu" or "const", and where in another buffer it lies, if it does."""

    pool: str
    size: int
    data: np.ndarray | None = None
    inside: tuple[str, int] | None = None
    pinned: bool = False  # an input, output or constant: not to be moved into another buffer


@dataclass(frozen=True)
class DraftLayer:
    """A layer of the loaders' classes; tensors among ``fields`` are ``Ref``.

    ``step`` and ``number`` are name and position of the program's step that it comes from.
    """

    cls: type[Layer]
    name: str
    fields: dict[str, Any]
    step: str
    number: int

    def refs(self, written: bool) -> list[Ref]:
        found: list[Ref] = []
        for name, value in self.fields.items():
            if (name in self.cls.WRITES) == written:
                found += [r for r in (value if isinstance(value, tuple) else (value,)) if isinstance(r, Ref)]
        return found


@dataclass
class Draft:
    """Layers in execution order; ``inputs`` and ``outputs`` in table order."""

    spaces: dict[str, Space] = field(default_factory=dict)
    layers: list[DraftLayer] = field(default_factory=list)
    inputs: list[Ref] = field(default_factory=list)
    outputs: list[Ref] = field(default_factory=list)
    step: str = ""
    number: int = 0

    def buffer(self, name: str, pool: str, size: int, data: np.ndarray | None = None) -> str:
        """A new buffer; the name is made unique."""
        unique, number = name, 1
        while unique in self.spaces:
            number += 1
            unique = f"{name}.{number}"
        self.spaces[unique] = Space(pool, size, data, pinned=data is not None)
        return unique

    def new(self, name: str, dtype: str, *shape: int) -> Ref:
        """A dense tensor in a new buffer of the main memory."""
        return Ref(self.buffer(name, "main", prod(shape) * np.dtype(dtype).itemsize), dtype_name(dtype), tuple(shape))

    def constant(self, name: str, data: np.ndarray) -> Ref:
        """A constant; equal ones share their bytes."""
        data = np.ascontiguousarray(data)
        for other, space in self.spaces.items():
            if space.data is not None and space.data.dtype == data.dtype and space.data.tobytes() == data.tobytes():
                return Ref(other, dtype_name(data.dtype), data.shape)
        return Ref(self.buffer(name, "const", data.nbytes, data), dtype_name(data.dtype), data.shape)

    def add(self, cls: type[Layer], name: str, **fields: Any) -> None:
        """Append a layer of the current step."""
        self.layers.append(DraftLayer(cls, name, fields, self.step, self.number))

    def resolve(self, ref: Ref) -> tuple[str, int]:
        """The buffer that is placed, and the byte in it."""
        name, offset = ref.buffer, ref.offset
        while (inside := self.spaces[name].inside) is not None:
            name, offset = inside[0], offset + inside[1]
        return name, offset

    def place_inside(self, ref: Ref, outer: Ref) -> bool:
        """Let a tensor that fills its buffer live at ``outer`` instead, so that nothing has to be copied there."""
        name, start = self.resolve(ref)
        space, target = self.spaces[name], self.resolve(outer)[0]
        if (space.pool != "main" or space.pinned or start or space.size != ref.nbytes or target == name
                or ref.nbytes != outer.nbytes):
            return False
        space.inside = outer.buffer, outer.offset
        return True

    def lifetimes(self, pool: str) -> list[Buffer]:
        """Buffers of a pool with their live ranges, in layers. Inputs live from before the first layer."""
        first: dict[str, int] = {}
        last: dict[str, int] = {}

        def touch(ref: Ref, at: int) -> None:
            name = self.resolve(ref)[0]
            first[name] = min(first.get(name, at), at)
            last[name] = max(last.get(name, at), at)

        for ref in self.inputs:
            touch(ref, -1)
        for at, layer in enumerate(self.layers):
            for ref in layer.refs(True) + layer.refs(False):
                touch(ref, at)
        for ref in self.outputs:
            touch(ref, ALWAYS)
        return [Buffer(name, self.spaces[name].size, first[name], last[name]) for name in first
                if self.spaces[name].pool == pool]

    def tensor(self, ref: Ref, offsets: dict[str, int], pools: dict[str, str]) -> Tensor:
        """The tensor at its address; ``offsets`` by buffer name, ``pools`` by the draft's names."""
        name, offset = self.resolve(ref)
        pool = self.spaces[name].pool
        return Tensor(pools.get(pool, pool), offsets[name] + offset, np.dtype(ref.dtype), ref.shape, ref.strides or ())


def channels_of(buffer: str, whole: tuple[int, ...], channel: int, count: int) -> Ref:
    """Channels of a map in an AI-RAM buffer, in place."""
    step = MapLayout.of(0, *whole[1:])
    return Ref(buffer, "u1", (1, count, *whole[2:]), channel // step.group * step.group_step * 64)


__all__ = ["ALWAYS", "KPU_POOL", "Draft", "DraftLayer", "Ref", "Space", "channels_of"]
