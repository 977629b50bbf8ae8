# SPDX-License-Identifier: Apache-2.0
"""The float network: what importers make and the passes rewrite.

Operators are few and canonical; constants that belong to an operator are its attributes.

=========  ============================================================================================================
conv       ``w`` (O, I/groups, kh, kw), ``b`` (O,), ``stride``, ``dilation`` (y, x), ``pads`` (top, left, bottom,
           right), ``groups``; zeros outside the image
affine     x * ``scale`` + ``shift``, both float64 of one element or one per channel (dimension 1)
act        ``function``: :class:`~openkpu.compiler.functions.Function` of every element
prelu      ``slope`` (C,) for negative elements
add        two tensors of one shape
concat     along ``axis``
pool       ``kind`` max or mean, ``kernel``, ``stride``, ``pads``; pixels outside do not count, or as zero if
           ``count_pad`` (mean)
upsample   nearest, by the whole numbers ``factor`` (y, x)
=========  ============================================================================================================

and, mostly for the host: slice (``begin``, ``end``, ``step``), pad (``pads`` per dimension, ``value``), transpose
(``perm``), reshape, resize, softmax (``axis``), reduce (``kind``, ``axes``), matmul (``w``, ``b`` or two tensors),
binary (``kind``), conv2d_transpose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Shape = tuple[int, ...]


@dataclass(eq=False)
class Node:
    """One operator. ``name`` is the network's own, for messages; nodes made of several keep the first one's."""

    op: str
    inputs: list[str]
    outputs: list[str]
    attrs: dict[str, Any] = field(default_factory=dict)
    name: str = ""

    @property
    def output(self) -> str:
        return self.outputs[0]


@dataclass
class Graph:
    """A network with static shapes.

    Attributes
    ----------
    nodes : in execution order.
    shapes : of every value.
    constants : float32 (or integer) arrays by value name.
    inputs, outputs : value names in the file's order.
    codes : (scale, zero) of the uint8 codes that a file prescribes for its values.
    """

    nodes: list[Node]
    shapes: dict[str, Shape]
    constants: dict[str, np.ndarray]
    inputs: list[str]
    outputs: list[str]
    codes: dict[str, tuple[float, int]] = field(default_factory=dict)

    def consumers(self) -> dict[str, list[Node]]:
        """The nodes that read each value."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.inputs:
                found.setdefault(name, []).append(node)
        return found

    def producers(self) -> dict[str, Node]:
        """The node that writes each value."""
        return {name: node for node in self.nodes for name in node.outputs}

    def replace_value(self, old: str, new: str) -> None:
        """Let everything that reads ``old`` read ``new``."""
        for node in self.nodes:
            node.inputs = [new if name == old else name for name in node.inputs]
        self.outputs = [new if name == old else name for name in self.outputs]

    def prune(self) -> None:
        """Remove nodes that no output needs."""
        needed, kept = set(self.outputs), []
        for node in reversed(self.nodes):
            if needed & set(node.outputs):
                kept.append(node)
                needed |= set(node.inputs)
        self.nodes = kept[::-1]

    def fresh(self, stem: str) -> str:
        """A value name that is not taken."""
        name, i = stem, 1
        while name in self.shapes:
            name, i = f"{stem}.{i}", i + 1
        return name


Pass = Callable[[Graph], None]


def of(nodes: list[Node], *ops: str) -> Iterator[Node]:
    """A copy of the list, restricted to some operators, so that passes may change it."""
    return (n for n in list(nodes) if n.op in ops)
