# SPDX-License-Identifier: Apache-2.0
"""Encoding of kmodel v5 StackVM code, by the tables that decode it (spec/kmodel-format.md 5.5 to 5.7)."""

from __future__ import annotations

import struct
from typing import Any

from .code import Address, CallTensor
from .operators import FUNCTIONS
from .stackvm import (
    DTYPES,
    ENUMERATIONS,
    FIRST_WITH_INTERIOR,
    RELEASES,
    functions,
    signature,
    unary_ops,
)

LDC_I4, LDC_R4, LEA_BUFFER, STSHAPE, STPADDINGS, RET, TENSOR = 0x02, 0x05, 0x17, 0x31, 0x32, 0x59, 0x5E


class Unencodable(Exception):
    """The release's numbering has no such function."""


def encode(name: str, args: dict[str, Any], release: str) -> bytes:
    """One tensor function with the operands that ``stackvm.decode`` gives for it.

    Raises
    ------
    Unencodable : the release has no number or form for the function.
    """
    return _Encoder(RELEASES.index(release)).function(name, args)


class _Encoder:
    def __init__(self, release: int):
        self.release = release
        self.registers: dict[str, list[Any]] = {"shape": [], "padding": []}
        self.head = b""

    def function(self, name: str, args: dict[str, Any]) -> bytes:
        numbers = {found: number for number, found in functions(self.release).items()}
        operands = signature(name, self.release) if name in numbers else None
        if operands is None:
            raise Unencodable(f"nncase {RELEASES[self.release]} has no {name}")
        pushed = self._call(args) if name == "CALL" else b"".join(
            self._push(args[item.partition(":")[0]], item.partition(":")[2])
            for item in reversed(FUNCTIONS[name].pops.split()))
        body = b"".join(self._operand(args[operand], kind) for operand, kind in operands)
        return self.head + pushed + struct.pack("<BH", TENSOR, numbers[name]) + body

    def _operand(self, value: Any, kind: str) -> bytes:
        if len(kind) == 1:
            return struct.pack("<" + kind, value)
        if kind in ("shape", "padding"):
            return bytes((self._register(kind, value),))
        names: tuple = DTYPES if kind == "dtype" else unary_ops(self.release) if kind == "unary" else ENUMERATIONS[kind]
        if value not in names:
            raise Unencodable(f"nncase {RELEASES[self.release]} has no {kind} {value}")
        return bytes((names.index(value),))

    def _register(self, kind: str, value: tuple) -> int:
        """The register that holds ``value``; it is set in front of the function."""
        known = self.registers[kind]
        if value not in known:
            known.append(value)
            number = len(known) - 1
            if kind == "shape":
                self.head += b"".join(map(_integer, value)) + bytes((STSHAPE, number, len(value)))
            else:
                entries = 3 if self.release >= FIRST_WITH_INTERIOR else 2
                self.head += b"".join(_integer(n) for pad in value for n in pad[:entries])
                self.head += bytes((STPADDINGS, number, len(value)))
        return known.index(value)

    def _push(self, value: Any, kind: str) -> bytes:
        if kind == "p":
            entries = 3 if self.release >= FIRST_WITH_INTERIOR else 2
            return b"".join(_integer(n) for n in value[:entries])
        if kind == "n":
            return _integer(value) if isinstance(value, int) else struct.pack("<Bf", LDC_R4, value)
        return _address(value)

    def _call(self, args: dict[str, Any]) -> bytes:
        return b"".join(map(self._call_tensor, (*args["src"], *args["dst"])))

    def _call_tensor(self, t: CallTensor) -> bytes:
        shape, strides = self._register("shape", t.shape), self._register("shape", t.strides)
        return _address(t.address) + _integer(DTYPES.index(t.dtype)) + _integer(shape) + _integer(strides)


def _integer(value: int) -> bytes:
    return struct.pack("<Bi", LDC_I4, value)


def _address(address: Address) -> bytes:
    return struct.pack("<3BI", LEA_BUFFER, address.location, 0, address.offset)
