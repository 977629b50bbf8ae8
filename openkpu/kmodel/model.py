# SPDX-License-Identifier: Apache-2.0
"""The in-memory model: what every loader returns and the runtime executes (spec/kmodel-format.md).

A model is a flat list of layers in execution order over a few byte pools. Everything in it has been checked:
every tensor lies inside its pool, every KPU map inside the AI RAM, every table inside the file, and shapes, dtypes
and sizes agree, so that executing it cannot index out of range.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from importlib import import_module
from math import prod
from typing import ClassVar

import numpy as np

from ..hw.descriptor import Descriptor
from ..hw.fields import ROW_BYTES
from ..hw.layout import MapLayout

DISPLAY = "openkpu.kmodel.display"  # imported when a notebook asks: it stands above this module

KPU_POOL = "kpu"
"""Name of the pool that is the AI RAM. Every other pool is host memory."""


@dataclass(frozen=True)
class Pool:
    """``size`` bytes of host memory. ``data`` is None for RAM (zero at load), else the constants (uint8, read-only)."""

    name: str
    size: int
    data: np.ndarray | None = None


@dataclass(frozen=True)
class Tensor:
    """Where an operator reads or writes.

    Host pools: element (i, j, ...) is at byte ``offset + itemsize * (i*strides[0] + j*strides[1] + ...)``; ``offset``
    need not be a multiple of the item size.
    Pool ``KPU_POOL``: ``shape`` is (N, C, H, W) uint8, ``offset`` a multiple of 64, and each of the N maps is laid out
    as section 2.3 says, one behind the other (``layouts``); ``strides`` has no meaning.

    Parameters
    ----------
    strides : elements, one per dimension; 0 where the element is broadcast or the dimension is 1. None given: dense.
    """

    pool: str
    offset: int
    dtype: np.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", np.dtype(self.dtype))
        object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "strides", tuple(self.strides) or dense_strides(self.shape))

    @property
    def count(self) -> int:
        """Elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements without gaps."""
        return self.count * self.dtype.itemsize

    @property
    def extent(self) -> int:
        """Bytes from ``offset`` to the end of the last element (0 for an empty tensor)."""
        if not self.count:
            return 0
        return (sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)) + 1) * self.dtype.itemsize

    @property
    def dense(self) -> bool:
        """True if the elements lie one behind the other in row-major order."""
        dense = dense_strides(self.shape)
        return all(n == 1 or s == d for n, s, d in zip(self.shape, self.strides, dense, strict=True))

    @property
    def map_rows(self) -> int:
        """64-byte rows from one of the N maps to the next (pool ``KPU_POOL`` only)."""
        layout = MapLayout.of(0, *self.shape[1:])
        return layout.group_step * -(-layout.channels // layout.group)

    @property
    def layouts(self) -> tuple[MapLayout, ...]:
        """The AI-RAM layout of each of the N maps (pool ``KPU_POOL`` only)."""
        base = self.offset // ROW_BYTES
        return tuple(MapLayout.of(base + i * self.map_rows, *self.shape[1:]) for i in range(self.shape[0]))

    def view(self, memory: np.ndarray) -> np.ndarray:
        """The tensor as an array that shares ``memory`` (uint8, the bytes of its host pool)."""
        part = memory[self.offset: self.offset + self.extent]
        step = self.dtype.itemsize
        return np.ndarray(self.shape, self.dtype, part, 0, tuple(s * step for s in self.strides))


def dense_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Row-major strides in elements."""
    return tuple(prod(shape[i + 1:]) for i in range(len(shape)))


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of the model.

    Attributes
    ----------
    index : position in the model's table.
    tensor : where it is; its shape and dtype are those of the array the caller gives or gets. Outputs of v3 and v4
        are one-dimensional, since those files store no output shape.
    map_shape : (C, H, W) of the feature map that an output holds; for v3 and v4 found by following the operators that
        keep positions (dequantize, pad, copy ...) back to the layer that made it (section 6); None if there is none.
    """

    index: int
    tensor: Tensor
    map_shape: tuple[int, int, int] | None = None

    @property
    def dtype(self) -> np.dtype:
        return self.tensor.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """One step of the model. Subclasses add their operands; tensors named in ``WRITES`` are results.

    Attributes
    ----------
    index : number in ``Model.layers``.
    name : the format's own name of the operator ("KL_K210_CONV", "kpu_conv2d", "BINARY").
    offset, size : bytes of the body in the model file.
    """

    index: int
    name: str
    offset: int
    size: int

    where: ClassVar[str] = "host"
    WRITES: ClassVar[tuple[str, ...]] = ("out",)
    # What feature map the result holds: its own "shape", that of the "input" of its length, "concat" of inputs, "none".
    MAP: ClassVar[str] = "shape"

    def _tensors(self, written: bool) -> tuple[Tensor, ...]:
        found: list[Tensor] = []
        for f in fields(self):
            if (f.name in self.WRITES) == written:
                value = getattr(self, f.name)
                found += [t for t in (value if isinstance(value, tuple) else (value,)) if isinstance(t, Tensor)]
        return tuple(found)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Tensors read."""
        return self._tensors(False)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Tensors written."""
        return self._tensors(True)

    def _repr_html_(self) -> str:
        """For notebooks."""
        return str(import_module(DISPLAY).layer_html(self))


@dataclass(frozen=True, eq=False, kw_only=True)
class InOut(Layer):
    """One tensor read, one written; the usual shape of an operator."""

    input: Tensor
    out: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class TwoInOut(Layer):
    """Two tensors read, one written."""

    a: Tensor
    b: Tensor
    out: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class KpuConv(Layer):
    """A convolution on the KPU: the descriptor once per batch, maps advancing by their rows.

    Attributes
    ----------
    descriptor : as in the file; table addresses and int_en/send_data_out are the runtime's to set (section 2.1).
    weights, batch_norm, activation : uint8 views of the file: all weights, 8*OC and 144 bytes.
    weights_offset, batch_norm_offset, activation_offset : where those bytes are in ``Model.image``.
    eight_bit : False = 16-bit weights.
    input, kpu_out : maps in the AI RAM, (batches, C, H, W) and (batches, OC, OH, OW).
    main_out : None, or a dense copy of ``kpu_out`` in host memory.
    stream : v3 with KLF_MAIN_MEM_OUT: the result leaves by send_data_out and nothing reads ``kpu_out``.
    """

    descriptor: Descriptor
    weights: np.ndarray
    batch_norm: np.ndarray
    activation: np.ndarray
    weights_offset: int
    batch_norm_offset: int
    activation_offset: int
    eight_bit: bool
    batches: int
    input: Tensor
    kpu_out: Tensor
    main_out: Tensor | None
    stream: bool

    where: ClassVar[str] = "kpu"
    WRITES: ClassVar[tuple[str, ...]] = ("kpu_out", "main_out")


@dataclass(frozen=True, eq=False, kw_only=True)
class KpuUpload(InOut):
    """Scatter dense uint8 maps (N, C, H, W) from host memory into the AI RAM."""


@dataclass(frozen=True, eq=False, kw_only=True)
class KpuDownload(InOut):
    """Gather maps (N, C, H, W) from the AI RAM into dense host memory."""


@dataclass(frozen=True)
class Model:
    """A checked model, ready to run.

    Attributes
    ----------
    source : file name or flash address the bytes came from.
    version : 3, 4 or 5.
    image : the model's own bytes (trailing data cut off, byte order restored).
    pools : host memory by name; the AI RAM is not listed.
    inputs, outputs : in table order.
    layers : in execution order. Calls of v5 are expanded in place.
    eight_bit : 8-bit weights (always true for v4 and v5).
    byte_swapped : the file was a byte-reversed v3 image for load_flash (section 3.8).
    operator_table : v5: compiler releases whose numbering the code follows, such as "1.8-1.9"; otherwise "".
    fused_multiply_add : v5: made by nncase before 1.3, whose runtimes round a*b + c once.
    warnings : sentences about harmless oddities (trailing data, reserved bits).
    """

    source: str
    version: int
    image: bytes
    pools: dict[str, Pool]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    layers: tuple[Layer, ...]
    eight_bit: bool = True
    byte_swapped: bool = False
    operator_table: str = ""
    fused_multiply_add: bool = False
    warnings: tuple[str, ...] = field(default=())

    @property
    def size(self) -> int:
        """Bytes of the model, trailing data not counted."""
        return len(self.image)

    @property
    def main_memory(self) -> int:
        """Bytes of RAM the model needs besides its own bytes: every pool that holds no constants."""
        return sum(p.size for p in self.pools.values() if p.data is None)

    @property
    def kpu_layers(self) -> tuple[KpuConv, ...]:
        return tuple(layer for layer in self.layers if isinstance(layer, KpuConv))

    def _repr_html_(self) -> str:
        """For notebooks."""
        return str(import_module(DISPLAY).model_html(self))
