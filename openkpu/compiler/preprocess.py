# SPDX-License-Identifier: Apache-2.0
"""What is done to the raw pixels before the network sees them, folded into its first layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import CompileError
from .graph import Graph, Node


@dataclass(frozen=True)
class Preprocess:
    """The network sees (x * scale - mean) / std of the raw codes x, per channel.

    Attributes
    ----------
    bgr : the network takes the planes in the order B, G, R; the kmodel takes R, G, B all the same.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    bgr: bool = False

    def apply(self, x: np.ndarray) -> np.ndarray:
        """The network's float32 input of raw pixels (N, C, H, W)."""
        x = x[:, ::-1] if self.bgr else x
        mean, std = (np.asarray(v, np.float32).reshape(1, -1, 1, 1) for v in (self.mean, self.std))
        return np.ascontiguousarray((x.astype(np.float32) * np.float32(self.scale) - mean) / std)

    @property
    def none(self) -> bool:
        return self == Preprocess()


def fold(graph: Graph, preprocess: Preprocess) -> dict[str, int]:
    """Let the network take raw codes; the code that stands for zero outside the image, by input.

    A map's padding is one code for all channels, and the network pads with zeros behind the subtraction of the mean:
    the code nearest to the mean of the means. What is left is the affine node's shift, which the mapping adds inside
    the image only.
    """
    zeros = {}
    for name in list(graph.inputs):
        shape = graph.shapes[name]
        if len(shape) != 4:
            if not preprocess.none:
                raise CompileError(f"the input '{name}' of shape {list(shape)} is no picture; leave out --scale, "
                                   "--mean, --std and --bgr")
            continue
        channels = shape[1]
        for option, values in (("--mean", preprocess.mean), ("--std", preprocess.std)):
            if len(values) not in (1, channels):
                raise CompileError(f"{option} gives {len(values)} numbers, the input '{name}' has {channels} channels; "
                                   "give one, or one per channel")
        if preprocess.scale == 0 or 0 in preprocess.std:
            raise CompileError("--scale and --std must not be 0")
        scale = np.broadcast_to(preprocess.scale / np.asarray(preprocess.std, np.float64), channels)
        offset = np.broadcast_to(np.asarray(preprocess.mean, np.float64) / preprocess.scale, channels)
        zero = int(np.clip(np.rint(offset.mean()), 0, 255))
        shift = (zero - offset) * scale
        zeros[name] = zero
        inner = name
        if preprocess.bgr:
            inner = graph.fresh(f"{name}.bgr")
            graph.shapes[inner] = shape
        seen = graph.fresh(f"{name}.seen")
        graph.shapes[seen] = shape
        graph.replace_value(name, seen)
        nodes = [Node("channels", [name], [inner], {"index": np.arange(channels)[::-1]}, "bgr")] if preprocess.bgr \
            else []
        graph.nodes[:0] = [*nodes, Node("affine", [inner], [seen], {"scale": scale, "shift": shift}, "preprocessing")]
    return zeros

