# SPDX-License-Identifier: Apache-2.0
"""Sliding windows and fused activations, as operators of v4 and v5 have them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arithmetic.types import Pair

Clamp = tuple[np.float32, np.float32]
"""A fused activation (low, high)."""


@dataclass(frozen=True)
class Window:
    """A sliding window. ``pad_h`` and ``pad_w`` are (before, after); the others (vertical, horizontal)."""

    pad_h: Pair
    pad_w: Pair
    kernel: Pair
    stride: Pair
    dilation: Pair


def window_args(window: Window) -> tuple[Pair, Pair, Pair, Pair]:
    """The window as the trailing arguments of ``arithmetic.conv``."""
    return window.pad_h, window.pad_w, window.stride, window.dilation
