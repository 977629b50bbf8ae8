"""Operators of kmodel v4 (spec/kmodel-format.md 4.4; arithmetic 4.5).

Tensors are in pool "main" or "const", dense, float32 unless said otherwise, (N, C, H, W) where four-dimensional.
``clamp`` is the fused activation (low, high). kpu_conv2d is ``model.KpuConv``, kpu_upload ``model.KpuUpload``.
Operator kinds are the names of section 4.3 ("add", "rsqrt", "mean").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .model import Layer, Tensor

BINARY_OPS = ("add", "sub", "mul", "div", "min", "max")
REDUCE_OPS = ("mean", "min", "max", "sum")
UNARY_OPS = ("abs", "ceil", "cos", "exp", "floor", "log", "neg", "rsqrt", "sin", "square")

Pair = tuple[int, int]
Clamp = tuple[np.float32, np.float32]


@dataclass(frozen=True)
class Window:
    """A sliding window. ``pad_h`` and ``pad_w`` are (before, after); the others (vertical, horizontal)."""

    pad_h: Pair
    pad_w: Pair
    kernel: Pair
    stride: Pair
    dilation: Pair


@dataclass(frozen=True, eq=False, kw_only=True)
class Binary(Layer):
    """``a`` op ``b`` with broadcasting, all four-dimensional."""

    a: Tensor
    b: Tensor
    out: Tensor
    op: str
    clamp: Clamp


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantizedBinary(Layer):
    """uint8, four-dimensional, with broadcasting; shifts are 0..62."""

    a: Tensor
    b: Tensor
    out: Tensor
    op: str
    a_offset: int
    a_mul: int
    a_shift: int
    b_offset: int
    b_mul: int
    b_shift: int
    out_offset: int
    out_mul: int
    out_shift: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Concat(Layer):
    """uint8 bytes: parts (outer, n_k) side by side make ``out`` (outer, sum of n_k)."""

    parts: tuple[Tensor, ...]
    out: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv2d(Layer):
    """``weights`` float32 (OC, IC/groups, KH, KW), ``bias`` float32 (OC,)."""

    input: Tensor
    out: Tensor
    groups: int
    window: Window
    clamp: Clamp
    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantizedConv2d(Layer):
    """uint8; ``weights`` uint8 (OC, IC/groups, KH, KW), ``bias`` int32 (OC,); offsets are added."""

    input: Tensor
    out: Tensor
    groups: int
    window: Window
    in_offset: int
    filter_offset: int
    out_mul: int
    out_shift: int
    out_offset: int
    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv2dTranspose(Layer):
    """``weights`` float32 (groups, OC/groups, IC/groups, KH, KW); ``bias`` float32 (OC,) is stored but never added."""

    input: Tensor
    out: Tensor
    groups: int
    window: Window
    clamp: Clamp
    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantize(Layer):
    """float32 (n,) -> uint8 (n,): x*scale + zero_point, rounded and clamped."""

    input: Tensor
    out: Tensor
    zero_point: int
    scale: np.float32


@dataclass(frozen=True, eq=False, kw_only=True)
class Dequantize(Layer):
    """uint8 (n,) -> float32 (n,): (q - zero_point) * (1/scale)."""

    input: Tensor
    out: Tensor
    zero_point: int
    scale: np.float32


@dataclass(frozen=True, eq=False, kw_only=True)
class Matmul(Layer):
    """(rows, cols) x (cols, b_cols) + ``bias`` float32 (b_cols,)."""

    a: Tensor
    b: Tensor
    out: Tensor
    clamp: Clamp
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantizedMatmul(Layer):
    """uint8 (rows, cols) x (cols, b_cols); ``bias`` int32 (b_cols,); offsets are added."""

    a: Tensor
    b: Tensor
    out: Tensor
    a_offset: int
    b_offset: int
    out_mul: int
    out_shift: int
    out_offset: int
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class MemoryCopy(Layer):
    """uint8 (n,): the whole 32-bit words of the range."""

    input: Tensor
    out: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Pad(Layer):
    """Any dtype; ``pads`` are four (before, after), negative ones crop; ``value`` has the input's dtype."""

    input: Tensor
    out: Tensor
    pads: tuple[Pair, ...]
    value: np.generic


@dataclass(frozen=True, eq=False, kw_only=True)
class Reduce(Layer):
    """Axes where ``out`` is 1 and ``input`` is not are folded into ``init``."""

    input: Tensor
    out: Tensor
    op: str
    init: np.float32


@dataclass(frozen=True, eq=False, kw_only=True)
class ReduceWindow2d(Layer):
    """Pooling over the pixels inside the image."""

    input: Tensor
    out: Tensor
    op: str
    window: Window
    init: np.float32
    clamp: Clamp


@dataclass(frozen=True, eq=False, kw_only=True)
class ResizeImage(Layer):
    """float32 or uint8; ``mode`` "bilinear" or "nearest"."""

    input: Tensor
    out: Tensor
    mode: str
    align_corners: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(Layer):
    """(outer, inner), along inner."""

    input: Tensor
    out: Tensor
    beta: np.float32


@dataclass(frozen=True, eq=False, kw_only=True)
class Transpose(Layer):
    """Any dtype: out = transpose(in, perm)."""

    input: Tensor
    out: Tensor
    perm: tuple[int, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class StridedSlice(Layer):
    """Any dtype; four of ``begin``, ``end``, ``strides``; every visited index is inside the input."""

    input: Tensor
    out: Tensor
    begin: tuple[int, ...]
    end: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Unary(Layer):
    """(n,)."""

    input: Tensor
    out: Tensor
    op: str


@dataclass(frozen=True, eq=False, kw_only=True)
class TableLookup1d(Layer):
    """uint8 (n,); ``table`` is a uint8 tensor (256,)."""

    input: Tensor
    table: Tensor
    out: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class NnilUnaryMethod(Layer):
    """(n,); ``program``: (opcode, immediate or None) with balanced stack use, ending in ret (0xA0)."""

    input: Tensor
    out: Tensor
    program: tuple[tuple[int, np.float32 | None], ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class CpuConv2d(Layer):
    """NHWC tensors; ``weights`` float32 (OC, KH, KW, IC), ``bias`` float32 (OC,)."""

    input: Tensor
    out: Tensor
    window: Window
    clamp: Clamp
    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class CpuDepthwiseConv2d(Layer):
    """NHWC tensors; ``weights`` float32 (C, KH, KW), ``bias`` float32 (C,)."""

    input: Tensor
    out: Tensor
    window: Window
    clamp: Clamp
    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class CpuReduceWindow2d(Layer):
    """NHWC tensors; "sum" does not occur."""

    input: Tensor
    out: Tensor
    op: str
    window: Window
    init: np.float32
    clamp: Clamp


@dataclass(frozen=True, eq=False, kw_only=True)
class CpuQuantizedConv2d(Layer):
    """NHWC uint8; ``weights`` uint8 (OC, KH, KW, IC), ``bias`` int32 (OC,); offsets are subtracted."""

    input: Tensor
    out: Tensor
    window: Window
    in_offset: int
    filter_offset: int
    out_mul: int
    out_shift: int
    out_offset: int
    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class CpuQuantizedDepthwiseConv2d(Layer):
    """NHWC uint8; ``weights`` uint8 (C, KH, KW), ``bias`` int32 (C,); offsets are subtracted."""

    input: Tensor
    out: Tensor
    window: Window
    in_offset: int
    filter_offset: int
    out_mul: int
    out_shift: int
    out_offset: int
    weights: np.ndarray
    bias: np.ndarray
