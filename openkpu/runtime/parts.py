# SPDX-License-Identifier: Apache-2.0
"""Some layers of a model as a model of their own, which begins with the maps that the ones before have left."""

from __future__ import annotations

from dataclasses import replace

from ..kmodel.model import Model, Tensor, TensorSpec


def live(model: Model, begin: int, end: int) -> tuple[Tensor, ...]:
    """The tensors that layers ``begin`` to ``end``, and outputs behind the last layer, read and that are not constant.

    Some may be written by the layers themselves before they are read; their content at the beginning does not matter.
    """
    read = [t for layer in model.layers[begin:end + 1] for t in layer.inputs]
    if end == len(model.layers) - 1:
        read += [spec.tensor for spec in model.outputs]
    return tuple(dict.fromkeys(t for t in read if t.pool not in model.pools or model.pools[t.pool].data is None))


def part(model: Model, begin: int, end: int) -> Model:
    """A model of some layers, whose inputs are what they read."""
    reads = live(model, begin, end)
    last = end == len(model.layers) - 1
    return replace(model, layers=model.layers[begin:end + 1], outputs=model.outputs if last else (),
                   inputs=tuple(TensorSpec(i, t) for i, t in enumerate(reads)))
