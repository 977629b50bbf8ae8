# SPDX-License-Identifier: Apache-2.0
"""Loaders of K210 models: kmodel v3, v4, v5 and kfpkg packages into one typed in-memory model."""

from .identify import Identity, identify
from .kfpkg import Entry, Package, load_kfpkg
from .load import load, model_size
from .model import KpuConv, KpuDownload, KpuUpload, Layer, Model, Pool, Tensor, TensorSpec

__all__ = [
    "Entry", "Identity", "KpuConv", "KpuDownload", "KpuUpload", "Layer", "Model", "Package", "Pool", "Tensor",
    "TensorSpec", "identify", "load", "load_kfpkg", "model_size",
]
