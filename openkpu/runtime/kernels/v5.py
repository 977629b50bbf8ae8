"""Host operators of kmodel v5 (spec/kmodel-format.md section 5.7)."""

from __future__ import annotations

import numpy as np

from ...errors import ModelError
from ...kmodel.model import Layer
from ...kmodel.v5 import ops as v5
from ..ops import conv, elementwise, fused, quantize, random, recurrent, reduce, roi, shape
from ..ops.rounding import saturate
from .table import CHIP_KERNELS, FUSED_KERNELS, kernel
from .v4 import window_args


@kernel(v5.Broadcast)
def broadcast(op: v5.Broadcast, x: np.ndarray) -> np.ndarray:
    return np.broadcast_to(x, op.out.shape)


@kernel(v5.Compare)
def compare(op: v5.Compare, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return elementwise.COMPARE[op.op](a, b)


@kernel(v5.Conv2d)
def conv2d(op: v5.Conv2d, x: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return conv.conv2d(x, weights[:, :x.shape[1] // op.groups], bias, op.groups, *window_args(op.window), op.clamp)


@kernel(v5.Conv2d, table=FUSED_KERNELS)
def fused_conv2d(op: v5.Conv2d, x: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return fused.conv2d(x, weights[:, :x.shape[1] // op.groups], bias, op.groups, *window_args(op.window), op.clamp)


@kernel(v5.Convert)
def convert(op: v5.Convert, x: np.ndarray) -> np.ndarray:
    target = op.out.dtype
    if np.issubdtype(x.dtype, np.floating) and np.issubdtype(target, np.integer):
        return saturate(np.trunc(x), target)
    return x.astype(target)


@kernel(v5.Cumsum)
def cumsum(op: v5.Cumsum, x: np.ndarray) -> np.ndarray:
    walked = np.flip(x, op.axis) if op.reverse else x
    total = np.cumsum(walked, axis=op.axis, dtype=x.dtype)
    if op.exclusive:
        total = total - walked
    return np.flip(total, op.axis) if op.reverse else total


@kernel(v5.Dequantize)
def dequantize(op: v5.Dequantize, x: np.ndarray) -> np.ndarray:
    return quantize.dequantize(x, op.scale, op.bias)


@kernel(v5.Quantize)
def quantize_(op: v5.Quantize, x: np.ndarray) -> np.ndarray:
    return quantize.quantize(x, op.scale, op.bias, "even", op.out.dtype)


@kernel(v5.Quantize, table=CHIP_KERNELS)
def quantize_on_chip(op: v5.Quantize, x: np.ndarray) -> np.ndarray:
    return quantize.quantize(x, op.scale, op.bias, "chip", op.out.dtype)


def _checked(op: Layer, indices: np.ndarray, limits: tuple[int, ...]) -> np.ndarray:
    if ((indices < 0) | (indices >= np.array(limits))).any():
        raise ModelError(f"layer {op.index} ({op.name}) looks up an index outside the dimensions {limits}; "
                         "the model or its input is damaged")
    return indices


@kernel(v5.Gather)
def gather(op: v5.Gather, x: np.ndarray, indices: np.ndarray) -> np.ndarray:
    return np.take(x, _checked(op, indices, (x.shape[op.axis],)), axis=op.axis)


@kernel(v5.GatherNd)
def gather_nd(op: v5.GatherNd, x: np.ndarray, indices: np.ndarray) -> np.ndarray:
    count, batch = indices.shape[-1], op.batch_dims
    _checked(op, indices, x.shape[batch: batch + count])
    grid = np.ogrid[tuple(slice(n) for n in indices.shape[:-1])]
    return x[(*grid[:batch], *np.moveaxis(indices, -1, 0))]


@kernel(v5.Hardmax)
def hardmax(op: v5.Hardmax, x: np.ndarray) -> np.ndarray:
    out = np.zeros_like(x)
    np.put_along_axis(out, np.expand_dims(x.argmax(axis=op.axis), op.axis), 1, axis=op.axis)
    return out


@kernel(v5.Lut1d)
def lut1d(op: v5.Lut1d, x: np.ndarray, table: np.ndarray) -> np.ndarray:
    if x.dtype != np.uint8:
        raise ModelError(f"layer {op.index} ({op.name}) looks up {x.dtype} values; only uint8 is defined")
    return quantize.lookup(_checked(op, x, table.shape), table)


@kernel(v5.Matmul)
def matmul(op: v5.Matmul, a: np.ndarray, b: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return conv.matmul(a, b[..., :a.shape[-1], :], bias, op.clamp)


@kernel(v5.Onehot)
def onehot(op: v5.Onehot, indices: np.ndarray, off: np.ndarray, on: np.ndarray) -> np.ndarray:
    size = op.out.shape[op.axis]
    wanted = np.where(indices < 0, indices + size, indices) if op.mode == "process_neg" else indices
    hit = np.expand_dims(wanted, op.axis) == np.arange(size).reshape([-1] + [1] * (len(op.out.shape) - 1 - op.axis))
    return np.where(hit, on[0], off[0])


@kernel(v5.Pad)
def pad(op: v5.Pad, x: np.ndarray) -> np.ndarray:
    before, after, interior = zip(*op.pads, strict=True)
    return shape.pad(x, before, after, op.value, op.mode, interior)


@kernel(v5.Reduce)
def reduce_(op: v5.Reduce, x: np.ndarray) -> np.ndarray:
    init = op.init if op.op in ("mean", "sum") else None
    return reduce.reduce_axes(x, op.op, op.axes, init).reshape(op.out.shape)


@kernel(v5.ReduceArg)
def reduce_arg(op: v5.ReduceArg, x: np.ndarray) -> np.ndarray:
    return reduce.arg_extreme(x, op.op, op.axes, op.select_last).reshape(op.out.shape)


@kernel(v5.ReduceProd)
def reduce_prod(op: v5.ReduceProd, x: np.ndarray) -> np.ndarray:
    return x.prod(axis=op.axes, dtype=x.dtype).reshape(op.out.shape)


@kernel(v5.ResizeImage)
def resize_image(op: v5.ResizeImage, x: np.ndarray) -> np.ndarray:
    size = op.out.shape[-2:]
    if op.mode == "nearest":
        return shape.resize_nearest(x, size, op.align_corners, op.half_pixel_centers)
    return shape.resize_bilinear(x, size, op.align_corners, op.half_pixel_centers, v5=True)


@kernel(v5.Sigmoid)
def sigmoid(op: v5.Sigmoid, x: np.ndarray) -> np.ndarray:
    return elementwise.sigmoid_v5(x)


@kernel(v5.Slice)
def slice_(op: v5.Slice, x: np.ndarray) -> np.ndarray:
    return shape.strided_slice(x, op.starts, op.steps, op.out.shape)


@kernel(v5.SpaceToBatch)
def space_to_batch(op: v5.SpaceToBatch, x: np.ndarray) -> np.ndarray:
    return shape.space_to_batch(x, op.block, op.pads)


@kernel(v5.BatchToSpace)
def batch_to_space(op: v5.BatchToSpace, x: np.ndarray) -> np.ndarray:
    return shape.batch_to_space(x, op.block, op.crops)


@kernel(v5.Ternary)
def ternary(op: v5.Ternary, cond: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    return np.where(cond != 0, b, c)


@kernel(v5.Topk)
def topk(op: v5.Topk, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return reduce.top_k(x, op.k, op.axis, op.largest)


@kernel(v5.Trilu)
def trilu(op: v5.Trilu, x: np.ndarray) -> np.ndarray:
    return (np.triu if op.upper else np.tril)(x, op.k)


@kernel(v5.Compress)
def compress(op: v5.Compress, x: np.ndarray, condition: np.ndarray) -> np.ndarray:
    kept = condition != 0
    size = x.size if op.axis is None else x.shape[op.axis]
    return np.compress(kept[:size], x, op.axis)


@kernel(v5.GatherElements)
def gather_elements(op: v5.GatherElements, x: np.ndarray, indices: np.ndarray) -> np.ndarray:
    size = x.shape[op.axis]
    found = _checked(op, np.where(indices < 0, indices + size, indices), (size,))
    part = tuple(slice(None) if i == op.axis else slice(n) for i, n in enumerate(indices.shape))
    return np.take_along_axis(x[part], found, op.axis)


@kernel(v5.Gru)
def gru(op: v5.Gru, *operands: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return recurrent.gru(*operands, op.direction, op.linear_before_reset)


@kernel(v5.LayerNormalization)
def layer_normalization(op: v5.LayerNormalization, x: np.ndarray, scale: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return reduce.layer_normalize(x, scale, bias, op.axis, op.epsilon)


@kernel(v5.RandomNormal)
def random_normal(op: v5.RandomNormal) -> np.ndarray:
    return random.normal(op.out.count, op.mean, op.deviation, op.seed)


@kernel(v5.RandomUniform)
def random_uniform(op: v5.RandomUniform) -> np.ndarray:
    return random.uniform(op.out.count, op.low, op.high, op.seed)


@kernel(v5.RoiAlign)
def roi_align(op: v5.RoiAlign, x: np.ndarray, rois: np.ndarray, batch: np.ndarray) -> np.ndarray:
    return roi.roi_align(x, rois, _checked(op, batch, (len(x),)), op.out.shape[2:], op.mode, op.scale, op.sampling)
