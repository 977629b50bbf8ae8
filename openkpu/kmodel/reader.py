# SPDX-License-Identifier: Apache-2.0
"""Bounds-checked reading: the only way the loaders touch a file (spec/kmodel-format.md section 9)."""

from __future__ import annotations

import math
import struct
from functools import lru_cache
from typing import NoReturn

import numpy as np

from ..errors import ModelError
from ..hw.fields import AIRAM_BYTES, ROW_BYTES
from .model import KPU_POOL, Pool, Tensor

MAX_FILE = 64 << 20
"""Bytes of a file that is looked at; the K210's flash holds 16 MiB."""
MAX_MEMORY = 64 << 20
"""Bytes of all RAM pools together; the K210 has 6 MiB."""
MAX_LAYERS = 1 << 14
MAX_OPERANDS = 1 << 17
MAX_ELEMENTS = 1 << 28
"""Elements of one tensor, and elementary steps of one host operator."""
MAX_DIMENSION = 65535
MAX_WORK = 1 << 36
"""Multiply-accumulates and elementary steps of a whole model; the largest known one needs 2^32."""

DAMAGED = "the file is damaged: copy or download it again, or convert the network again"
TRUNCATED = "the file is truncated: copy or download it again"


class Context:
    """What all readers of one file share: its name, format, warnings and budgets."""

    def __init__(self, source: str, version: str):
        self.source = source
        self.version = version
        self.warnings: list[str] = []
        self._operands = 0
        self._work = 0

    def fail(self, message: str, *, offset: int | None = None, field: str = "", advice: str = DAMAGED) -> NoReturn:
        """Raise ModelError with one sentence: file, format, ``message``, advice."""
        where = f"{self.source}: " if self.source else ""
        raise ModelError(f"{where}{self.version}: {message}; {advice}",
                         source=self.source, version=self.version, offset=offset, field=field)

    def warn(self, message: str) -> None:
        """Note a harmless oddity once."""
        if message not in self.warnings and len(self.warnings) < 32:
            self.warnings.append(message)

    def spend(self, operands: int = 0, work: int = 0) -> None:
        """Count operands and elementary steps; a file that asks for absurdly many is refused."""
        self._operands += operands
        self._work += work
        if self._operands > MAX_OPERANDS:
            self.fail(f"more than {MAX_OPERANDS} operands", field="layers")
        if self._work > MAX_WORK:
            self.fail(f"running the model needs more than 2^{MAX_WORK.bit_length() - 1} steps", field="layers")


@lru_cache(maxsize=256)
def _layout(text: str) -> tuple[struct.Struct, tuple[str, ...]]:
    pairs = [item.split(":") for item in text.split()]
    return struct.Struct("<" + "".join(code for _, code in pairs)), tuple(name for name, _ in pairs)


class Reader:
    """A cursor over ``data[start:end]``; ``place`` says in messages what is read ("layer 3 KL_ADD")."""

    def __init__(self, context: Context, data: memoryview, start: int, end: int, place: str):
        self.context = context
        self.data = data
        self.pos = start
        self.end = end
        self.place = place

    def fail(self, field: str, problem: str, *, offset: int | None = None, advice: str = DAMAGED) -> NoReturn:
        """Raise ModelError about ``field``."""
        at = self.pos if offset is None else offset
        self.context.fail(f"{self.place} at byte {at:#x}: {field} {problem}", offset=at, field=field, advice=advice)

    @property
    def left(self) -> int:
        return self.end - self.pos

    def need(self, size: int, field: str) -> int:
        """Check that ``size`` more bytes exist, step over them and return where they start."""
        if not 0 <= size <= self.end - self.pos:
            self.fail(field, f"needs {size} bytes but only {self.end - self.pos} are left", advice=TRUNCATED)
        start = self.pos
        self.pos += size
        return start

    def fields(self, layout: str) -> tuple:
        """Little-endian fields, written as "name:code name:code" with the codes of ``struct``."""
        packed, names = _layout(layout)
        if packed.size > self.end - self.pos:
            self.fail(names[0], f"to {names[-1]} need {packed.size} bytes but only {self.left} are left",
                      advice=TRUNCATED)
        values = packed.unpack_from(self.data, self.pos)
        self.pos += packed.size
        return values

    def array(self, field: str, dtype: str, *shape: int) -> np.ndarray:
        """A read-only view of the next ``shape`` elements."""
        if min(shape) < 0:
            self.fail(field, f"has the impossible shape {shape}")
        count = math.prod(shape)
        start = self.need(count * np.dtype(dtype).itemsize, field)
        return np.frombuffer(self.data, dtype, count, start).reshape(shape)

    def at(self, start: int, size: int, field: str) -> Reader:
        """A reader of ``size`` bytes anywhere in the file."""
        if start + size > len(self.data):
            self.fail(field, f"= {start:#x} with {size} bytes ends behind the file ({len(self.data)} bytes)",
                      advice=TRUNCATED)
        return Reader(self.context, self.data, start, start + size, f"{self.place} {field}")

    def dims(self, field: str, *dims: int) -> tuple[int, ...]:
        """Check 1 <= dimension <= 65535."""
        if min(dims) < 1 or max(dims) > MAX_DIMENSION:
            self.fail(field, f"= {dims} is not within 1..{MAX_DIMENSION}")
        return dims

    def choice(self, field: str, value: int, names: tuple[str, ...]) -> str:
        """The name of an enumerator."""
        if not 0 <= value < len(names):
            self.fail(field, f"= {value} is unknown (0..{len(names) - 1})")
        return names[value]

    def within(self, field: str, value: int, low: int, high: int) -> int:
        """Check low <= value <= high."""
        if not low <= value <= high:
            self.fail(field, f"= {value} is not within {low}..{high}")
        return value

    def finite(self, field: str, value: float, *, zero: bool = True) -> np.float32:
        """Check that a float parameter is a number, and not zero unless ``zero``."""
        if not math.isfinite(value) or (value == 0 and not zero):
            self.fail(field, f"= {value} is not a usable number")
        return np.float32(value)

    def clamp(self, low: float, high: float) -> tuple[np.float32, np.float32]:
        """A fused activation range; infinities are allowed."""
        if math.isnan(low) or math.isnan(high) or low > high:
            self.fail("fused activation", f"({low}, {high}) is not a range")
        return np.float32(low), np.float32(high)


class Memory:
    """The pools of a model; makes tensors that are known to lie inside them."""

    def __init__(self, context: Context):
        self.context = context
        self.pools: dict[str, Pool] = {}
        self._ram = 0

    def add(self, reader: Reader, field: str, name: str, size: int, data: np.ndarray | None = None) -> None:
        """Add a pool of ``size`` bytes."""
        self.pools[name] = Pool(name, size, data)
        self._ram += size if data is None else 0
        if self._ram > MAX_MEMORY:
            reader.fail(field, f"= {size} bytes makes {self._ram} bytes of memory, more than {MAX_MEMORY >> 20} MiB "
                               "(the K210 has 6 MiB)")

    def tensor(self, reader: Reader, field: str, pool: str, offset: int, dtype: str | np.dtype,
               shape: tuple[int, ...], strides: tuple[int, ...] | None = None, *, write: bool = False) -> Tensor:
        """A tensor in a host pool; ``write`` refuses constants."""
        if shape and min(shape) < 1 or math.prod(shape) > MAX_ELEMENTS:
            reader.fail(field, f"has the impossible shape {shape}")
        if strides is not None and (len(strides) != len(shape) or (strides and min(strides) < 0)):
            reader.fail(field, f"has strides {strides} that don't fit its shape {shape}")
        tensor = Tensor(pool, offset, np.dtype(dtype), shape, strides or ())
        size = self.pools[pool].size
        if offset < 0 or offset + tensor.extent > size:
            reader.fail(field, f"= {offset:#x} with {tensor.extent} bytes ends behind the {pool} memory ({size} bytes)")
        if write:
            if self.pools[pool].data is not None:
                reader.fail(field, f"would be written into constants ({pool})")
            if any(n > 1 and s == 0 for n, s in zip(shape, tensor.strides, strict=True)):
                reader.fail(field, f"with shape {shape} and strides {tensor.strides} overlaps itself")
        self.context.spend(operands=1)
        return tensor

    def kpu(self, reader: Reader, field: str, offset: int, shape: tuple[int, ...]) -> Tensor:
        """Maps (N, C, H, W) in the AI RAM at byte ``offset``."""
        if len(shape) != 4 or min(shape) < 1 or math.prod(shape) > AIRAM_BYTES:
            reader.fail(field, f"has the shape {shape}, which does not fit the AI RAM ({AIRAM_BYTES} bytes)")
        if offset % ROW_BYTES:
            reader.fail(field, f"= {offset:#x} is not a multiple of {ROW_BYTES} bytes")
        tensor = Tensor(KPU_POOL, offset, np.dtype("u1"), shape)
        end = offset + tensor.map_rows * shape[0] * ROW_BYTES
        if end > AIRAM_BYTES:
            reader.fail(field, f"= {offset:#x} with shape {shape} ends at {end:#x}, behind the AI RAM "
                               f"({AIRAM_BYTES:#x} bytes)", advice="the network is too large for the K210, or "
                                                                  "the file is damaged: convert it again")
        self.context.spend(operands=1)
        return tensor
