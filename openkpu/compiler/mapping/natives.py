# SPDX-License-Identifier: Apache-2.0
"""The pools that the KPU has."""

from __future__ import annotations

from ..graph import Node
from .build import Mapper
from .logical import Logical, Size


def native(m: Mapper, node: Node, physical: Size, valid: Size) -> int:
    """The pool_type that is exactly this pool of a map of that size, or 0."""
    a = node.attrs
    kernel, stride, pads = a["kernel"], a["stride"], a["pads"]
    out = m.graph.shapes[node.output][2:]
    if kernel[0] != kernel[1] or stride[0] != stride[1]:
        return 0
    table = {("max", 2, 2): 1, ("mean", 2, 2): 2, ("max", 4, 4): 3, ("mean", 4, 4): 4}
    pool = table.get((a["kind"], kernel[0], stride[0]), 0)
    if pool and not any(pads) and all(o * stride[0] <= v for o, v in zip(out, valid, strict=True)) \
            and min(p // stride[0] for p in physical) >= 4:
        return pool
    return 0


def pool_after(m: Mapper, value: str, y: Logical) -> int:
    """The pool_type of a pool that alone follows and can be done in the same layer (its node is taken over)."""
    if y.pool or not m.single(value):
        return 0
    (after,) = m.consumers[value]
    pool = native(m, after, y.physical, y.valid) if after.op == "pool" else 0
    if pool:
        m.fused[after.output] = value
    return pool
