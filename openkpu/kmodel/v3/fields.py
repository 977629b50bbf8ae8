# SPDX-License-Identifier: Apache-2.0
"""The fields of kmodel v3 bodies, read and written (spec/kmodel-format.md 3.3, 3.4).

Every body begins with the flags. The kinds of the fields behind them are ``address`` (u32 offset in the main memory),
``row`` (64-byte row of the AI RAM), ``count`` (elements), ``d0``, ``d1``, ... (a dimension, u32), ``I`` u32, ``i`` i32
(0..62 where the name ends in "shift"), ``f`` float32 and ``zero`` (a u32 that nobody reads).
"""

from __future__ import annotations

import struct
from typing import Any

from ...hw.fields import ROW_BYTES
from ..model import Tensor
from ..reader import Context, Memory
from ..record import RecordReader

_NAMES = {"input": "in", "a": "in_a", "b": "in_b"}
"""What the specification calls a tensor's address, where that is not the name."""


class Body(RecordReader):
    """A layer's body: a reader that knows the memories."""

    def __init__(self, context: Context, data: memoryview, start: int, end: int, place: str, memory: Memory,
                 base: dict[str, Any], eight_bit: bool):
        super().__init__(context, data, start, end, place)
        self.memory = memory
        self.base = base
        self.eight_bit = eight_bit

    def read_record(self, record: str) -> None:
        """Read the flags and everything in front of the arrays into ``args``."""
        (flags,) = self.fields("flags:I")
        super().read_record(record)
        self.args["flags"] = flags

    def read_field(self, name: str, kind: str) -> None:
        """Read one field into ``args``."""
        if kind in ("address", "row"):
            (self.args[name],) = self.fields(f"{_NAMES.get(name, name)}:I")
        elif len(kind) == 1:
            (value,) = self.fields(f"{name}:{kind}")
            if kind == "i" and name.endswith("shift"):
                self.within(name, value, 0, 62)
            self.args[name] = value
        elif kind == "zero":
            self.fields("unused:I")
        else:
            (self.args[f"{name}.{kind}"],) = self.fields(f"{name}_{kind}:I")

    def given(self, *names: str) -> dict[str, Any]:
        """Fields that go into the layer as they are."""
        return {name: self.args[name] for name in names}

    def tensor(self, name: str, dtype: str, shape: tuple[int, ...]) -> Tensor:
        """The tensor at the address read as ``name``."""
        return self.memory.tensor(self, _NAMES.get(name, name), "main", self.args[name], dtype, shape)

    def out(self, dtype: str, shape: tuple[int, ...]) -> Tensor:
        """The result in the main memory."""
        return self.memory.tensor(self, "out", "main", self.args["out"], dtype, shape, write=True)

    def out_map(self, shape: tuple[int, ...]) -> Tensor:
        """The result in the AI RAM."""
        return self.memory.kpu(self, "out", self.args["out"] * ROW_BYTES, shape)


def encode(value: Any, kind: str) -> bytes:
    """A field as bytes."""
    if len(kind) == 1:
        return struct.pack("<" + kind, value)
    if kind[0] == "d":
        return struct.pack("<I", value.shape[int(kind[1:])])
    return struct.pack("<I", {"address": lambda: value.offset, "row": lambda: value.offset // ROW_BYTES,
                              "count": lambda: value.count, "zero": lambda: 0}[kind]())
