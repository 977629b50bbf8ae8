# SPDX-License-Identifier: Apache-2.0
"""Element-wise arithmetic: float and quantized binaries, unaries."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import libm
from .rounding import round_half_away, saturate, shift_carry, shift_round
from .types import Limits


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1/(1 + exp(-x)) in float32."""
    return np.float32(1) / (np.float32(1) + libm.expf(-x))


def sigmoid_v5(x: np.ndarray) -> np.ndarray:
    """1/(1 + exp(-x)) in float64, rounded once: the vendor's kernel calls C's double exp."""
    return (1 / (1 + np.exp(-x.astype(np.float64)))).astype(np.float32)


def _minimum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # C++ std::min and std::max return the first argument when a NaN is compared; numpy's return the NaN.
    return np.where(b < a, b, a)


def _maximum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(a < b, b, a)


def _integer_divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Truncating division; a zero divisor gives 0 (undefined in the vendor's code)."""
    safe = np.where(b == 0, 1, b)
    quotient = np.abs(a) // np.abs(safe) * (np.sign(a) * np.sign(safe))
    return np.where(b == 0, 0, quotient)


def _power(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return libm.powf(a, b) if a.dtype == np.float32 else np.power(a.astype(np.float64), b.astype(np.float64))


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a / b if np.issubdtype(np.result_type(a, b), np.floating) else _integer_divide(a, b)


BINARY: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": _divide, "min": _minimum, "max": _maximum,
    "pow": _power,
    "floor_div": np.floor_divide, "floor_mod": np.mod,
    "bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or, "bitwise_xor": np.bitwise_xor,
    "logical_and": np.logical_and, "logical_or": np.logical_or, "logical_xor": np.logical_xor,
}

COMPARE: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "equal": np.equal, "not_equal": np.not_equal, "greater": np.greater,
    "greater_equal": np.greater_equal, "less": np.less, "less_equal": np.less_equal,
}


def binary(a: np.ndarray, b: np.ndarray, op: str, limits: Limits) -> np.ndarray:
    """a op b with broadcasting, in the dtype of ``a``. Integers too are clamped as float32, which may round them
    (spec 4.5, 5.7)."""
    clipped = np.clip(BINARY[op](a, b).astype(np.float32), *np.asarray(limits, np.float32))
    return clipped if a.dtype == np.float32 else saturate(np.trunc(clipped), a.dtype)


def _rescaled(x: np.ndarray, offset: int, mul: int, shift: int) -> np.ndarray:
    return shift_round(x.astype(np.int64) + offset, mul, shift)


def quantized_binary(a: np.ndarray, b: np.ndarray, op: str, a_scale: tuple[int, int, int],
                     b_scale: tuple[int, int, int], out_scale: tuple[int, int, int]) -> np.ndarray:
    """uint8 a op b with broadcasting; scales are (offset, mul, shift) (spec 4.5)."""
    wide_a, wide_b = _rescaled(a, *a_scale), _rescaled(b, *b_scale)
    if op == "div":
        result = _integer_divide(wide_a + _integer_divide(wide_b, np.asarray(2)), wide_b)
    else:
        result = BINARY[op](wide_a, wide_b)
    offset, mul, shift = out_scale
    return saturate(shift_round(result, mul, shift) + offset)


def quantized_add_v3(a: np.ndarray, b: np.ndarray, a_scale: tuple[int, int, int],
                     b_scale: tuple[int, int, int], out_scale: tuple[int, int, int]) -> np.ndarray:
    """v3 QUANTIZED_ADD of uint8 vectors; scales are (offset, mul, shift) (spec 3.5)."""
    wide_a = (a.astype(np.int64) + a_scale[0]) * a_scale[1]
    wide_b = (b.astype(np.int64) + b_scale[0]) * b_scale[1]
    if a_scale[2] == b_scale[2]:
        total = (wide_a + wide_b) >> a_scale[2]
    else:
        total = (wide_a >> a_scale[2]) + (wide_b >> b_scale[2])
    offset, mul, shift = out_scale
    return saturate(shift_carry(total * mul, shift) + offset)


UNARY: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "abs": np.abs, "acos": libm.acosf, "asin": libm.asinf, "ceil": np.ceil,
    "cos": libm.cosf, "exp": libm.expf, "floor": np.floor, "log": libm.logf, "neg": np.negative,
    "round": round_half_away, "rsqrt": lambda x: 1 / np.sqrt(x), "sign": np.sign, "sin": libm.sinf,
    "sqrt": np.sqrt, "square": np.square, "tanh": libm.tanhf,
    "logical_not": np.logical_not, "erf": libm.erff,
}


def unary(x: np.ndarray, op: str) -> np.ndarray:
    """One function of every element, in the dtype of ``x``."""
    return UNARY[op](x).astype(x.dtype)
