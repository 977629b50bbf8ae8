"""Tensor operators of kmodel v5 (spec/kmodel-format.md 5.7, 5.8).

Tensors have any numeric dtype of section 5.1 and any strides. ``clamp`` is the fused activation (low, high).
The records of k210 modules are ``model.KpuConv``, ``model.KpuUpload``, ``model.KpuDownload`` and ``Copy``.
Operator kinds are names, because their numbers differ between compiler releases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..model import InOut, Layer, Tensor, TwoInOut
from ..v4.ops import Clamp, Window

BINARY_OPS = ("add", "sub", "mul", "div", "min", "max", "pow", "floor_div", "floor_mod", "bitwise_and", "bitwise_or",
              "bitwise_xor", "logical_and", "logical_or", "logical_xor")
REDUCE_OPS = ("mean", "min", "max", "sum")
REDUCE_ARG_OPS = ("arg_min", "arg_max")
COMPARE_OPS = ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")
PAD_MODES = ("constant", "reflect", "symmetric", "edge")
RESIZE_MODES = ("bilinear", "nearest")
DIRECTIONS = ("forward", "reverse", "bidirectional")
ROI_MODES = ("avg", "max")


@dataclass(frozen=True, eq=False, kw_only=True)
class Binary(TwoInOut):
    """``a`` op ``b``, broadcasting right-aligned; float32, int32 or int64."""

    op: str
    clamp: Clamp


@dataclass(frozen=True, eq=False, kw_only=True)
class Broadcast(InOut):
    """``input`` repeated to the shape of ``out``."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Compare(TwoInOut):
    """uint8 truth values of ``a`` op ``b``, broadcasting right-aligned."""

    op: str


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


@dataclass(frozen=True, eq=False, kw_only=True)
class Convert(InOut):
    """C cast to the dtype of ``out``."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Copy(InOut):
    """Element for element (COPY of the StackVM and copy of k210 modules)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Cumsum(InOut):
    axis: int
    exclusive: bool
    reverse: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class Dequantize(InOut):
    """(u)int8 -> float32: q*scale + bias."""

    scale: np.float32
    bias: np.float32


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantize(InOut):
    """float32 -> (u)int8: rint(x*scale + bias), clamped."""

    scale: np.float32
    bias: np.float32


@dataclass(frozen=True, eq=False, kw_only=True)
class Gather(Layer):
    """``indices`` int32 along ``axis``. Their values are data: check them when running."""

    input: Tensor
    indices: Tensor
    out: Tensor
    axis: int


@dataclass(frozen=True, eq=False, kw_only=True)
class GatherNd(Layer):
    """``indices`` int32. Their values are data: check them when running."""

    input: Tensor
    indices: Tensor
    out: Tensor
    batch_dims: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Hardmax(InOut):
    axis: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Lut1d(Layer):
    """``table`` (n,) of the input's dtype, looked up between ``min`` and ``max``."""

    input: Tensor
    table: Tensor
    out: Tensor
    min: float
    max: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Matmul(Layer):
    """float32, batched; ``bias`` tensor (columns,)."""

    a: Tensor
    b: Tensor
    bias: Tensor
    out: Tensor
    clamp: Clamp


@dataclass(frozen=True, eq=False, kw_only=True)
class Onehot(Layer):
    """``indices`` int32; ``off_value`` and ``on_value`` are tensors (1,). The depth is the size of ``out`` along
    ``axis``. ``mode`` "normal", or "process_neg": negative indices count from the end."""

    indices: Tensor
    off_value: Tensor
    on_value: Tensor
    out: Tensor
    axis: int
    mode: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Pad(InOut):
    """``pads``: (before, after, interior) per dimension; ``mode`` constant, reflect, symmetric or edge."""

    pads: tuple[tuple[int, int, int], ...]
    mode: str
    value: np.generic


@dataclass(frozen=True, eq=False, kw_only=True)
class Reduce(InOut):
    """float32 or int32; ``axes`` are non-negative and sorted; ``out`` has them as 1 or not at all (``keep_dims``)."""

    op: str
    axes: tuple[int, ...]
    keep_dims: bool
    init: np.generic


@dataclass(frozen=True, eq=False, kw_only=True)
class ReduceArg(InOut):
    """Index of the smallest or largest element; ``out`` int32 or int64."""

    op: str
    axes: tuple[int, ...]
    keep_dims: bool
    select_last: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class ReduceProd(InOut):
    axes: tuple[int, ...]
    keep_dims: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class ReduceWindow2d(InOut):
    """float32 (N, C, H, W): pooling over the pixels inside the image."""

    op: str
    window: Window
    init: np.float32
    clamp: Clamp


@dataclass(frozen=True, eq=False, kw_only=True)
class ResizeImage(InOut):
    """The two last dimensions."""

    mode: str
    align_corners: bool
    half_pixel_centers: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class Sigmoid(InOut):
    """1/(1+exp(-x)), float32."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Slice(InOut):
    """out[k] = in[starts + k*steps], every visited index inside the input; steps may be negative."""

    starts: tuple[int, ...]
    steps: tuple[int, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(InOut):
    axis: int
    beta: np.float32


@dataclass(frozen=True, eq=False, kw_only=True)
class SpaceToBatch(InOut):
    """``block`` over the last dimensions; ``pads`` (before, after) of those dimensions. The block's position is the
    slowest part of the new batch index, the old batch the fastest."""

    block: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class BatchToSpace(InOut):
    """``block`` over the last dimensions and ``crops`` (before, after) of them: undoes ``SpaceToBatch``."""

    block: tuple[int, ...]
    crops: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Ternary(Layer):
    """``b`` where ``cond`` is not 0, else ``c``, broadcasting right-aligned."""

    cond: Tensor
    b: Tensor
    c: Tensor
    out: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Transpose(InOut):
    """out = transpose(in, perm)."""

    perm: tuple[int, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Topk(Layer):
    """The ``k`` largest (or smallest) along ``axis``; ``indices`` int64."""

    input: Tensor
    values: Tensor
    indices: Tensor
    k: int
    axis: int
    largest: bool
    sorted: bool

    WRITES = ("values", "indices")


@dataclass(frozen=True, eq=False, kw_only=True)
class Unary(InOut):
    """``op``: abs, acos, asin, ceil, cos, exp, floor, log, neg, round, rsqrt, sign, sin, sqrt, square, tanh,
    bitwise_not, logical_not or erf."""

    op: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Trilu(InOut):
    """Upper or lower triangle of the two last dimensions, diagonal ``k``."""

    upper: bool
    k: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Compress(Layer):
    """float32: the slices of ``input`` along ``axis`` (None: the elements) whose ``condition`` (uint8) is not 0."""

    input: Tensor
    condition: Tensor
    out: Tensor
    axis: int | None


@dataclass(frozen=True, eq=False, kw_only=True)
class GatherElements(Layer):
    """float32; ``indices`` int64 along ``axis``, negative ones from the end. Their values are data: check them when
    running."""

    input: Tensor
    indices: Tensor
    out: Tensor
    axis: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Gru(Layer):
    """float32, gates in the order z, r, h: ``input`` (steps, batch, n), ``weights`` (directions, 3*hidden, n),
    ``recurrence`` (directions, 3*hidden, hidden), ``bias`` (directions, 6*hidden), ``start`` and ``last`` (directions,
    batch, hidden), ``out`` (steps, directions, batch, hidden)."""

    input: Tensor
    weights: Tensor
    recurrence: Tensor
    bias: Tensor
    start: Tensor
    out: Tensor
    last: Tensor
    direction: str
    linear_before_reset: bool

    WRITES = ("out", "last")


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerNormalization(Layer):
    """float32, over the dimensions from ``axis`` on; ``scale`` and ``bias`` have their shape."""

    input: Tensor
    scale: Tensor
    bias: Tensor
    out: Tensor
    axis: int
    epsilon: np.float32


@dataclass(frozen=True, eq=False, kw_only=True)
class RandomNormal(Layer):
    """float32 from a generator that starts anew at ``seed`` in every run."""

    out: Tensor
    mean: float
    deviation: float
    seed: float


@dataclass(frozen=True, eq=False, kw_only=True)
class RandomUniform(Layer):
    """float32 from a generator that starts anew at ``seed`` in every run."""

    out: Tensor
    low: float
    high: float
    seed: float


@dataclass(frozen=True, eq=False, kw_only=True)
class RoiAlign(Layer):
    """float32 ``input`` (N, C, H, W), ``rois`` (n, 4), ``out`` (n, C, height, width). ``batch`` int64 (n,) is data:
    check it when running. ``sampling`` 0: as many samples per bin as it has pixels."""

    input: Tensor
    rois: Tensor
    batch: Tensor
    out: Tensor
    mode: str
    scale: np.float32
    sampling: int
