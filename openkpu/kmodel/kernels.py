# SPDX-License-Identifier: Apache-2.0
"""Which function executes which host operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .model import Layer

Kernel = Callable[..., Any]
KERNELS: dict[type[Layer], Kernel] = {}
CHIP_KERNELS: dict[type[Layer], Kernel] = {}
"""Operators in which the K210's runtimes round otherwise than the vendor's simulators, as the K210 does them."""
FUSED_KERNELS: dict[type[Layer], Kernel] = {}
"""Operators that round otherwise in nncase before 1.3, as it does them (``Model.fused_multiply_add``)."""


def kernel(*layers: type[Layer], table: dict[type[Layer], Kernel] = KERNELS) -> Callable[[Kernel], Kernel]:
    """Register a function for operator classes.

    It is called with the layer and one array per entry of ``layer.inputs``, in that order, and returns one array per
    entry of ``layer.outputs`` (a single array stands for one). It must not write into its arguments.
    """

    def register(function: Kernel) -> Kernel:
        for layer in layers:
            table[layer] = function
        return function

    return register
