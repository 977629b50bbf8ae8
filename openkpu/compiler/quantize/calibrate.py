# SPDX-License-Identifier: Apache-2.0
"""What the pictures tell: ranges of every channel, and samples of what goes into the layers and should come out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..mapping import evaluate
from ..mapping.network import HostOp, KpuLayer, Network

PIXELS = 12000
"""Pixels per layer, over all pictures, that the weights are fitted on."""
PER_CHANNEL = 4096
"""Samples per channel and layer that ranges are chosen with."""


@dataclass
class LayerStatistics:
    """Of one KPU layer.

    Attributes
    ----------
    pixels : places (flat, before the pool) in every picture where sums were sampled.
    targets : sums there, one float32 (O, pixels) per picture.
    low, high : float (pictures, O), of the sums.
    samples : float32 (O, many), of the output: every ``stride``-th pixel.
    """

    pixels: np.ndarray
    targets: list[np.ndarray] = field(default_factory=list)
    low: list[np.ndarray] = field(default_factory=list)
    high: list[np.ndarray] = field(default_factory=list)
    samples: list[np.ndarray] = field(default_factory=list)
    stride: int = 1


@dataclass
class Statistics:
    """Of a network over its calibration pictures.

    Attributes
    ----------
    layers : by the layer's output.
    low, high : per map, float64 (pictures, C).
    outputs : per picture, the network's float outputs.
    """

    layers: dict[str, LayerStatistics]
    low: dict[str, np.ndarray]
    high: dict[str, np.ndarray]
    outputs: list[list[np.ndarray]]


def calibrate(net: Network, pictures: Sequence[Sequence[np.ndarray]],
              progress: Callable[[], None] = lambda: None) -> Statistics:
    """Run the pictures (each one array per input, float32) through the float network."""
    layers = {}
    for step in net.kpu():
        shape = net.shapes[step.inputs[0].map][2:]
        layers[step.output] = LayerStatistics(_places(shape, step.pool, max(64, PIXELS // len(pictures))))
    low: dict[str, list[np.ndarray]] = {}
    high: dict[str, list[np.ndarray]] = {}
    outputs = []

    def after(step: KpuLayer | HostOp, values: evaluate.Values, sums: np.ndarray | None) -> None:
        made = values[step.output]
        if step.output in net.maps:
            note(step.output, made)
        if isinstance(step, KpuLayer) and not step.exact:
            assert sums is not None
            s = layers[step.output]
            flat = made.reshape(made.shape[1], -1)
            s.stride = max(1, flat.shape[1] * len(pictures) // PER_CHANNEL)
            s.samples.append(flat[:, :: s.stride].astype(np.float32))
            s.targets.append(sums.reshape(sums.shape[1], -1)[:, s.pixels].astype(np.float32))
            s.low.append(sums.min(axis=(0, 2, 3)))
            s.high.append(sums.max(axis=(0, 2, 3)))

    def note(name: str, array: np.ndarray) -> None:
        low.setdefault(name, []).append(array.min(axis=(0, 2, 3)))
        high.setdefault(name, []).append(array.max(axis=(0, 2, 3)))

    for picture in pictures:
        for name, array in zip(net.inputs, picture, strict=True):
            if name in net.maps:
                note(name, array)
        values = evaluate.run(net, picture, after)
        outputs.append([values[name] for name in net.outputs])
        progress()
    return Statistics(layers, {n: np.array(v, np.float64) for n, v in low.items()},
                      {n: np.array(v, np.float64) for n, v in high.items()}, outputs)


def _places(shape: tuple[int, ...], pool: int, most: int) -> np.ndarray:
    """Evenly spread pixels of a map; of those that a sampling pool takes, if there is one."""
    pixels = np.arange(shape[0] * shape[1]).reshape(shape)
    step = {5: 2, 6: 2, 7: 4}.get(pool, 1)
    flat = pixels[: shape[0] // step * step : step, pool == 6: shape[1] // step * step : step].ravel()
    # A step that is no divisor of the width goes through all columns.
    return flat if len(flat) <= most else flat[(np.arange(most) * (len(flat) / most)).astype(int)]
