# SPDX-License-Identifier: Apache-2.0
"""Tensor operators of kmodel v5 (spec/kmodel-format.md 5.7, 5.8).

Tensors have any numeric dtype of section 5.1 and any strides. ``clamp`` is the fused activation (low, high).
The records of k210 modules are ``model.KpuConv``, ``model.KpuUpload``, ``model.KpuDownload`` and ``Copy``.
Operator kinds are names, because their numbers differ between compiler releases.
"""

from .operators.convolution import Conv2d, Matmul
from .operators.elementwise import BINARY_OPS, COMPARE_OPS, Binary, Compare, Sigmoid, Ternary, Unary
from .operators.indexing import Compress, Gather, GatherElements, GatherNd, Onehot
from .operators.movement import (
    PAD_MODES,
    RESIZE_MODES,
    BatchToSpace,
    Broadcast,
    Copy,
    Pad,
    ResizeImage,
    Slice,
    SpaceToBatch,
    Transpose,
    Trilu,
)
from .operators.normalization import Hardmax, LayerNormalization, Softmax
from .operators.quantization import Convert, Dequantize, Lut1d, Quantize
from .operators.random import RandomNormal, RandomUniform
from .operators.recurrent import DIRECTIONS, Gru
from .operators.reduction import REDUCE_ARG_OPS, REDUCE_OPS, Cumsum, Reduce, ReduceArg, ReduceProd, ReduceWindow2d, Topk
from .operators.roi import ROI_MODES, RoiAlign

__all__ = [
    "BINARY_OPS",
    "BatchToSpace",
    "Binary",
    "Broadcast",
    "COMPARE_OPS",
    "Compare",
    "Compress",
    "Conv2d",
    "Convert",
    "Copy",
    "Cumsum",
    "DIRECTIONS",
    "Dequantize",
    "Gather",
    "GatherElements",
    "GatherNd",
    "Gru",
    "Hardmax",
    "LayerNormalization",
    "Lut1d",
    "Matmul",
    "Onehot",
    "PAD_MODES",
    "Pad",
    "Quantize",
    "REDUCE_ARG_OPS",
    "REDUCE_OPS",
    "RESIZE_MODES",
    "ROI_MODES",
    "RandomNormal",
    "RandomUniform",
    "Reduce",
    "ReduceArg",
    "ReduceProd",
    "ReduceWindow2d",
    "ResizeImage",
    "RoiAlign",
    "Sigmoid",
    "Slice",
    "Softmax",
    "SpaceToBatch",
    "Ternary",
    "Topk",
    "Transpose",
    "Trilu",
    "Unary",
]
