"""Host operators of kmodel v3 (spec/kmodel-format.md section 3.5)."""

from __future__ import annotations

import numpy as np

from ...arithmetic import conv, elementwise, quantize, reduce, shape
from ...arithmetic.sums import ordered_sum
from ...kmodel.kernels import kernel
from ...kmodel.v3 import ops as v3


@kernel(v3.Add)
def add(op: v3.Add, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a + b


@kernel(v3.QuantizedAdd)
def quantized_add(op: v3.QuantizedAdd, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return elementwise.quantized_add_v3(a, b, (op.a_offset, op.a_mul, op.a_shift), (op.b_offset, op.b_mul, op.b_shift),
                                        (op.o_offset, op.o_mul, op.o_shift))


@kernel(v3.GlobalAveragePool2d)
def global_average_pool(op: v3.GlobalAveragePool2d, x: np.ndarray) -> np.ndarray:
    return ordered_sum(x, axis=1) / np.float32(x.shape[1])


@kernel(v3.QuantizedMaxPool2d)
def max_pool(op: v3.QuantizedMaxPool2d, x: np.ndarray) -> np.ndarray:
    return reduce.pool_v3(x, "max", op.out.shape[1:], (op.kernel_h, op.kernel_w), (op.stride_h, op.stride_w),
                          (op.pad_h, op.pad_w))


@kernel(v3.AveragePool2d)
def average_pool(op: v3.AveragePool2d, x: np.ndarray) -> np.ndarray:
    return reduce.pool_v3(x, "mean", op.out.shape[1:], (op.kernel_h, op.kernel_w), (op.stride_h, op.stride_w),
                          (op.pad_h, op.pad_w))


@kernel(v3.Quantize)
def quantize_(op: v3.Quantize, x: np.ndarray) -> np.ndarray:
    return quantize.quantize_v3(x, op.scale, op.bias)


@kernel(v3.Dequantize)
def dequantize(op: v3.Dequantize, x: np.ndarray) -> np.ndarray:
    return quantize.dequantize(x, op.scale, op.bias)


@kernel(v3.ChannelwiseDequantize)
def channelwise_dequantize(op: v3.ChannelwiseDequantize, x: np.ndarray) -> np.ndarray:
    return quantize.dequantize(x, op.scale[:, None], op.bias[:, None])


@kernel(v3.Requantize)
def requantize(op: v3.Requantize, x: np.ndarray) -> np.ndarray:
    return quantize.lookup(x, op.table)


@kernel(v3.L2Normalization)
def l2_normalization(op: v3.L2Normalization, x: np.ndarray) -> np.ndarray:
    return reduce.l2_normalize(x)


@kernel(v3.Softmax)
def softmax(op: v3.Softmax, x: np.ndarray) -> np.ndarray:
    return reduce.softmax_v3(x)


@kernel(v3.Logistic)
def logistic(op: v3.Logistic, x: np.ndarray) -> np.ndarray:
    return elementwise.sigmoid(x)


@kernel(v3.Concat)
def concat(op: v3.Concat, *parts: np.ndarray) -> np.ndarray:
    return np.concatenate(parts)


@kernel(v3.FullyConnected)
def fully_connected(op: v3.FullyConnected, x: np.ndarray) -> np.ndarray:
    limits = ((-np.inf, np.inf), (0, np.inf), (0, 6))[op.act]
    return conv.clamp(ordered_sum(op.weights * x, axis=1) + op.bias, limits)


@kernel(v3.TensorflowFlatten)
def tensorflow_flatten(op: v3.TensorflowFlatten, x: np.ndarray) -> np.ndarray:
    return x.transpose(1, 2, 0)


@kernel(v3.ResizeNearestNeighbor)
def resize_nearest_neighbor(op: v3.ResizeNearestNeighbor, x: np.ndarray) -> np.ndarray:
    return shape.resize_nearest(x, op.out.shape[-2:])


@kernel(v3.AddPadding)
def add_padding(op: v3.AddPadding, x: np.ndarray) -> np.ndarray:
    return x[None, :, None, None]


@kernel(v3.RemovePadding)
def remove_padding(op: v3.RemovePadding, x: np.ndarray) -> np.ndarray:
    return x[:, 0, 0]
