# SPDX-License-Identifier: Apache-2.0
"""Shapes of feature maps that the files don't store (spec/kmodel-format.md section 6).

v3 and v4 store no output shape. It is found by following the layers: an operator with (C, H, W) or (1, C, H, W)
results states the shape itself (KPU layers, pools, pads, transposes ...); a one-dimensional operator that keeps
positions (dequantize, unary, softmax, copy ...) passes on the shape of its only input of equal length; a
concatenation of maps of equal height and width adds up the channels. Everything else (fully connected, matrix
products) has no map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .model import KPU_POOL, Layer, Tensor, TensorSpec

MapShape = tuple[int, int, int]
_Known = dict[tuple[str, int], tuple[int, MapShape]]


def _lookup(known: _Known, tensor: Tensor) -> MapShape | None:
    nbytes, shape = known.get((tensor.pool, tensor.offset), (0, None))
    return shape if nbytes == tensor.nbytes else None


def _shape_of(layer: Layer, out: Tensor, known: _Known) -> MapShape | None:
    if layer.MAP == "concat":
        parts = [_lookup(known, p) for p in layer.inputs]
        sizes = {p and p[1:] for p in parts}
        found = sizes.pop() if len(sizes) == 1 else None
        if found is None or (len(out.shape) == 2 and out.shape[0] != 1):
            return None
        return (sum(p[0] for p in parts if p), *found)
    if layer.MAP == "none":
        return None
    if len(out.shape) == 3:
        return out.shape
    if len(out.shape) == 4:
        return out.shape[1:] if out.shape[0] == 1 else None
    if layer.MAP == "input" or len(out.shape) == 1:
        same = [t for t in layer.inputs if t.count == out.count]
        return _lookup(known, same[0]) if len(same) == 1 else None
    return None


def output_maps(layers: Sequence[Layer]) -> list[MapShape | None]:
    """(C, H, W) of each layer's first result, or None where it is no feature map."""
    known: _Known = {}
    shapes: list[MapShape | None] = []
    for layer in layers:
        found = [_shape_of(layer, out, known) for out in layer.outputs]
        for out, shape in zip(layer.outputs, found, strict=True):
            if shape is None or out.pool == KPU_POOL:
                known.pop((out.pool, out.offset), None)
            else:
                known[out.pool, out.offset] = (out.nbytes, shape)
        shapes.append(found[0] if found else None)
    return shapes


def with_map_shapes(specs: Sequence[TensorSpec], layers: Sequence[Layer]) -> tuple[TensorSpec, ...]:
    """``specs`` with ``map_shape`` filled in."""
    last: dict[tuple[str, int], tuple[int, MapShape | None]] = {}
    for layer, shape in zip(layers, output_maps(layers), strict=True):
        for out in layer.outputs:
            last[out.pool, out.offset] = (out.nbytes, shape)
    result = []
    for spec in specs:
        nbytes, shape = last.get((spec.tensor.pool, spec.tensor.offset), (0, None))
        result.append(replace(spec, map_shape=shape if nbytes == spec.tensor.nbytes else None))
    return tuple(result)
