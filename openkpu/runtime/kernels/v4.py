"""Host operators of kmodel v4 (spec/kmodel-format.md section 4.5)."""

from __future__ import annotations

import numpy as np

from ...arithmetic import conv, elementwise, nnil, quantize, reduce, shape
from ...kmodel.kernels import CHIP_KERNELS, kernel
from ...kmodel.v4 import ops as v4
from ...kmodel.v4.ops import window_args
from ...kmodel.v5.operators import elementwise as v5_elementwise
from ...kmodel.v5.operators import movement, normalization, reduction

# What did not change from v4 to v5.
kernel(v4.Binary)(v5_elementwise.binary)
kernel(v4.Unary)(v5_elementwise.unary)
kernel(v4.MemoryCopy)(movement.copy)
kernel(v4.Transpose)(movement.transpose)
kernel(v4.ReduceWindow2d)(reduction.reduce_window2d)
kernel(v4.Softmax)(normalization.softmax)


@kernel(v4.QuantizedBinary)
def quantized_binary(op: v4.QuantizedBinary, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return elementwise.quantized_binary(a, b, op.op, (op.a_offset, op.a_mul, op.a_shift),
                                        (op.b_offset, op.b_mul, op.b_shift), (op.out_offset, op.out_mul, op.out_shift))


@kernel(v4.Concat)
def concat(op: v4.Concat, *parts: np.ndarray) -> np.ndarray:
    return np.concatenate(parts, axis=1)


@kernel(v4.Conv2d)
def conv2d(op: v4.Conv2d, x: np.ndarray) -> np.ndarray:
    return conv.conv2d(x, op.weights, op.bias, op.groups, *window_args(op.window), op.clamp)


@kernel(v4.QuantizedConv2d)
def quantized_conv2d(op: v4.QuantizedConv2d, x: np.ndarray) -> np.ndarray:
    return conv.quantized_conv2d(x, op.weights, op.bias, op.groups, *window_args(op.window), op.in_offset,
                                 op.filter_offset, op.out_mul, op.out_shift, op.out_offset)


@kernel(v4.Conv2dTranspose)
def conv2d_transpose(op: v4.Conv2dTranspose, x: np.ndarray) -> np.ndarray:
    return conv.conv2d_transpose(x, op.weights, op.out.shape, *window_args(op.window), op.clamp)


def _nchw(x: np.ndarray) -> np.ndarray:
    return x.transpose(0, 3, 1, 2)


def _nhwc(x: np.ndarray) -> np.ndarray:
    return x.transpose(0, 2, 3, 1)


@kernel(v4.CpuConv2d)
def cpu_conv2d(op: v4.CpuConv2d, x: np.ndarray) -> np.ndarray:
    return _nhwc(conv.conv2d(_nchw(x), _nchw(op.weights), op.bias, 1, *window_args(op.window), op.clamp))


@kernel(v4.CpuDepthwiseConv2d)
def cpu_depthwise_conv2d(op: v4.CpuDepthwiseConv2d, x: np.ndarray) -> np.ndarray:
    return _nhwc(conv.conv2d(_nchw(x), op.weights[:, None], op.bias, len(op.bias), *window_args(op.window), op.clamp))


@kernel(v4.CpuReduceWindow2d)
def cpu_reduce_window2d(op: v4.CpuReduceWindow2d, x: np.ndarray) -> np.ndarray:
    return _nhwc(reduction.reduce_window2d(op, _nchw(x)))


@kernel(v4.CpuQuantizedConv2d)
def cpu_quantized_conv2d(op: v4.CpuQuantizedConv2d, x: np.ndarray) -> np.ndarray:
    return _nhwc(conv.quantized_conv2d(_nchw(x), _nchw(op.weights), op.bias, 1, *window_args(op.window), -op.in_offset,
                                       -op.filter_offset, op.out_mul, op.out_shift, op.out_offset))


@kernel(v4.CpuQuantizedDepthwiseConv2d)
def cpu_quantized_depthwise_conv2d(op: v4.CpuQuantizedDepthwiseConv2d, x: np.ndarray) -> np.ndarray:
    return _nhwc(conv.quantized_conv2d(_nchw(x), op.weights[:, None], op.bias, len(op.bias), *window_args(op.window),
                                       -op.in_offset, -op.filter_offset, op.out_mul, op.out_shift, op.out_offset))


@kernel(v4.Quantize)
def quantize_(op: v4.Quantize, x: np.ndarray) -> np.ndarray:
    return quantize.quantize(x, op.scale, op.zero_point, "away")


@kernel(v4.Quantize, table=CHIP_KERNELS)
def quantize_on_chip(op: v4.Quantize, x: np.ndarray) -> np.ndarray:
    return quantize.quantize(x, op.scale, op.zero_point, "chip")


@kernel(v4.Dequantize)
def dequantize(op: v4.Dequantize, x: np.ndarray) -> np.ndarray:
    return quantize.dequantize_v4(x, op.zero_point, op.scale)


@kernel(v4.Matmul)
def matmul(op: v4.Matmul, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return conv.matmul(a, b, op.bias, op.clamp)


@kernel(v4.QuantizedMatmul)
def quantized_matmul(op: v4.QuantizedMatmul, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return conv.quantized_matmul(a, b, op.bias, op.a_offset, op.b_offset, op.out_mul, op.out_shift, op.out_offset)


@kernel(v4.Pad)
def pad(op: v4.Pad, x: np.ndarray) -> np.ndarray:
    before, after = zip(*op.pads, strict=True)
    return shape.pad(x, before, after, op.value)


@kernel(v4.Reduce)
def reduce_(op: v4.Reduce, x: np.ndarray) -> np.ndarray:
    axes = tuple(i for i, (n, m) in enumerate(zip(x.shape, op.out.shape, strict=True)) if m < n)
    return reduce.reduce_axes(x, op.op, axes, op.init, reciprocal=True)


@kernel(v4.ResizeImage)
def resize_image(op: v4.ResizeImage, x: np.ndarray) -> np.ndarray:
    if op.mode == "nearest":
        return shape.resize_nearest(x, op.out.shape[-2:])
    return shape.resize_bilinear(x, op.out.shape[-2:], op.align_corners)


@kernel(v4.StridedSlice)
def strided_slice(op: v4.StridedSlice, x: np.ndarray) -> np.ndarray:
    return shape.strided_slice(x, op.begin, op.strides, op.out.shape)


@kernel(v4.TableLookup1d)
def table_lookup1d(op: v4.TableLookup1d, x: np.ndarray, table: np.ndarray) -> np.ndarray:
    return quantize.lookup(x, table)


@kernel(v4.NnilUnaryMethod)
def nnil_unary_method(op: v4.NnilUnaryMethod, x: np.ndarray) -> np.ndarray:
    return nnil.run(op.program, x)
