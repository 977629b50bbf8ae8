# SPDX-License-Identifier: Apache-2.0
"""The network on the KPU, still in floats: layers that the hardware has, and what the host does between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..functions import IDENTITY, Function

Size = tuple[int, ...]
"""(height, width)."""


@dataclass(frozen=True)
class Part:
    """Channels ``begin`` ... of a stored map."""

    map: str
    begin: int
    count: int


@dataclass(eq=False)
class KpuLayer:
    """Convolution (stride 1, same size, zeros outside), bias, function, pool: what one KPU layer computes.

    Attributes
    ----------
    inputs : channels side by side in the AI RAM, in the order of the weights' second dimension.
    weights : (O, I, k, k), depthwise (C, 1, 3, 3); float64.
    function : of one number, the same for all channels.
    slopes : (left, right), each (O,): instead of ``function``, a line on either side of zero per channel.
    pool : pool_type 0..9 of section 8.
    exact : moves codes unchanged (weights are 0 and 1): the output has its input's scales.
    rows : vertical taps are that many rows apart (depthwise layers that move a map, see :mod:`..layers`).
    low_outside : pixels outside the map are the lowest code, not zero (for maximum pools).
    origin : the network's node.
    why : what a reader of the report wants to know about this layer, "" if it is plain.
    """

    name: str
    inputs: list[Part]
    output: str
    weights: np.ndarray
    bias: np.ndarray
    function: Function = IDENTITY
    slopes: tuple[np.ndarray, np.ndarray] | None = None
    pool: int = 0
    depthwise: bool = False
    exact: bool = False
    rows: int = 1
    low_outside: bool = False
    origin: str = ""
    why: str = ""

    @property
    def kernel(self) -> int:
        return self.weights.shape[2]


@dataclass(eq=False)
class HostOp:
    """An operator of ``program.HOST_OPERATORS`` in floats; ``function`` ops carry a Function. ``why`` it is here."""

    name: str
    op: str
    inputs: list[str]
    output: str
    attrs: dict[str, Any] = field(default_factory=dict)
    why: str = ""


@dataclass
class Network:
    """Steps over named values.

    Attributes
    ----------
    shapes : of every value; stored maps are (1, C, H, W).
    maps : values that live in the AI RAM, in order of their making.
    constants : host constants.
    codes : (scale, zero) that the file prescribes for maps.
    """

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    maps: dict[str, None] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    steps: list[KpuLayer | HostOp] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    codes: dict[str, tuple[float, int]] = field(default_factory=dict)

    def kpu(self) -> Iterator[KpuLayer]:
        return (s for s in self.steps if isinstance(s, KpuLayer))

    def host(self) -> Iterator[HostOp]:
        return (s for s in self.steps if isinstance(s, HostOp))
