# SPDX-License-Identifier: Apache-2.0
"""Decoded StackVM code (spec/kmodel-format.md 5.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Address:
    """``offset`` bytes into a location (0 input, 1 output, 2 rdata, 3 data)."""

    location: int
    offset: int


@dataclass(frozen=True)
class CallTensor:
    """One argument of CALL."""

    address: Address
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Instruction:
    """A tensor function with resolved operands: registers replaced by their contents, enumerators by names.

    ``reads_all``: it reads every register that is set in front of it, as all that compilers write do.
    """

    offset: int
    size: int
    name: str
    args: dict[str, Any]
    reads_all: bool = True
