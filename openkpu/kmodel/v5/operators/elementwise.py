# SPDX-License-Identifier: Apache-2.0
"""Elementwise arithmetic: binary, compare, unary, sigmoid, choice (spec/kmodel-format.md 5.7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....arithmetic import elementwise
from ....errors import ModelError
from ...kernels import kernel
from ...model import InOut, Layer, Tensor, TwoInOut
from ...window import Clamp
from ..frame import FLOAT, Frame, Function

BINARY_OPS = ("add", "sub", "mul", "div", "min", "max", "pow", "floor_div", "floor_mod", "bitwise_and", "bitwise_or",
              "bitwise_xor", "logical_and", "logical_or", "logical_xor")
COMPARE_OPS = ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")


@dataclass(frozen=True, eq=False, kw_only=True)
class Binary(TwoInOut):
    """``a`` op ``b``, broadcasting right-aligned; float32, int32 or int64."""

    op: str
    clamp: Clamp


def _binary(f: Frame) -> Layer:
    a = f.args
    dtype = f.only("datatype", a["dt"], "<f4", "<i4", "<i8")
    shape = f.broadcast(a["s_a"], a["s_b"])
    if a.get("s_out", shape) != shape:
        f.fail("output shape", f"= {a['s_out']} is not {shape}")
    return Binary(**f.base(), a=f.tensor("a", dtype, a["s_a"], a["t_a"]), out=f.out(shape), op=a["op"],
                  b=f.tensor("b", dtype, a["s_b"], a["t_b"]), clamp=f.clamp())


@kernel(Binary)
def binary(op: Binary, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype == np.float32 and op.op.startswith("bitwise"):
        raise ModelError(f"layer {op.index} ({op.name}) is {op.op} of floats, which is not defined")
    return elementwise.binary(a, b, op.op, op.clamp)


@dataclass(frozen=True, eq=False, kw_only=True)
class Compare(TwoInOut):
    """uint8 truth values of ``a`` op ``b``, broadcasting right-aligned."""

    op: str


def _compare(f: Frame) -> Layer:
    a = f.args
    shape = f.broadcast(a["s_a"], a["s_b"])
    if a.get("s_out", shape) != shape:
        f.fail("output shape", f"= {a['s_out']} is not {shape}")
    return Compare(**f.base(), a=f.tensor("a", a["dt"], a["s_a"], a["t_a"]),
                   b=f.tensor("b", a["dt"], a["s_b"], a["t_b"]), out=f.out(shape, "u1"), op=a.get("op", "equal"))


@kernel(Compare)
def compare(op: Compare, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return elementwise.COMPARE[op.op](a, b)


@dataclass(frozen=True, eq=False, kw_only=True)
class Unary(InOut):
    """``op``: abs, acos, asin, ceil, cos, exp, floor, log, neg, round, rsqrt, sign, sin, sqrt, square, tanh,
    bitwise_not, logical_not or erf."""

    op: str


def _unary(f: Frame) -> Layer:
    f.only("datatype", f.args["dt"], FLOAT)
    source, target = f.pair()
    return Unary(**f.base(), input=source, out=target, op=f.args["op"])


@kernel(Unary)
def unary(op: Unary, x: np.ndarray) -> np.ndarray:
    if op.op == "bitwise_not":
        raise ModelError(f"layer {op.index} ({op.name}) is {op.op} of floats, which is not defined")
    return elementwise.unary(x, op.op)


@dataclass(frozen=True, eq=False, kw_only=True)
class Sigmoid(InOut):
    """1/(1+exp(-x)), float32."""


def _sigmoid(f: Frame) -> Layer:
    a = f.args
    return Sigmoid(**f.base(), input=f.tensor("in", a["dt"], a["s"], a["t_in"]),
                   out=f.out(a["s"], strides="t_out" if "t_out" in a else "t_in"))


@kernel(Sigmoid)
def sigmoid(op: Sigmoid, x: np.ndarray) -> np.ndarray:
    return elementwise.sigmoid_v5(x)


@dataclass(frozen=True, eq=False, kw_only=True)
class Ternary(Layer):
    """``b`` where ``cond`` is not 0, else ``c``, broadcasting right-aligned."""

    cond: Tensor
    b: Tensor
    c: Tensor
    out: Tensor


def _ternary(f: Frame) -> Layer:
    a = f.args
    shape = f.broadcast(a["s_a"], a["s_b"], a["s_c"])
    return Ternary(**f.base(), cond=f.tensor("a", FLOAT, a["s_a"], a["t_a"]),
                   b=f.tensor("b", a["dt"], a["s_b"], a["t_b"]), c=f.tensor("c", a["dt"], a["s_c"], a["t_c"]),
                   out=f.out(shape))


@kernel(Ternary)
def ternary(op: Ternary, cond: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    return np.where(cond != 0, b, c)


FUNCTIONS = {
    "BINARY": Function(
        {0: "dt s_a t_a s_b t_b t_out op:binary lo:f hi:f",
         6: "dt s_a t_a s_b t_b s_out t_out op:binary lo:f hi:f"},
        "out b a", _binary),
    "COMPARE": Function({7: "dt s_a t_a s_b t_b s_out t_out op:compare"}, "out b a", _compare),
    "EQUAL": Function({5: "dt s_a t_a s_b t_b t_out"}, "out b a", _compare),
    "UNARY": Function({0: "dt s t_in t_out op:unary"}, "out in", _unary),
    "SIGMOID": Function({4: "dt s t_in", 5: "dt s t_in t_out"}, "out in", _sigmoid),
    "TERNARY": Function({0: "dt s_a t_a s_b t_b s_c t_c t_out"}, "out c b a", _ternary),
}
ENUMERATIONS: dict[str, tuple] = {"binary": BINARY_OPS, "compare": COMPARE_OPS}
