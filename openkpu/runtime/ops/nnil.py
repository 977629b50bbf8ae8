"""nnil_unary_method: a small stack program run for every element (spec/kmodel-format.md section 4.5)."""

from __future__ import annotations

import struct

import numpy as np

from ...errors import ModelError
from .elementwise import BINARY, UNARY

STACK_DEPTH = 64
_UNARY = dict(zip(range(0x20, 0x2A), ("abs", "ceil", "cos", "exp", "floor", "log", "neg", "rsqrt", "sin", "square"),
                  strict=True))
_BINARY = dict(zip(range(0x40, 0x46), ("add", "sub", "mul", "div", "min", "max"), strict=True))


def run(program: bytes, x: np.ndarray) -> np.ndarray:
    """Apply ``program`` to every element of the float32 array ``x``; ModelError on an illegal program."""
    stack: list[np.ndarray] = []
    at = 0

    def pop() -> np.ndarray:
        if not stack:
            raise ModelError(f"the nnil program pops an empty stack at byte {at}; the model file is damaged")
        return stack.pop()

    while at < len(program):
        op = program[at]
        at += 1
        with np.errstate(all="ignore"):
            if op == 0x00:
                continue
            if op == 0x01:
                value = pop()
                stack += [value, value]
            elif op == 0x02:
                pop()
            elif op == 0x03:
                stack.append(x)
            elif op in (0x04, 0x05):
                stack.append(np.full_like(x, op - 0x04))
            elif op == 0x06 and at + 4 <= len(program):
                stack.append(np.full_like(x, struct.unpack_from("<f", program, at)[0]))
                at += 4
            elif op in _UNARY:
                stack.append(UNARY[_UNARY[op]](pop()).astype(np.float32))
            elif op in _BINARY:
                b, a = pop(), pop()
                stack.append(BINARY[_BINARY[op]](a, b))
            elif op == 0x80:
                high, low, value = pop(), pop(), pop()
                stack.append(np.clip(value, low, high))
            elif op == 0xA0:
                return pop()
            else:
                raise ModelError(f"the nnil program has the unknown opcode {op:#04x} at byte {at - 1}; "
                                 "the model file is damaged")
        if len(stack) > STACK_DEPTH:
            raise ModelError(f"the nnil program needs more than {STACK_DEPTH} stack entries; the model file is damaged")
    raise ModelError("the nnil program ends without a ret instruction; the model file is damaged")
