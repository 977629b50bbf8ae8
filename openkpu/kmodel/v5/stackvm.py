# SPDX-License-Identifier: Apache-2.0
"""Decoding of kmodel v5 StackVM code (spec/kmodel-format.md 5.5 to 5.7).

The code of every known file is straight-line: it pushes constants and addresses, sets shape and padding registers
and calls tensor functions. So it can be decoded once, with every operand resolved, and no stack machine has to run.
Function numbers differ between compiler releases; ``decode`` follows one release's table and fails if it does not fit.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Any

from . import operators
from .code import Address, CallTensor, Instruction
from .operators import FUNCTIONS

RELEASES = ("1.0.0-beta1/rc1", "1.0.0-snapshot", "1.0", "1.1", "1.2", "1.3", "1.4-1.5", "1.6-1.7.0", "1.7.1", "1.8-1.9")
"""Compiler releases whose numbering is known, oldest first."""

DTYPES = ("i1", "<i2", "<i4", "<i8", "u1", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8", "bf16")
"""numpy dtypes by datatype number; bf16 has none."""

MAX_STACK = 4096
MAX_RANK = 8

# Section 5.6; one column per release, "1.3-1.5" counts for two.
_NUMBERS = """
BATCH_TO_SPACE     00 00 00 00 00 00 00 00 00
BINARY             01 01 01 01 01 01 01 01 01
BROADCAST          02 02 02 02 02 02 02 02 02
CALL               03 03 03 03 03 03 03 03 03
COMPARE            -  -  -  -  -  -  04 04 04
EQUAL              -  -  -  -  -  0B -  -  -
CLAMP              04 04 04 04 04 04 05 05 05
CONV2D             05 05 05 05 05 05 06 06 06
CONV2D_TRANSPOSE   06 06 06 06 06 06 07 07 07
CONVERT            07 07 07 07 07 07 08 08 08
COPY               08 08 08 08 08 08 09 09 09
CUMSUM             -  09 09 09 09 09 0A 0A 0A
DEQUANTIZE         09 0A 0A 0A 0A 0A 0B 0B 0B
GATHER             0A 0B 0B 0B 0B 0C 0C 0C 0C
GATHER_ND          0B 0C 0C 0C 0C 0D 0D 0D 0D
HARDMAX            -  -  0D 0D 0D 0E 0E 0E 0E
LOGISTIC           0C 0D 0E 0E 0E 0F 0F 0F 0F
LUT1D              0D 0E 0F 0F 0F 10 10 10 10
MATMUL             0E 0F 10 10 10 11 11 11 11
ONEHOT             0F 10 11 11 11 12 12 12 12
PAD                10 11 12 12 12 13 13 13 13
QUANTIZE           11 12 13 13 13 14 14 14 14
RANDOM_NORMAL      -  -  -  14 14 15 15 15 15
RANDOM_UNIFORM     -  -  -  15 15 16 16 16 16
REDUCE             12 13 14 16 16 17 17 17 17
REDUCE_ARG         -  14 15 17 17 18 18 18 18
REDUCE_PROD        -  -  -  18 18 19 19 19 19
REDUCE_WINDOW2D    13 15 16 19 19 1A 1A 1A 1A
RESIZE_IMAGE       14 16 17 1A 1A 1B 1B 1B 1B
ROI_ALIGN          -  -  -  -  1B 1C 1C 1C 1C
SIGMOID            -  -  -  -  1C 1D 1D 1D 1D
SLICE              15 17 18 1B 1D 1E 1E 1E 1E
SOFTMAX            16 18 19 1C 1E 1F 1F 1F 1F
SPACE_TO_BATCH     17 19 1A 1D 1F 20 20 20 20
TAKE               18 1A 1B 1E 20 21 21 21 21
TERNARY            -  -  -  1F 21 22 22 22 22
TOPK               -  -  -  -  22 23 23 23 23
TRANSPOSE          19 1B 1C 20 23 24 24 24 24
TRILU              -  -  -  -  24 25 25 25 25
UNARY              1A 1C 1D 21 25 26 26 26 26
GRU                -  -  -  -  -  -  -  27 27
TFLITE_DETECTION_POSTPROCESS - - - - - - - 28 28
LAYER_NORMALIZATION -  -  -  -  -  -  -  -  29
COMPRESS           -  -  -  -  -  -  -  -  2A
GATHER_ELEMENTS    -  -  -  -  -  -  -  -  2B
INSTANCE_NORMALIZATION - - - - - - - - 2C
"""

_CALL = {0: "function:I module:H num_src:B num_dst:B"}

_UNARY_BASE = ("abs", "ceil", "cos", "exp", "floor", "log", "neg", "round", "rsqrt", "sin", "sqrt", "square", "tanh",
               "bitwise_not", "logical_not")
_UNARY_ACOS = ("abs", "acos", "asin", *_UNARY_BASE[1:])
_UNARY_SIGN = (*_UNARY_ACOS[:11], "sign", *_UNARY_ACOS[11:])
ENUMERATIONS = operators.ENUMERATIONS | {"bool": (False, True)}
FIRST_WITH_INTERIOR = 3  # release 1.1
_SHARED_DATA = 4


class Mismatch(Exception):
    """The code does not follow the table; ``offset`` says how far it did.

    ``operator`` is the name of a function of the table that is not supported.
    """

    def __init__(self, offset: int, problem: str, operator: str = ""):
        super().__init__(problem)
        self.offset = offset
        self.operator = operator


def unary_ops(release: int) -> tuple[str, ...]:
    """Unary operators in the order of a release (section 5.7)."""
    if release < 2:
        return _UNARY_BASE
    if release == 2:
        return _UNARY_ACOS
    return _UNARY_SIGN if release < 9 else (*_UNARY_SIGN, "erf")


@cache
def functions(release: int) -> dict[int, str]:
    """Function names by number."""
    rows = [line.split() for line in _NUMBERS.strip().splitlines()]
    column = release + 1 if release < 6 else release
    return {int(row[column], 16): row[0] for row in rows if row[column] != "-"}


@cache
def signature(name: str, release: int) -> tuple[tuple[str, str], ...] | None:
    """(operand, kind) pairs of a function, or None if it cannot be decoded."""
    known = _CALL if name == "CALL" else FUNCTIONS[name].operands if name in FUNCTIONS else {}
    forms = [text for first, text in sorted(known.items()) if first <= release]
    return tuple(_operand(item) for item in forms[-1].split()) if forms else None


def _operand(item: str) -> tuple[str, str]:
    name, _, kind = item.partition(":")
    if not kind:
        kind = "dtype" if name.startswith("dt") else "padding" if name.startswith("p_") else "shape"
    return name, kind


class _Decoder:
    def __init__(self, code: memoryview, base: int, release: int):
        self.code = code
        self.base = base
        self.release = release
        self.pos = 0
        self.stack: list[int | float | Address] = []
        self.shapes: dict[int, tuple[int, ...]] = {}
        self.paddings: dict[int, tuple[tuple[int, int, int], ...]] = {}
        self.unread: set[tuple[str, int]] = set()

    def fail(self, problem: str) -> None:
        raise Mismatch(self.pos, problem)

    def read(self, kind: str) -> Any:
        size = struct.calcsize("<" + kind)
        if self.pos + size > len(self.code):
            self.fail("the code ends inside an instruction")
        (value,) = struct.unpack_from("<" + kind, self.code, self.pos)
        self.pos += size
        return value

    def push(self, value: int | float | Address) -> None:
        if len(self.stack) >= MAX_STACK:
            self.fail(f"the stack grows beyond {MAX_STACK} entries")
        self.stack.append(value)

    def pop(self, kind: type | tuple[type, ...]) -> Any:
        if not self.stack:
            self.fail("the stack underflows")
        value = self.stack.pop()
        if not isinstance(value, kind):
            self.fail(f"the stack holds {value} where another kind of value is needed")
        return value

    def pop_padding(self) -> tuple[int, int, int]:
        interior = self.pop(int) if self.release >= FIRST_WITH_INTERIOR else 0
        after, before = self.pop(int), self.pop(int)
        return before, after, interior

    def run(self) -> list[Instruction]:
        found: list[Instruction] = []
        # nncase 1.9 leaves out the final RET.
        while self.pos < len(self.code):
            start = self.pos
            opcode = self.read("B")
            if opcode == 0x59:  # RET
                if self.stack or self.pos != len(self.code):
                    self.fail("RET with values on the stack or code behind it")
                return found
            if opcode == 0x5E:  # TENSOR
                name, args = self._tensor()
                if self.stack:
                    self.fail(f"{name} leaves values on the stack")
                found.append(Instruction(self.base + start, self.pos - start, name, args, not self.unread))
                self.unread.clear()
            else:
                self._simple(opcode)
        if self.stack:
            self.fail("the code ends with values on the stack")
        return found

    def _simple(self, opcode: int) -> None:
        if opcode == 0x17:  # LEA_BUFFER
            location, _, offset = self.read("B"), self.read("B"), self.read("I")
            if location >= _SHARED_DATA:
                self.fail(f"LEA_BUFFER of location {location} is not supported")
            self.push(Address(location, offset))
        elif opcode == 0x02:  # LDC_I4
            self.push(self.read("i"))
        elif opcode == 0x05:  # LDC_R4
            self.push(self.read("f"))
        elif opcode == 0x31:  # STSHAPE
            register, rank = self.read("B"), self._rank()
            self.shapes[register] = tuple(self.pop(int) for _ in range(rank))[::-1]
            self.unread.add(("shape", register))
        elif opcode == 0x32:  # STPADDINGS
            register, rank = self.read("B"), self._rank()
            self.paddings[register] = tuple(self.pop_padding() for _ in range(rank))[::-1]
            self.unread.add(("padding", register))
        else:
            # Compilers emit none of the others, and accepting them would let wrong operator tables fit by accident.
            kind = "branch" if opcode in (0x56, 0x57, 0x58, 0x5A, 0x5B) else "instruction"
            self.pos -= 1
            self.fail(f"{kind} {opcode:#04x} is not supported (known compilers write straight-line code without it)")

    def _rank(self) -> int:
        rank = self.read("B")
        if rank > MAX_RANK:
            self.fail(f"a register of rank {rank} exceeds {MAX_RANK}")
        return rank

    def _tensor(self) -> tuple[str, dict[str, Any]]:
        number = self.read("H")
        name = functions(self.release).get(number)
        operands = signature(name, self.release) if name else None
        if name is None or operands is None:
            self.pos -= 3
            raise Mismatch(self.pos, f"tensor function {number:#x} ({name or 'unknown'}) is not supported", name or "")
        args = {operand: self._read_operand(operand, kind) for operand, kind in operands}
        if name == "CALL":
            args["dst"] = self._call_tensors(args["num_dst"])
            args["src"] = self._call_tensors(args["num_src"])
            return name, args
        for item in FUNCTIONS[name].pops.split():
            popped, _, kind = item.partition(":")
            args[popped] = (self.pop_padding() if kind == "p" else self.pop((int, float)) if kind == "n"
                            else self.pop(Address))
        return name, args

    def _read_operand(self, operand: str, kind: str) -> Any:
        if len(kind) == 1:
            return self.read(kind)
        value = self.read("B")
        if kind == "shape":
            return self._shape(operand, value)
        if kind == "padding":
            if value not in self.paddings:
                self.fail(f"padding register {value} is used before it is set")
            self.unread.discard(("padding", value))
            return self.paddings[value]
        names = DTYPES if kind == "dtype" else unary_ops(self.release) if kind == "unary" else ENUMERATIONS[kind]
        if value >= len(names):
            self.fail(f"{operand} = {value} is not within 0..{len(names) - 1}")
        return names[value]

    def _shape(self, operand: str, register: int) -> tuple[int, ...]:
        if register not in self.shapes:
            self.fail(f"shape register {register} ({operand}) is used before it is set")
        self.unread.discard(("shape", register))
        return self.shapes[register]

    def _call_tensors(self, count: int) -> tuple[CallTensor, ...]:
        found = []
        for _ in range(count):
            strides = self._shape("strides", self.pop(int))
            shape = self._shape("shape", self.pop(int))
            dtype = self.pop(int)
            if not 0 <= dtype < len(DTYPES):
                self.fail(f"datatype {dtype} of a CALL argument is unknown")
            found.append(CallTensor(self.pop(Address), DTYPES[dtype], shape, strides))
        return tuple(found[::-1])


def decode(code: memoryview, base: int, release: int) -> list[Instruction]:
    """The tensor functions of ``code`` by the table of ``RELEASES[release]``; ``base`` is its file offset.

    Raises
    ------
    Mismatch : an instruction is unknown or unsupported, an operand out of range, or the stack does not balance.
    """
    return _Decoder(code, base, release).run()
