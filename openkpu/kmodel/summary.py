# SPDX-License-Identifier: Apache-2.0
"""What a model needs, as plain data for ``openkpu info``: shapes, work, weights, memory, does it fit the chip."""

from __future__ import annotations

from dataclasses import fields
from math import prod
from typing import Any

import numpy as np

from ..hw.fields import AIRAM_BYTES, POOL_NAMES, ROW_BYTES
from .model import KPU_POOL, KpuConv, Layer, Model, Tensor, TensorSpec
from .shapes import output_maps
from .v3 import ops as ops_v3
from .v4 import ops as ops_v4
from .v5 import ops as ops_v5

RAM_LIMIT = int(5.9 * (1 << 20))
"""Bytes of general RAM that the vendors' firmware leaves for model and main memory together."""


def macs(layer: Layer) -> int:
    """Multiply-accumulates of a layer: KPU layers before pooling, convolutions and matrix products on the host."""
    match layer:
        case KpuConv():
            return layer.descriptor.macs * layer.batches
        case ops_v3.FullyConnected():
            return layer.weights.size
        case ops_v4.Conv2d() | ops_v4.QuantizedConv2d():
            n, _, h, w = layer.out.shape
            return n * h * w * layer.weights.size
        case ops_v4.Conv2dTranspose():
            n, _, h, w = layer.input.shape
            return n * h * w * layer.weights.size
        case (ops_v4.CpuConv2d() | ops_v4.CpuQuantizedConv2d() | ops_v4.CpuDepthwiseConv2d()
              | ops_v4.CpuQuantizedDepthwiseConv2d()):
            n, h, w, _ = layer.out.shape
            return n * h * w * layer.weights.size
        case ops_v5.Conv2d():
            n, _, h, w = layer.out.shape
            return n * h * w * layer.weights.count
        case ops_v4.Matmul() | ops_v4.QuantizedMatmul() | ops_v5.Matmul():
            return layer.out.count * layer.a.shape[-1]
    return 0


def weight_bytes(layer: Layer) -> int:
    """Bytes of weights: those the KPU loads, or the constant arrays of a host operator."""
    if isinstance(layer, KpuConv):
        return layer.weights.size
    if isinstance(layer, ops_v5.Conv2d):
        return layer.weights.nbytes + layer.bias.nbytes
    return sum(v.nbytes for v in (getattr(layer, f.name) for f in fields(layer)) if isinstance(v, np.ndarray))


def kind(layer: Layer) -> str:
    """What the layer is, in a few words: "dwconv 3x3", "Softmax"."""
    if isinstance(layer, KpuConv):
        d = layer.descriptor
        return f"{'dw' if d.depthwise else ''}conv {d.kernel}x{d.kernel}"
    return type(layer).__name__


def _rows(tensor: Tensor) -> int:
    return tensor.map_rows * tensor.shape[0] if tensor.pool == KPU_POOL else 0


def layer_rows(layer: Layer) -> int:
    """Rows of 64 bytes that the layer's maps fill in the AI RAM, input and output together."""
    return sum(_rows(t) for t in (*layer.inputs, *layer.outputs))


def airam_rows(model: Model) -> int:
    """Rows of 64 bytes from the start of the AI RAM to the end of the highest map."""
    tensors = [t for layer in model.layers for t in (*layer.inputs, *layer.outputs) if t.pool == KPU_POOL]
    tensors += [s.tensor for s in model.inputs if s.tensor.pool == KPU_POOL]
    return max((t.offset // ROW_BYTES + _rows(t) for t in tensors), default=0)


def _shape(tensors: tuple[Tensor, ...], map_shape: tuple[int, ...] | None = None) -> list[int]:
    if not tensors:
        return []
    shape = map_shape if map_shape and prod(map_shape) == tensors[0].count else tensors[0].shape
    return list(shape)


def _layer(layer: Layer, map_shape: tuple[int, ...] | None) -> dict[str, Any]:
    d = layer.descriptor if isinstance(layer, KpuConv) else None
    return {
        "index": layer.index,
        "name": layer.name,
        "where": layer.where,
        "kind": kind(layer),
        "in_shape": list(d.in_shape) if d else _shape(layer.inputs),
        "out_shape": list(d.out_shape) if d else _shape(layer.outputs, map_shape),
        "batches": layer.batches if isinstance(layer, KpuConv) else 1,
        "pool": POOL_NAMES[d.pool_type] if d else None,
        "macs": macs(layer),
        "weight_bytes": weight_bytes(layer),
        "airam_rows": layer_rows(layer),
        "offset": layer.offset,
        "size": layer.size,
    }


def _spec(spec: TensorSpec) -> dict[str, Any]:
    return {"index": spec.index, "dtype": spec.dtype.name, "shape": list(spec.shape),
            "map_shape": list(spec.map_shape) if spec.map_shape else None, "memory": spec.tensor.pool,
            "offset": spec.tensor.offset, "bytes": spec.tensor.nbytes}


def describe(model: Model) -> dict[str, Any]:
    """Everything ``openkpu info`` shows, made of dict, list, str, int, bool and None only.

    Sizes are bytes; "rows" are 64-byte rows of the AI RAM.
    """
    layers = [_layer(layer, shape) for layer, shape in zip(model.layers, output_maps(model.layers), strict=True)]
    rows = airam_rows(model)
    total = model.size + model.main_memory
    return {
        "model": model.source,
        "version": model.version,
        "format": f"kmodel v{model.version}",
        "compiler": {3: "nncase 0.1", 4: "nncase 0.2"}.get(model.version, f"nncase {model.operator_table}"),
        "byte_swapped": model.byte_swapped,
        "weight_bits": 8 if model.eight_bit else 16,
        "size": model.size,
        "inputs": [_spec(s) for s in model.inputs],
        "outputs": [_spec(s) for s in model.outputs],
        "layers": layers,
        "totals": {
            "layers": len(layers),
            "kpu_layers": len(model.kpu_layers),
            "macs": sum(x["macs"] for x in layers),
            "kpu_macs": sum(x["macs"] for x in layers if x["where"] == "kpu"),
            "weight_bytes": sum(x["weight_bytes"] for x in layers),
            "kpu_weight_bytes": sum(x["weight_bytes"] for x in layers if x["where"] == "kpu"),
        },
        "memory": {
            "model": model.size,
            "main": model.main_memory,
            "total": total,
            "limit": RAM_LIMIT,
            "fits": total <= RAM_LIMIT,
            "airam": rows * ROW_BYTES,
            "airam_rows": rows,
            "airam_rows_of_largest_layer": max(x["airam_rows"] for x in layers),
            "airam_limit": AIRAM_BYTES,
            "airam_fits": rows * ROW_BYTES <= AIRAM_BYTES,
        },
        "warnings": list(model.warnings),
    }
