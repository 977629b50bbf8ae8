# SPDX-License-Identifier: Apache-2.0
"""Additions and the logistic function (spec/kmodel-format.md 3.4, 3.5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....arithmetic import elementwise
from ...kernels import kernel
from ...model import InOut, TwoInOut
from ...record import Operator
from ..fields import Body


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(TwoInOut):
    """(count,) + (count,)."""


def _add(b: Body) -> Add:
    shape = (b.args["out.count"],)
    return Add(**b.base, a=b.tensor("a", "<f4", shape), b=b.tensor("b", "<f4", shape), out=b.out("<f4", shape))


@kernel(Add)
def add(op: Add, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a + b


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantizedAdd(TwoInOut):
    """uint8 (count,); offsets, multipliers and shifts are int32."""

    a_offset: int
    a_mul: int
    a_shift: int
    b_offset: int
    b_mul: int
    b_shift: int
    o_offset: int
    o_mul: int
    o_shift: int


def _quantized_add(b: Body) -> QuantizedAdd:
    shape = (b.args["out.count"],)
    return QuantizedAdd(**b.base, a=b.tensor("a", "u1", shape), b=b.tensor("b", "u1", shape), out=b.out("u1", shape),
                        **b.given("a_offset", "a_mul", "a_shift", "b_offset", "b_mul", "b_shift", "o_offset", "o_mul",
                                  "o_shift"))


@kernel(QuantizedAdd)
def quantized_add(op: QuantizedAdd, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return elementwise.quantized_add_v3(a, b, (op.a_offset, op.a_mul, op.a_shift), (op.b_offset, op.b_mul, op.b_shift),
                                        (op.o_offset, op.o_mul, op.o_shift))


@dataclass(frozen=True, eq=False, kw_only=True)
class Logistic(InOut):
    """(channels,)."""


def _logistic(b: Body) -> Logistic:
    shape = (b.args["input.count"],)
    return Logistic(**b.base, input=b.tensor("input", "<f4", shape), out=b.out("<f4", shape))


@kernel(Logistic)
def logistic(op: Logistic, x: np.ndarray) -> np.ndarray:
    return elementwise.sigmoid(x)


_TWO = "a:address b:address out:address out:count"
OPERATORS = {
    "KL_ADD": Operator(_TWO, _add),
    "KL_QUANTIZED_ADD": Operator(f"{_TWO} a_offset:i a_mul:i a_shift:i b_offset:i b_mul:i b_shift:i o_offset:i o_mul:i "
                                 "o_shift:i", _quantized_add),
    "KL_LOGISTIC": Operator("input:address out:address input:count", _logistic),
}
