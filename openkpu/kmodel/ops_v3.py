"""Operators of kmodel v3 (spec/kmodel-format.md 3.4; arithmetic 3.5).

Tensors are in pool "main", dense; float32 unless said otherwise. KPU layers are in ``model``: KL_K210_CONV is
``KpuConv``, KL_K210_UPLOAD is ``KpuUpload``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .model import Layer, Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(Layer):
    """(count,) + (count,)."""

    a: Tensor
    b: Tensor
    out: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantizedAdd(Layer):
    """uint8 (count,); offsets, multipliers and shifts are int32."""

    a: Tensor
    b: Tensor
    out: Tensor
    a_offset: int
    a_mul: int
    a_shift: int
    b_offset: int
    b_mul: int
    b_shift: int
    o_offset: int
    o_mul: int
    o_shift: int


@dataclass(frozen=True, eq=False, kw_only=True)
class GlobalAveragePool2d(Layer):
    """(channels, kernel_size) -> (channels,)."""

    input: Tensor
    out: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantizedMaxPool2d(Layer):
    """uint8 (C, H, W) -> (C, OH, OW)."""

    input: Tensor
    out: Tensor
    kernel_w: int
    kernel_h: int
    stride_w: int
    stride_h: int
    pad_w: int
    pad_h: int


@dataclass(frozen=True, eq=False, kw_only=True)
class AveragePool2d(Layer):
    """(C, H, W) -> (C, OH, OW); every window holds at least one pixel. ``act`` is stored but not applied."""

    input: Tensor
    out: Tensor
    kernel_w: int
    kernel_h: int
    stride_w: int
    stride_h: int
    pad_w: int
    pad_h: int
    act: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantize(Layer):
    """float32 (count,) -> uint8 (count,)."""

    input: Tensor
    out: Tensor
    scale: np.float32
    bias: np.float32


@dataclass(frozen=True, eq=False, kw_only=True)
class Dequantize(Layer):
    """uint8 (count,) -> float32 (count,): q*scale + bias."""

    input: Tensor
    out: Tensor
    scale: np.float32
    bias: np.float32


@dataclass(frozen=True, eq=False, kw_only=True)
class Requantize(Layer):
    """uint8 (count,): out = table[in]; ``table`` is uint8 (256,)."""

    input: Tensor
    out: Tensor
    table: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class L2Normalization(Layer):
    """(channels,)."""

    input: Tensor
    out: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(Layer):
    """(channels,)."""

    input: Tensor
    out: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Logistic(Layer):
    """(channels,)."""

    input: Tensor
    out: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Concat(Layer):
    """uint8 (bytes,) each: byte ranges one behind the other (KL_CONCAT and KL_QUANTIZED_CONCAT)."""

    parts: tuple[Tensor, ...]
    out: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class FullyConnected(Layer):
    """(in,) -> (out,); ``weights`` float32 (out, in), ``bias`` float32 (out,); ``act`` 0 linear, 1 ReLU, 2 ReLU6."""

    input: Tensor
    out: Tensor
    act: int
    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class TensorflowFlatten(Layer):
    """(C, H, W) -> (H, W, C)."""

    input: Tensor
    out: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class ResizeNearestNeighbor(Layer):
    """(C, H, W) -> (C, OH, OW); float32, or uint8 for KL_QUANTIZED_RESIZE_NEAREST_NEIGHBOR."""

    input: Tensor
    out: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class ChannelwiseDequantize(Layer):
    """uint8 (channels, channel_size) -> float32; ``scale`` and ``bias`` float32 (channels,)."""

    input: Tensor
    out: Tensor
    scale: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class AddPadding(Layer):
    """uint8 (channels,) -> AI-RAM map (1, channels, 4, 4): in[c] at pixel (0, 0), the others don't matter."""

    input: Tensor
    out: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class RemovePadding(Layer):
    """uint8 (channels, 4, 4) -> (channels,): pixel (0, 0) of each channel."""

    input: Tensor
    out: Tensor
