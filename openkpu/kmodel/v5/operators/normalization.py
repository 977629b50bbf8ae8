# SPDX-License-Identifier: Apache-2.0
"""Softmax, hardmax and layer normalization (spec/kmodel-format.md 5.7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....arithmetic import reduce
from ...kernels import kernel
from ...model import InOut, Layer, Tensor
from ..frame import FLOAT, Frame, Function


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(InOut):
    axis: int
    beta: np.float32


def _softmax(f: Frame) -> Layer:
    f.only("datatype", f.args["dt"], FLOAT)
    source, target = f.pair()
    return Softmax(**f.base(), input=source, out=target, axis=f.axis(f.args["axis"], len(source.shape)),
                   beta=f.reader.finite("beta", f.args["beta"]))


@kernel(Softmax)
def softmax(op: Softmax, x: np.ndarray) -> np.ndarray:
    return reduce.softmax(x, getattr(op, "axis", -1), op.beta)


@dataclass(frozen=True, eq=False, kw_only=True)
class Hardmax(InOut):
    axis: int


def _hardmax(f: Frame) -> Layer:
    a = f.args
    return Hardmax(**f.base(), input=f.tensor("in", a["dt"], a["s"], a["t_in"]), out=f.out(a["s"], strides=None),
                   axis=f.axis(a["axis"], len(a["s"])))


@kernel(Hardmax)
def hardmax(op: Hardmax, x: np.ndarray) -> np.ndarray:
    out = np.zeros_like(x)
    np.put_along_axis(out, np.expand_dims(x.argmax(axis=op.axis), op.axis), 1, axis=op.axis)
    return out


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerNormalization(Layer):
    """float32, over the dimensions from ``axis`` on; ``scale`` and ``bias`` have their shape."""

    input: Tensor
    scale: Tensor
    bias: Tensor
    out: Tensor
    axis: int
    epsilon: np.float32


def _layer_normalization(f: Frame) -> Layer:
    a = f.args
    dtype, shape = f.only("datatype", a["dt"], FLOAT), a["s"]
    axis = f.axis(a["axis"], len(shape))
    return LayerNormalization(**f.base(), input=f.tensor("in", dtype, shape, None), out=f.out(shape, dtype, None),
                              scale=f.tensor("scale", dtype, shape[axis:], None), axis=axis,
                              bias=f.tensor("bias", dtype, shape[axis:], None),
                              epsilon=f.reader.finite("epsilon", a["epsilon"]))


@kernel(LayerNormalization)
def layer_normalization(op: LayerNormalization, x: np.ndarray, scale: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return reduce.layer_normalize(x, scale, bias, op.axis, op.epsilon)


FUNCTIONS = {
    "SOFTMAX": Function({7: "dt s t_in t_out axis:i beta:f"}, "out in", _softmax),
    "HARDMAX": Function({0: "dt s t_in axis:i"}, "out in", _hardmax),
    "LAYER_NORMALIZATION": Function({9: "dt s axis:i epsilon:f"}, "out bias scale in", _layer_normalization),
}
