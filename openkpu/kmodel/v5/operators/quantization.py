# SPDX-License-Identifier: Apache-2.0
"""Quantization, casts and table look-up (spec/kmodel-format.md 5.7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ....arithmetic import quantize
from ....arithmetic.rounding import saturate
from ....errors import ModelError
from ...kernels import CHIP_KERNELS, kernel
from ...model import InOut, Layer, Tensor
from ..frame import FLOAT, Frame, Function, checked_indices


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantize(InOut):
    """float32 -> (u)int8: rint(x*scale + bias), clamped."""

    scale: np.float32
    bias: np.float32


def _scaled(cls: type, quantize: bool) -> Callable[[Frame], Layer]:
    def build(f: Frame) -> Layer:
        a = f.args
        real, code = (a["dt"], a["dt_out"]) if quantize else (a["dt_out"], a["dt"])
        f.only("datatype", real, FLOAT)
        f.only("datatype", code, "u1", "i1")
        return cls(**f.base(), input=f.tensor("in", a["dt"], a["s"], a["t_in"]), out=f.out(a["s"], a["dt_out"]),
                   scale=f.reader.finite("scale", a["scale"]), bias=f.reader.finite("bias", a["bias"]))
    return build


@kernel(Quantize)
def quantize_(op: Quantize, x: np.ndarray) -> np.ndarray:
    return quantize.quantize(x, op.scale, op.bias, "even", op.out.dtype)


@kernel(Quantize, table=CHIP_KERNELS)
def quantize_on_chip(op: Quantize, x: np.ndarray) -> np.ndarray:
    return quantize.quantize(x, op.scale, op.bias, "chip", op.out.dtype)


@dataclass(frozen=True, eq=False, kw_only=True)
class Dequantize(InOut):
    """(u)int8 -> float32: q*scale + bias."""

    scale: np.float32
    bias: np.float32


@kernel(Dequantize)
def dequantize(op: Dequantize, x: np.ndarray) -> np.ndarray:
    return quantize.dequantize(x, op.scale, op.bias)


@dataclass(frozen=True, eq=False, kw_only=True)
class Convert(InOut):
    """C cast to the dtype of ``out``."""


def _convert(f: Frame) -> Layer:
    a = f.args
    return Convert(**f.base(), input=f.tensor("in", a["dt"], a["s"], a["t_in"]), out=f.out(a["s"], a["dt_out"]))


@kernel(Convert)
def convert(op: Convert, x: np.ndarray) -> np.ndarray:
    target = op.out.dtype
    if np.issubdtype(x.dtype, np.floating) and np.issubdtype(target, np.integer):
        return saturate(np.trunc(x), target)
    return x.astype(target)


@dataclass(frozen=True, eq=False, kw_only=True)
class Lut1d(Layer):
    """``table`` (n,) of the input's dtype, looked up between ``min`` and ``max``."""

    input: Tensor
    table: Tensor
    out: Tensor
    min: float
    max: float


def _lut1d(f: Frame) -> Layer:
    source, target = f.pair()
    table = f.tensor("table", f.args["dt"], (f.reader.within("table_len", f.args["table_len"], 1, 65535),), None)
    low, high = float(f.args["min"]), float(f.args["max"])
    f.reader.clamp(low, high)
    return Lut1d(**f.base(), input=source, table=table, out=target, min=low, max=high)


@kernel(Lut1d)
def lut1d(op: Lut1d, x: np.ndarray, table: np.ndarray) -> np.ndarray:
    if x.dtype != np.uint8:
        raise ModelError(f"layer {op.index} ({op.name}) looks up {x.dtype} values; only uint8 is defined")
    return quantize.lookup(checked_indices(op, x, table.shape), table)


FUNCTIONS = {
    "QUANTIZE": Function({0: "dt dt_out s t_in t_out"}, "bias:n scale:n out in", _scaled(Quantize, True)),
    "DEQUANTIZE": Function({0: "dt dt_out s t_in t_out"}, "bias:n scale:n out in", _scaled(Dequantize, False)),
    "CONVERT": Function({0: "dt dt_out s t_in t_out"}, "out in", _convert),
    "LUT1D": Function({0: "dt s t_in t_out table_len:H"}, "max:n min:n out table in", _lut1d),
}
