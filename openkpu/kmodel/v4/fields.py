# SPDX-License-Identifier: Apache-2.0
"""The fields of kmodel v4 bodies, read and written (spec/kmodel-format.md 4.1, 4.2, 4.4).

=============  ====================================================================================================
range          memory range of a tensor
shape          its four dimensions
rows, cols     first and second dimension of a matrix
height, width  third and fourth dimension; ``channels`` the second, ``depth`` the fourth (NHWC)
i, I, f        int32, uint32, float32; an int32 whose name ends in "shift" is 0..62
binary, reduce, unary, resize    number of an enumerator
clamp          two float32; ``window`` ten int32; ``pads`` eight; ``dims`` four; ``masks`` five zeros
flag           a byte and three of padding
value          scalar type and four bytes
=============  ====================================================================================================
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ...hw.fields import ROW_BYTES
from ..model import KPU_POOL, Tensor
from ..reader import MAX_DIMENSION, MAX_ELEMENTS, Context, Memory
from ..record import RecordReader
from ..window import Clamp, Window

BINARY_OPS = ("add", "sub", "mul", "div", "min", "max")
REDUCE_OPS = ("mean", "min", "max", "sum")
UNARY_OPS = ("abs", "ceil", "cos", "exp", "floor", "log", "neg", "rsqrt", "sin", "square")
RESIZE_MODES = ("bilinear", "nearest")
ENUMERATIONS = {"binary": BINARY_OPS, "reduce": REDUCE_OPS, "unary": UNARY_OPS, "resize": RESIZE_MODES}

POOLS = ("const", "main", "kpu")
DTYPES = ("<f4", "u1")
DIMENSIONS = {"rows": 0, "cols": 1, "channels": 1, "height": 2, "width": 3, "depth": 3}

_NAMES = {("a", "range"): "input_a", ("b", "range"): "input_b", ("out", "range"): "output",
          ("input", "shape"): "in_shape", ("a", "shape"): "in_a_shape", ("b", "shape"): "in_b_shape"}
"""What the specification calls a tensor's range and shape, where that is not ``name`` and ``name_shape``."""

Shape = tuple[int, ...]


class Range(NamedTuple):
    """A memory range of the file that lies inside its pool."""

    field: str
    pool: str
    dtype: str
    start: int
    size: int


class Body(RecordReader):
    """A node body: a reader that knows ranges, shapes, windows and the pools."""

    def __init__(self, context: Context, data: memoryview, start: int, end: int, place: str, memory: Memory,
                 base: dict[str, Any] | None = None):
        super().__init__(context, data, start, end, place)
        self.memory = memory
        self.base = base or {}

    def read_field(self, name: str, kind: str) -> None:
        """Read one field into ``args``."""
        if kind == "range":
            self.args[name] = self.range(_NAMES.get((name, kind), name))
        elif kind == "shape":
            self.args[f"{name}.shape"] = self.shape(_NAMES.get((name, kind), f"{name}_shape"))
        elif kind in DIMENSIONS:
            (self.args[f"{name}.{kind}"],) = self.fields(f"{name}_{kind}:i")
        elif kind in ENUMERATIONS:
            (number,) = self.fields(f"{name}:I")
            self.args[name] = self.choice(f"{kind}_{name}" if name == "op" else name, number, ENUMERATIONS[kind])
        elif len(kind) == 1:
            (value,) = self.fields(f"{name}:{kind}")
            if kind == "i" and name.endswith("shift"):
                self.within(name, value, 0, 62)
            self.args[name] = value
        else:
            self.args[name] = _READERS[kind](self)

    def range(self, field: str) -> Range:
        """Read and check a memory range."""
        kind, dtype, start, size = self.fields("memory_type:I datatype:I start:I size:I")
        pool = self.choice(f"{field} memory_type", kind, POOLS)
        item = self.choice(f"{field} datatype", dtype, DTYPES)
        if pool != KPU_POOL and start + size > self.memory.pools[pool].size:
            self.fail(field, f"= {start:#x} with {size} bytes ends behind the {pool} memory "
                             f"({self.memory.pools[pool].size} bytes)")
        if item == "<f4" and (start % 4 or size % 4):
            self.fail(field, f"= {start:#x} with {size} bytes is not aligned to float32")
        return Range(field, pool, item, start, size)

    def shape(self, field: str) -> Shape:
        """Four dimensions, each 1..65535."""
        return self.dims(field, *self.fields("n:i c:i h:i w:i"))

    def given(self, *names: str) -> dict[str, Any]:
        """Fields that go into the layer as they are."""
        return {name: self.args[name] for name in names}

    def tensor(self, name: str, shape: Shape, dtype: str | None = None) -> Tensor:
        """The tensor read as ``name``; its range has exactly the bytes of ``shape`` and ``dtype`` (None: its own)."""
        found = self.args[name]
        return self.placed(found, shape, dtype or found.dtype)

    def out(self, shape: Shape, dtype: str | None = None) -> Tensor:
        """The result, as ``tensor``."""
        found = self.args["out"]
        return self.placed(found, shape, dtype or found.dtype, write=True)

    def placed(self, found: Range, shape: Shape, dtype: str, *, write: bool = False) -> Tensor:
        """The tensor of ``shape`` and ``dtype`` that fills a range exactly."""
        self._outside_kpu(found)
        if dtype != found.dtype:
            self.fail(found.field, f"has datatype {found.dtype}, but the operator works on {dtype}")
        return self._sized(found, shape, dtype, write)

    def bytes_of(self, found: Range, *shape: int, write: bool = False) -> Tensor:
        """The range as bytes of any datatype."""
        self._outside_kpu(found)
        return self._sized(found, shape, "u1", write)

    def _outside_kpu(self, found: Range) -> None:
        if found.pool == KPU_POOL:
            self.fail(found.field, "is in the KPU's RAM, which only KPU layers and uploads use")

    def _sized(self, found: Range, shape: Shape, dtype: str, write: bool) -> Tensor:
        size = prod(shape) * np.dtype(dtype).itemsize
        if size != found.size:
            self.fail(found.field, f"has {found.size} bytes, but its shape {shape} needs {size}")
        return self.memory.tensor(self, found.field, found.pool, found.start, dtype, shape, write=write)

    def vector(self, found: Range, dtype: str, *, write: bool = False) -> Tensor:
        """The range as a one-dimensional tensor."""
        return self.placed(found, (found.size // np.dtype(dtype).itemsize,), dtype, write=write)

    def vectors(self, source: str, target: str) -> tuple[Tensor, Tensor]:
        """Input and result of these datatypes as vectors of equal length."""
        x = self.vector(self.args["input"], source)
        out = self.vector(self.args["out"], target, write=True)
        if x.count != out.count:
            self.fail("output", f"has {out.count} elements, but the input has {x.count}")
        return x, out

    def windowed(self, height: int, width: int, w: Window) -> tuple[int, int]:
        """Output height and width of a window over an image."""
        sizes = [(size + sum(pad) - ((k - 1) * d + 1) + s) // s for size, pad, k, s, d in
                 zip((height, width), (w.pad_h, w.pad_w), w.kernel, w.stride, w.dilation, strict=True)]
        if min(sizes) < 1:
            self.fail("filter, stride, padding", f"= {w} gives no output for an image {width}x{height}")
        rows, columns = self.dims("output size", *sizes)
        return rows, columns

    def work(self, steps: int) -> None:
        """Refuse an operator that needs absurdly many elementary steps."""
        if steps > MAX_ELEMENTS * 16:
            self.fail("shapes", f"need {steps} steps")
        self.context.spend(work=steps)


def _read_window(b: Body) -> Window:
    top, bottom, left, right, *rest = b.fields(
        "pad_h_before:i pad_h_after:i pad_w_before:i pad_w_after:i filter_h:i filter_w:i stride_h:i stride_w:i "
        "dilation_h:i dilation_w:i")
    for value in (top, bottom, left, right):
        b.within("padding", value, 0, MAX_DIMENSION)
    kh, kw, sh, sw, dh, dw = b.dims("filter, stride, dilation", *rest)
    return Window((top, bottom), (left, right), (kh, kw), (sh, sw), (dh, dw))


def _read_clamp(b: Body) -> Clamp:
    return b.clamp(*b.fields("low:f high:f"))


def _read_pads(b: Body) -> tuple[tuple[int, int], ...]:
    flat = b.fields("n0:i n1:i c0:i c1:i h0:i h1:i w0:i w1:i")
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def _read_flag(b: Body) -> bool:
    (flag,) = b.fields("flag:B")
    b.need(3, "padding")
    return bool(flag)


_READERS: dict[str, Callable[[Body], Any]] = {
    "window": _read_window,
    "clamp": _read_clamp,
    "pads": _read_pads,
    "dims": lambda b: b.fields("n:i c:i h:i w:i"),
    "masks": lambda b: b.fields("begin_mask:i end_mask:i ellipsis_mask:i new_axis_mask:i shrink_axis_mask:i"),
    "flag": _read_flag,
    "value": lambda b: b.array("value", "u1", 8)[4:].tobytes(),
}


def encode(value: Any, kind: str) -> bytes:
    """A field as bytes."""
    if kind in ENUMERATIONS:
        return struct.pack("<I", ENUMERATIONS[kind].index(value))
    if len(kind) == 1:
        return struct.pack("<" + kind, value)
    if kind in DIMENSIONS:
        return struct.pack("<i", value.shape[DIMENSIONS[kind]])
    return _WRITERS[kind](value)


def encode_range(t: Tensor | None) -> bytes:
    """A memory range; maps in the AI RAM take whole rows. None gives the empty range."""
    if t is None:
        return bytes(16)
    size = t.map_rows * t.shape[0] * ROW_BYTES if t.pool == KPU_POOL else t.nbytes
    dtype = DTYPES.index("<f4" if t.dtype == np.float32 else "u1")
    return struct.pack("<4I", POOLS.index(t.pool), dtype, t.offset, size)


def encode_shape(shape: Shape) -> bytes:
    """Four dimensions."""
    return struct.pack("<4i", *shape)


_WRITERS: dict[str, Callable[[Any], bytes]] = {
    "range": encode_range,
    "shape": lambda t: encode_shape(t.shape),
    "dims": encode_shape,
    "clamp": lambda c: struct.pack("<2f", *c),
    "window": lambda w: struct.pack("<10i", *w.pad_h, *w.pad_w, *w.kernel, *w.stride, *w.dilation),
    "pads": lambda p: struct.pack("<8i", *(n for pair in p for n in pair)),
    "masks": lambda _: bytes(20),
    "flag": lambda f: struct.pack("<B3x", bool(f)),
    "value": lambda v: struct.pack("<I", 0) + v.tobytes().ljust(4, b"\0"),
}
