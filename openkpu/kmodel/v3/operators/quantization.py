# SPDX-License-Identifier: Apache-2.0
"""Quantize, dequantize, requantize (spec/kmodel-format.md 3.4, 3.5)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....arithmetic import quantize as arithmetic
from ...kernels import kernel
from ...model import InOut
from ...record import Operator
from ..fields import Body


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantize(InOut):
    """float32 (count,) -> uint8 (count,)."""

    scale: np.float32
    bias: np.float32


def _quantize(b: Body) -> Quantize:
    shape = (b.args["input.count"],)
    return Quantize(**b.base, input=b.tensor("input", "<f4", shape), out=b.out("u1", shape),
                    scale=b.finite("scale", b.args["scale"], zero=False), bias=b.finite("bias", b.args["bias"]))


@kernel(Quantize)
def quantize(op: Quantize, x: np.ndarray) -> np.ndarray:
    return arithmetic.quantize_v3(x, op.scale, op.bias)


@dataclass(frozen=True, eq=False, kw_only=True)
class Dequantize(InOut):
    """uint8 (count,) -> float32 (count,): q*scale + bias."""

    scale: np.float32
    bias: np.float32


def _dequantize(b: Body) -> Dequantize:
    shape = (b.args["input.count"],)
    return Dequantize(**b.base, input=b.tensor("input", "u1", shape), out=b.out("<f4", shape),
                      scale=b.finite("scale", b.args["scale"]), bias=b.finite("bias", b.args["bias"]))


@kernel(Dequantize)
def dequantize(op: Dequantize, x: np.ndarray) -> np.ndarray:
    return arithmetic.dequantize(x, op.scale, op.bias)


@dataclass(frozen=True, eq=False, kw_only=True)
class Requantize(InOut):
    """uint8 (count,): out = table[in]; ``table`` is uint8 (256,)."""

    table: np.ndarray


def _requantize(b: Body) -> Requantize:
    shape = (b.args["input.count"],)
    return Requantize(**b.base, input=b.tensor("input", "u1", shape), out=b.out("u1", shape),
                      table=b.constant("table", 256))


@kernel(Requantize)
def requantize(op: Requantize, x: np.ndarray) -> np.ndarray:
    return arithmetic.lookup(x, op.table)


@dataclass(frozen=True, eq=False, kw_only=True)
class ChannelwiseDequantize(InOut):
    """uint8 (channels, channel_size) -> float32; ``scale`` and ``bias`` float32 (channels,)."""

    MAP = "input"

    scale: np.ndarray
    bias: np.ndarray


def _channelwise_dequantize(b: Body) -> ChannelwiseDequantize:
    shape = channels, _ = b.args["input.d0"], b.args["input.d1"]
    source = b.tensor("input", "u1", shape)
    pairs = b.array("scale, bias", "<f4", channels, 2)
    if not np.isfinite(pairs).all():
        b.fail("scale, bias", "hold infinities or NaN")
    return ChannelwiseDequantize(**b.base, input=source, scale=pairs[:, 0], bias=pairs[:, 1], out=b.out("<f4", shape))


def _write_channelwise_dequantize(layer: Any, _: int) -> bytes:
    pairs = np.stack([layer.scale, layer.bias], 1).astype("<f4")
    return struct.pack("<5I", 0, layer.input.offset, layer.out.offset, *layer.input.shape) + pairs.tobytes()


@kernel(ChannelwiseDequantize)
def channelwise_dequantize(op: ChannelwiseDequantize, x: np.ndarray) -> np.ndarray:
    return arithmetic.dequantize(x, op.scale[:, None], op.bias[:, None])


_VECTOR = "input:address out:address input:count"
OPERATORS = {
    "KL_QUANTIZE": Operator(f"{_VECTOR} scale:f bias:f", _quantize),
    "KL_DEQUANTIZE": Operator(f"{_VECTOR} scale:f bias:f", _dequantize),
    "KL_REQUANTIZE": Operator(f"{_VECTOR} table:u1", _requantize),
    "KL_CHANNELWISE_DEQUANTIZE": Operator("input:address out:address input:d0 input:d1", _channelwise_dequantize,
                                          _write_channelwise_dequantize),
}
