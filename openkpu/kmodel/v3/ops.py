"""Operators of kmodel v3 (spec/kmodel-format.md 3.4; arithmetic 3.5).

Tensors are in pool "main", dense; float32 unless said otherwise. KPU layers are in ``model``: KL_K210_CONV is
``KpuConv``, KL_K210_UPLOAD is ``KpuUpload``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..model import InOut, Layer, Tensor, TwoInOut


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(TwoInOut):
    """(count,) + (count,)."""


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


@dataclass(frozen=True, eq=False, kw_only=True)
class GlobalAveragePool2d(InOut):
    """(channels, kernel_size) -> (channels,)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantizedMaxPool2d(InOut):
    """uint8 (C, H, W) -> (C, OH, OW)."""

    kernel_w: int
    kernel_h: int
    stride_w: int
    stride_h: int
    pad_w: int
    pad_h: int


@dataclass(frozen=True, eq=False, kw_only=True)
class AveragePool2d(InOut):
    """(C, H, W) -> (C, OH, OW); every window holds at least one pixel. ``act`` is stored but not applied."""

    kernel_w: int
    kernel_h: int
    stride_w: int
    stride_h: int
    pad_w: int
    pad_h: int
    act: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantize(InOut):
    """float32 (count,) -> uint8 (count,)."""

    scale: np.float32
    bias: np.float32


@dataclass(frozen=True, eq=False, kw_only=True)
class Dequantize(InOut):
    """uint8 (count,) -> float32 (count,): q*scale + bias."""

    scale: np.float32
    bias: np.float32


@dataclass(frozen=True, eq=False, kw_only=True)
class Requantize(InOut):
    """uint8 (count,): out = table[in]; ``table`` is uint8 (256,)."""

    table: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class L2Normalization(InOut):
    """(channels,)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(InOut):
    """(channels,)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Logistic(InOut):
    """(channels,)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Concat(Layer):
    """uint8 (bytes,) each: byte ranges one behind the other (KL_CONCAT and KL_QUANTIZED_CONCAT)."""

    MAP = "concat"

    parts: tuple[Tensor, ...]
    out: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class FullyConnected(InOut):
    """(in,) -> (out,); ``weights`` float32 (out, in), ``bias`` float32 (out,); ``act`` 0 linear, 1 ReLU, 2 ReLU6."""

    act: int
    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class TensorflowFlatten(InOut):
    """(C, H, W) -> (H, W, C)."""

    MAP = "none"


@dataclass(frozen=True, eq=False, kw_only=True)
class ResizeNearestNeighbor(InOut):
    """(C, H, W) -> (C, OH, OW); float32, or uint8 for KL_QUANTIZED_RESIZE_NEAREST_NEIGHBOR."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ChannelwiseDequantize(InOut):
    """uint8 (channels, channel_size) -> float32; ``scale`` and ``bias`` float32 (channels,)."""

    MAP = "input"

    scale: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class AddPadding(InOut):
    """uint8 (channels,) -> AI-RAM map (1, channels, 4, 4): in[c] at pixel (0, 0), the others don't matter."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RemovePadding(InOut):
    """uint8 (channels, 4, 4) -> (channels,): pixel (0, 0) of each channel."""
