# SPDX-License-Identifier: Apache-2.0
"""nnil_unary_method: a small stack program run for every element (spec/kmodel-format.md section 4.5)."""

from __future__ import annotations

import numpy as np

from .elementwise import BINARY, UNARY

_UNARY = dict(zip(range(0x20, 0x2A), ("abs", "ceil", "cos", "exp", "floor", "log", "neg", "rsqrt", "sin", "square"),
                  strict=True))
_BINARY = dict(zip(range(0x40, 0x46), ("add", "sub", "mul", "div", "min", "max"), strict=True))


def run(program: tuple[tuple[int, np.float32 | None], ...], x: np.ndarray) -> np.ndarray:
    """Apply a checked program of (opcode, immediate) to every element of the float32 array ``x``."""
    stack: list[np.ndarray] = []
    for op, immediate in program:
        if op == 0x01:
            stack.append(stack[-1])
        elif op == 0x02:
            stack.pop()
        elif op == 0x03:
            stack.append(x)
        elif op in (0x04, 0x05):
            stack.append(np.full_like(x, op - 0x04))
        elif op == 0x06:
            stack.append(np.full_like(x, immediate))
        elif op in _UNARY:
            stack.append(UNARY[_UNARY[op]](stack.pop()).astype(np.float32))
        elif op in _BINARY:
            b, a = stack.pop(), stack.pop()
            stack.append(BINARY[_BINARY[op]](a, b))
        elif op == 0x80:
            high, low, value = stack.pop(), stack.pop(), stack.pop()
            stack.append(np.clip(value, low, high))
        elif op == 0xA0:
            break
    return stack[-1]
