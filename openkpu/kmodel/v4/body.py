"""Reading a kmodel v4 node body: memory ranges, shapes, windows (spec/kmodel-format.md 4.1, 4.4)."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..model import KPU_POOL, Tensor
from ..reader import MAX_DIMENSION, MAX_ELEMENTS, Context, Memory, Reader
from . import ops
from .records import DTYPES, POOLS

Shape = tuple[int, ...]


class Range(NamedTuple):
    """A memory range of the file that lies inside its pool."""

    field: str
    pool: str
    dtype: str
    start: int
    size: int


class Body(Reader):
    """A node body: a reader that knows ranges, shapes and the pools."""

    def __init__(self, context: Context, data: memoryview, start: int, end: int, place: str, memory: Memory):
        super().__init__(context, data, start, end, place)
        self.memory = memory

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

    def tensor(self, found: Range, shape: Shape, dtype: str, *, write: bool = False) -> Tensor:
        """The tensor of ``shape`` and ``dtype`` that fills the range exactly."""
        if found.pool == KPU_POOL:
            self.fail(found.field, "is in the KPU's RAM, which only KPU layers and uploads use")
        if dtype != found.dtype:
            self.fail(found.field, f"has datatype {found.dtype}, but the operator works on {dtype}")
        return self._sized(found, shape, dtype, write)

    def bytes_of(self, found: Range, *shape: int, write: bool = False) -> Tensor:
        """The range as bytes of any datatype."""
        if found.pool == KPU_POOL:
            self.fail(found.field, "is in the KPU's RAM, which only KPU layers and uploads use")
        return self._sized(found, shape, "u1", write)

    def _sized(self, found: Range, shape: Shape, dtype: str, write: bool) -> Tensor:
        size = prod(shape) * np.dtype(dtype).itemsize
        if size != found.size:
            self.fail(found.field, f"has {found.size} bytes, but its shape {shape} needs {size}")
        return self.memory.tensor(self, found.field, found.pool, found.start, dtype, shape, write=write)

    def vector(self, found: Range, dtype: str, *, write: bool = False) -> Tensor:
        """The range as a one-dimensional tensor."""
        return self.tensor(found, (found.size // np.dtype(dtype).itemsize,), dtype, write=write)

    def window(self) -> ops.Window:
        """PD h, PD w, kernel, stride, dilation."""
        top, bottom, left, right, *rest = self.fields(
            "pad_h_before:i pad_h_after:i pad_w_before:i pad_w_after:i filter_h:i filter_w:i stride_h:i stride_w:i "
            "dilation_h:i dilation_w:i")
        for value in (top, bottom, left, right):
            self.within("padding", value, 0, MAX_DIMENSION)
        kh, kw, sh, sw, dh, dw = self.dims("filter, stride, dilation", *rest)
        return ops.Window((top, bottom), (left, right), (kh, kw), (sh, sw), (dh, dw))

    def windowed(self, height: int, width: int, w: ops.Window) -> tuple[int, int]:
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

    def clamps(self) -> ops.Clamp:
        """CL: the fused activation."""
        return self.clamp(*self.fields("low:f high:f"))

    def requantize(self, names: str) -> dict[str, Any]:
        """i32 parameters; every shift is 0..62."""
        values = dict(zip(names.split(), self.fields(" ".join(f"{n}:i" for n in names.split())), strict=True))
        for name, value in values.items():
            if name.endswith("shift"):
                self.within(name, value, 0, 62)
        return values
