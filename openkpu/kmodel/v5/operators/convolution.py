# SPDX-License-Identifier: Apache-2.0
"""Convolution and matrix product (spec/kmodel-format.md 5.7)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from ....arithmetic import conv, fused
from ...kernels import FUSED_KERNELS, kernel
from ...model import Layer, Tensor
from ...window import Clamp, Window, window_args
from ..frame import FLOAT, Frame, Function


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv2d(Layer):
    """float32: ``weights`` tensor (OC, IC/groups, KH, KW), ``bias`` tensor (OC,)."""

    input: Tensor
    weights: Tensor
    bias: Tensor
    out: Tensor
    groups: int
    window: Window
    clamp: Clamp


def _conv2d(f: Frame) -> Layer:
    a = f.args
    f.only("datatype", a["dt"], FLOAT)
    n, ic, h, w = f.rank("input shape", a["s_in"], 4)
    oc, part, kh, kw = f.rank("weight shape", a["s_w"], 4)
    (groups,) = f.reader.dims("groups", a["groups"])
    if part * groups < ic or ic % groups or oc % groups:
        f.fail("groups", f"= {groups} does not suit {ic} input channels and weights {a['s_w']}")
    if part * groups > ic:
        f.warn_of_spare_weights(a["s_w"], ic)
    window, (oh, ow) = f.window((kh, kw), (h, w))
    f.work(n * oh * ow * oc * part * kh * kw)
    return Conv2d(**f.base(), input=f.tensor("in", FLOAT, a["s_in"], a["t_in"]),
                  weights=f.tensor("weights", FLOAT, a["s_w"], a["t_w"]),
                  bias=f.tensor("bias", FLOAT, (oc,), a["t_bias"]), out=f.out((n, oc, oh, ow)), groups=groups,
                  window=window, clamp=f.clamp())


@kernel(Conv2d)
def conv2d(op: Conv2d, x: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return conv.conv2d(x, weights[:, :x.shape[1] // op.groups], bias, op.groups, *window_args(op.window), op.clamp)


@kernel(Conv2d, table=FUSED_KERNELS)
def fused_conv2d(op: Conv2d, x: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return fused.conv2d(x, weights[:, :x.shape[1] // op.groups], bias, op.groups, *window_args(op.window), op.clamp)


@dataclass(frozen=True, eq=False, kw_only=True)
class Matmul(Layer):
    """float32, batched; ``bias`` tensor (columns,)."""

    a: Tensor
    b: Tensor
    bias: Tensor
    out: Tensor
    clamp: Clamp


def _matmul(f: Frame) -> Layer:
    a = f.args
    left, right = a["s_a"], a["s_b"]
    if min(len(left), len(right)) < 2 or left[-1] > right[-2]:
        f.fail("shapes", f"= {left} and {right} cannot be multiplied")
    if left[-1] < right[-2]:
        f.warn_of_spare_weights(right, left[-1])
    shape = (*f.broadcast(left[:-2], right[:-2]), left[-2], right[-1])
    if a.get("s_out", shape) != shape:
        f.fail("output shape", f"= {a['s_out']} is not {shape}")
    f.work(prod(shape) * left[-1])
    return Matmul(**f.base(), a=f.tensor("a", FLOAT, left, a.get("t_a")), clamp=f.clamp(),
                  b=f.tensor("b", FLOAT, right, a.get("t_b")), bias=f.tensor("bias", FLOAT, (right[-1],), None),
                  out=f.out(shape, FLOAT, "t_out" if "t_out" in a else None))


@kernel(Matmul)
def matmul(op: Matmul, a: np.ndarray, b: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return conv.matmul(a, b[..., :a.shape[-1], :], bias, op.clamp)


FUNCTIONS = {
    "CONV2D": Function(
        {0: "dt s_in t_in s_w t_w t_bias t_out groups:H stride_h:H stride_w:H dil_h:H dil_w:H lo:f hi:f"},
        "pad_w:p pad_h:p out bias weights in", _conv2d),
    "MATMUL": Function({5: "s_a s_b lo:f hi:f", 6: "s_a t_a s_b t_b s_out t_out lo:f hi:f"}, "out bias b a", _matmul),
}
