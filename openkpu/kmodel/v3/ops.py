# SPDX-License-Identifier: Apache-2.0
"""Operators of kmodel v3 (spec/kmodel-format.md 3.4; arithmetic 3.5).

Tensors are in pool "main", dense; float32 unless said otherwise. KPU layers are in ``model``: KL_K210_CONV is
``KpuConv``, KL_K210_UPLOAD is ``KpuUpload``.
"""

from .operators.elementwise import Add, Logistic, QuantizedAdd
from .operators.kpu import AddPadding, RemovePadding
from .operators.movement import Concat, ResizeNearestNeighbor, TensorflowFlatten
from .operators.quantization import ChannelwiseDequantize, Dequantize, Quantize, Requantize
from .operators.reduction import (
    AveragePool2d,
    FullyConnected,
    GlobalAveragePool2d,
    L2Normalization,
    QuantizedMaxPool2d,
    Softmax,
)

__all__ = [
    "Add", "AddPadding", "AveragePool2d", "ChannelwiseDequantize", "Concat", "Dequantize", "FullyConnected",
    "GlobalAveragePool2d", "L2Normalization", "Logistic", "Quantize", "QuantizedAdd", "QuantizedMaxPool2d",
    "RemovePadding", "Requantize", "ResizeNearestNeighbor", "Softmax", "TensorflowFlatten",
]
