# SPDX-License-Identifier: Apache-2.0
"""Operators of kmodel v4 (spec/kmodel-format.md 4.4; arithmetic 4.5).

Tensors are in pool "main" or "const", dense, float32 unless said otherwise, (N, C, H, W) where four-dimensional.
``clamp`` is the fused activation (low, high). kpu_conv2d is ``model.KpuConv``, kpu_upload ``model.KpuUpload``.
Operator kinds are the names of section 4.3 ("add", "rsqrt", "mean").
"""

from ..window import Clamp, Window, window_args
from .fields import BINARY_OPS, REDUCE_OPS, RESIZE_MODES, UNARY_OPS
from .operators.convolution import (
    Conv2d,
    Conv2dTranspose,
    CpuConv2d,
    CpuDepthwiseConv2d,
    CpuQuantizedConv2d,
    CpuQuantizedDepthwiseConv2d,
    Matmul,
    QuantizedConv2d,
    QuantizedMatmul,
)
from .operators.elementwise import Binary, NnilUnaryMethod, QuantizedBinary, Unary
from .operators.movement import Concat, MemoryCopy, Pad, ResizeImage, StridedSlice, Transpose
from .operators.quantization import Dequantize, Quantize, TableLookup1d
from .operators.reduction import CpuReduceWindow2d, Reduce, ReduceWindow2d, Softmax

__all__ = [
    "BINARY_OPS", "Binary", "Clamp", "Concat", "Conv2d", "Conv2dTranspose", "CpuConv2d", "CpuDepthwiseConv2d",
    "CpuQuantizedConv2d", "CpuQuantizedDepthwiseConv2d", "CpuReduceWindow2d", "Dequantize", "Matmul", "MemoryCopy",
    "NnilUnaryMethod", "Pad", "Quantize", "QuantizedBinary", "QuantizedConv2d", "QuantizedMatmul", "REDUCE_OPS",
    "RESIZE_MODES", "Reduce", "ReduceWindow2d", "ResizeImage", "Softmax", "StridedSlice", "TableLookup1d", "Transpose",
    "UNARY_OPS", "Unary", "Window", "window_args",
]
