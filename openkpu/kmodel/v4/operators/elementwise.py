# SPDX-License-Identifier: Apache-2.0
"""Elementwise arithmetic: binary, unary, small stack programs (spec/kmodel-format.md 4.4, 4.5)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....arithmetic import elementwise, nnil
from ...kernels import kernel
from ...model import InOut, TwoInOut
from ...record import Operator
from ...v5.operators import elementwise as v5
from ...window import Clamp
from ..fields import Body, encode_range

MAX_PROGRAM = 1024


@dataclass(frozen=True, eq=False, kw_only=True)
class Binary(TwoInOut):
    """``a`` op ``b`` with broadcasting, all four-dimensional."""

    op: str
    clamp: Clamp


def _operands(b: Body, dtype: str) -> dict[str, Any]:
    shapes = tuple(b.args[f"{name}.shape"] for name in ("a", "b", "out"))
    for dims in zip(*shapes, strict=True):
        if dims[0] not in (1, dims[2]) or dims[1] not in (1, dims[2]):
            b.fail("shapes", f"= {shapes} don't broadcast")
    return {"a": b.tensor("a", shapes[0], dtype), "b": b.tensor("b", shapes[1], dtype),
            "out": b.out(shapes[2], dtype)}


def _binary(b: Body) -> Binary:
    return Binary(**b.base, **_operands(b, "<f4"), **b.given("op", "clamp"))


kernel(Binary)(v5.binary)


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantizedBinary(TwoInOut):
    """uint8, four-dimensional, with broadcasting; shifts are 0..62."""

    op: str
    a_offset: int
    a_mul: int
    a_shift: int
    b_offset: int
    b_mul: int
    b_shift: int
    out_offset: int
    out_mul: int
    out_shift: int


def _quantized_binary(b: Body) -> QuantizedBinary:
    return QuantizedBinary(**b.base, **_operands(b, "u1"), **b.given(
        "op", "a_offset", "a_mul", "a_shift", "b_offset", "b_mul", "b_shift", "out_offset", "out_mul", "out_shift"))


@kernel(QuantizedBinary)
def quantized_binary(op: QuantizedBinary, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return elementwise.quantized_binary(a, b, op.op, (op.a_offset, op.a_mul, op.a_shift),
                                        (op.b_offset, op.b_mul, op.b_shift), (op.out_offset, op.out_mul, op.out_shift))


@dataclass(frozen=True, eq=False, kw_only=True)
class Unary(InOut):
    """(n,)."""

    op: str


def _unary(b: Body) -> Unary:
    source, target = b.vectors("<f4", "<f4")
    return Unary(**b.base, input=source, out=target, op=b.args["op"])


kernel(Unary)(v5.unary)


@dataclass(frozen=True, eq=False, kw_only=True)
class NnilUnaryMethod(InOut):
    """(n,); ``program``: (opcode, immediate or None) with balanced stack use, ending in ret (0xA0)."""

    program: tuple[tuple[int, np.float32 | None], ...]


# Stack entries popped and pushed by each nnil opcode (section 4.5).
_NNIL = ({0x00: (0, 0), 0x01: (1, 2), 0x02: (1, 0), 0x03: (0, 1), 0x04: (0, 1), 0x05: (0, 1), 0x06: (0, 1),
          0x80: (3, 1), 0xA0: (1, 0)}
         | {code: (1, 1) for code in range(0x20, 0x2A)} | {code: (2, 1) for code in range(0x40, 0x46)})
_NNIL_STACK = 64


def _nnil_unary_method(b: Body) -> NnilUnaryMethod:
    source, target = b.vectors("<f4", "<f4")
    program: list[tuple[int, np.float32 | None]] = []
    depth = 0
    while not program or program[-1][0] != 0xA0:
        (code,) = b.fields("nnil_opcode:B")
        if code not in _NNIL:
            b.fail("nnil opcode", f"= {code:#x} is unknown", offset=b.pos - 1)
        popped, pushed = _NNIL[code]
        depth -= popped
        if depth < 0 or depth + pushed > _NNIL_STACK or len(program) >= MAX_PROGRAM:
            b.fail("nnil program", f"needs a stack outside 0..{_NNIL_STACK} or more than {MAX_PROGRAM} steps")
        depth += pushed
        program.append((code, np.float32(b.fields("immediate:f")[0]) if code == 0x06 else None))
    b.work(len(program) * source.count)
    return NnilUnaryMethod(**b.base, input=source, out=target, program=tuple(program))


def _write_program(layer: Any, _: int) -> bytes:
    code = b"".join(bytes((op,)) + (b"" if value is None else struct.pack("<f", value)) for op, value in layer.program)
    return encode_range(layer.input) + encode_range(layer.out) + code


@kernel(NnilUnaryMethod)
def nnil_unary_method(op: NnilUnaryMethod, x: np.ndarray) -> np.ndarray:
    return nnil.run(op.program, x)


_SHAPES = "a:range b:range out:range op:binary a:shape b:shape out:shape"
OPERATORS = {
    "binary": Operator(f"{_SHAPES} clamp:clamp", _binary),
    "quantized_binary": Operator(f"{_SHAPES} a_offset:i a_mul:i a_shift:i b_offset:i b_mul:i b_shift:i out_offset:i "
                                 "out_mul:i out_shift:i", _quantized_binary),
    "unary": Operator("input:range out:range op:unary", _unary),
    "nnil_unary_method": Operator("input:range out:range", _nnil_unary_method, _write_program),
}
