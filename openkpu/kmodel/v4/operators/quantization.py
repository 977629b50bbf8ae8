# SPDX-License-Identifier: Apache-2.0
"""Quantize, dequantize, table look-up (spec/kmodel-format.md 4.4, 4.5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....arithmetic import quantize as arithmetic
from ...kernels import CHIP_KERNELS, kernel
from ...model import InOut, Layer, Tensor
from ...record import Operator
from ..fields import Body


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantize(InOut):
    """float32 (n,) -> uint8 (n,): x*scale + zero_point, rounded and clamped."""

    zero_point: int
    scale: np.float32


def _quantize(b: Body) -> Quantize:
    source, target = b.vectors("<f4", "u1")
    return Quantize(**b.base, input=source, out=target, zero_point=b.args["zero_point"],
                    scale=b.finite("scale", b.args["scale"]))


@kernel(Quantize)
def quantize(op: Quantize, x: np.ndarray) -> np.ndarray:
    return arithmetic.quantize(x, op.scale, op.zero_point, "away")


@kernel(Quantize, table=CHIP_KERNELS)
def quantize_on_chip(op: Quantize, x: np.ndarray) -> np.ndarray:
    return arithmetic.quantize(x, op.scale, op.zero_point, "chip")


@dataclass(frozen=True, eq=False, kw_only=True)
class Dequantize(InOut):
    """uint8 (n,) -> float32 (n,): (q - zero_point) * (1/scale)."""

    zero_point: int
    scale: np.float32


def _dequantize(b: Body) -> Dequantize:
    source, target = b.vectors("u1", "<f4")
    return Dequantize(**b.base, input=source, out=target, zero_point=b.args["zero_point"],
                      scale=b.finite("scale", b.args["scale"], zero=False))


@kernel(Dequantize)
def dequantize(op: Dequantize, x: np.ndarray) -> np.ndarray:
    return arithmetic.dequantize_v4(x, op.zero_point, op.scale)


@dataclass(frozen=True, eq=False, kw_only=True)
class TableLookup1d(Layer):
    """uint8 (n,); ``table`` is a uint8 tensor (256,)."""

    input: Tensor
    table: Tensor
    out: Tensor


def _table_lookup1d(b: Body) -> TableLookup1d:
    source, target = b.vectors("u1", "u1")
    return TableLookup1d(**b.base, input=source, table=b.tensor("table", (256,), "u1"), out=target)


@kernel(TableLookup1d)
def table_lookup1d(op: TableLookup1d, x: np.ndarray, table: np.ndarray) -> np.ndarray:
    return arithmetic.lookup(x, table)


OPERATORS = {
    "quantize": Operator("input:range out:range zero_point:i scale:f", _quantize),
    "dequantize": Operator("input:range out:range zero_point:i scale:f", _dequantize),
    "table_lookup1d": Operator("input:range table:range out:range", _table_lookup1d),
}
