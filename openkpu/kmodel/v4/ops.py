"""Operators of kmodel v4 (spec/kmodel-format.md 4.4; arithmetic 4.5).

Tensors are in pool "main" or "const", dense, float32 unless said otherwise, (N, C, H, W) where four-dimensional.
``clamp`` is the fused activation (low, high). kpu_conv2d is ``model.KpuConv``, kpu_upload ``model.KpuUpload``.
Operator kinds are the names of section 4.3 ("add", "rsqrt", "mean").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..model import InOut, Layer, Tensor, TwoInOut

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


def window_args(window: Window) -> tuple[Pair, Pair, Pair, Pair]:
    """The window as the trailing arguments of ``arithmetic.conv``."""
    return window.pad_h, window.pad_w, window.stride, window.dilation


@dataclass(frozen=True, eq=False, kw_only=True)
class Binary(TwoInOut):
    """``a`` op ``b`` with broadcasting, all four-dimensional."""

    op: str
    clamp: Clamp


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantizedBinary(TwoInOut):
    """uint8, four-dimensional, with broadcasting; shifts are 0..62."""

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

    MAP = "concat"

    parts: tuple[Tensor, ...]
    out: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv2d(InOut):
    """``weights`` float32 (OC, IC/groups, KH, KW), ``bias`` float32 (OC,)."""

    groups: int
    window: Window
    clamp: Clamp
    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantizedConv2d(InOut):
    """uint8; ``weights`` uint8 (OC, IC/groups, KH, KW), ``bias`` int32 (OC,); offsets are added."""

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
class Conv2dTranspose(InOut):
    """``weights`` float32 (groups, OC/groups, IC/groups, KH, KW); ``bias`` float32 (OC,) is stored but never added."""

    groups: int
    window: Window
    clamp: Clamp
    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantize(InOut):
    """float32 (n,) -> uint8 (n,): x*scale + zero_point, rounded and clamped."""

    zero_point: int
    scale: np.float32


@dataclass(frozen=True, eq=False, kw_only=True)
class Dequantize(InOut):
    """uint8 (n,) -> float32 (n,): (q - zero_point) * (1/scale)."""

    zero_point: int
    scale: np.float32


@dataclass(frozen=True, eq=False, kw_only=True)
class Matmul(TwoInOut):
    """(rows, cols) x (cols, b_cols) + ``bias`` float32 (b_cols,)."""

    clamp: Clamp
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantizedMatmul(TwoInOut):
    """uint8 (rows, cols) x (cols, b_cols); ``bias`` int32 (b_cols,); offsets are added."""

    a_offset: int
    b_offset: int
    out_mul: int
    out_shift: int
    out_offset: int
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class MemoryCopy(InOut):
    """uint8 (n,): the whole 32-bit words of the range."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Pad(InOut):
    """Any dtype; ``pads`` are four (before, after), negative ones crop; ``value`` has the input's dtype."""

    pads: tuple[Pair, ...]
    value: np.number


@dataclass(frozen=True, eq=False, kw_only=True)
class Reduce(InOut):
    """Axes where ``out`` is 1 and ``input`` is not are folded into ``init``."""

    op: str
    init: np.float32


@dataclass(frozen=True, eq=False, kw_only=True)
class ReduceWindow2d(InOut):
    """Pooling over the pixels inside the image."""

    op: str
    window: Window
    init: np.float32
    clamp: Clamp


@dataclass(frozen=True, eq=False, kw_only=True)
class ResizeImage(InOut):
    """float32 or uint8; ``mode`` "bilinear" or "nearest"."""

    mode: str
    align_corners: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(InOut):
    """(outer, inner), along inner."""

    beta: np.float32


@dataclass(frozen=True, eq=False, kw_only=True)
class Transpose(InOut):
    """Any dtype: out = transpose(in, perm)."""

    perm: tuple[int, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class StridedSlice(InOut):
    """Any dtype; four of ``begin``, ``end``, ``strides``; every visited index is inside the input."""

    begin: tuple[int, ...]
    end: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Unary(InOut):
    """(n,)."""

    op: str


@dataclass(frozen=True, eq=False, kw_only=True)
class TableLookup1d(Layer):
    """uint8 (n,); ``table`` is a uint8 tensor (256,)."""

    input: Tensor
    table: Tensor
    out: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class NnilUnaryMethod(InOut):
    """(n,); ``program``: (opcode, immediate or None) with balanced stack use, ending in ret (0xA0)."""

    program: tuple[tuple[int, np.float32 | None], ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class CpuConv2d(InOut):
    """NHWC tensors; ``weights`` float32 (OC, KH, KW, IC), ``bias`` float32 (OC,)."""

    window: Window
    clamp: Clamp
    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class CpuDepthwiseConv2d(InOut):
    """NHWC tensors; ``weights`` float32 (C, KH, KW), ``bias`` float32 (C,)."""

    window: Window
    clamp: Clamp
    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class CpuReduceWindow2d(InOut):
    """NHWC tensors; "sum" does not occur."""

    op: str
    window: Window
    init: np.float32
    clamp: Clamp


@dataclass(frozen=True, eq=False, kw_only=True)
class CpuQuantizedConv2d(InOut):
    """NHWC uint8; ``weights`` uint8 (OC, KH, KW, IC), ``bias`` int32 (OC,); offsets are subtracted."""

    window: Window
    in_offset: int
    filter_offset: int
    out_mul: int
    out_shift: int
    out_offset: int
    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class CpuQuantizedDepthwiseConv2d(InOut):
    """NHWC uint8; ``weights`` uint8 (C, KH, KW), ``bias`` int32 (C,); offsets are subtracted."""

    window: Window
    in_offset: int
    filter_offset: int
    out_mul: int
    out_shift: int
    out_offset: int
    weights: np.ndarray
    bias: np.ndarray
