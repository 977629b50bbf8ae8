# SPDX-License-Identifier: Apache-2.0
"""Pools: the KPU's own, and maximum and mean pools built of them."""

from __future__ import annotations

import numpy as np

from ..graph import Node
from .build import Mapper, handler
from .convolution import dense, depthwise, lower
from .logical import Logical, Size
from .natives import native


@handler("pool")
def pool(m: Mapper, node: Node) -> None:
    a = node.attrs
    if node.output in m.fused:
        y = m.logical[m.fused[node.output]]
        m.logical[node.output] = y.changed(valid=m.graph.shapes[node.output][2:])
        return
    x = m.tensor(node.inputs[0])
    out = m.graph.shapes[node.output][2:]
    if x is not None:
        made = _on_kpu(m, node, x, out)
        if made is not None:
            m.logical[node.output] = made
            return
    top, left, bottom, right = a["pads"]
    if a["kind"] == "mean" and a["count_pad"] and any(a["pads"]):
        why = "a mean that counts padding"
    else:
        why = f"no KPU layers make a {a['kind']} pool of {a['kernel']}, stride {a['stride']}, at this cost"
    source, shape = m.graph.shapes[node.inputs[0]], m.graph.shapes[node.output]
    need = [(shape[2 + i] - 1) * a["stride"][i] + a["kernel"][i] - source[2 + i] - (top, left)[i] for i in (0, 1)]
    m.hosted[node.output] = m.host(
        "pool", [m.on_host(node.inputs[0])], shape, node.output,
        {"kind": a["kind"], "kernel": tuple(a["kernel"]), "stride": tuple(a["stride"]),
         "pads": ((top, max(bottom, need[0])), (left, max(right, need[1]))), "dilation": (1, 1)}, why)


def _on_kpu(m: Mapper, node: Node, x: Logical, out: Size) -> Logical | None:
    a = node.attrs
    kind = native(m, node, x.physical, x.valid)
    if kind:
        x = m.materialize(x)
        y = m.materialize(x.changed(work=True), pool=kind, name=node.name)
        return y.changed(valid=out)
    if a["kind"] == "mean":
        return _mean(m, node, x, out)
    return _max3(m, node, x, out)


def _mean(m: Mapper, node: Node, x: Logical, out: Size) -> Logical | None:
    """A mean pool as a depthwise convolution with equal weights."""
    a = node.attrs
    kh, kw = a["kernel"]
    reach = [(out[i] - 1) * a["stride"][i] + a["kernel"][i] - a["pads"][i] > x.valid[i] for i in (0, 1)]
    if (any(a["pads"][:2]) or any(reach)) and not a["count_pad"]:
        return None
    if a["stride"][0] != a["stride"][1] or a["stride"][0] not in (1, 2, 4) or kh * kw > 25:
        return None
    w = np.full((x.channels, 1, kh, kw), 1 / (kh * kw))
    attrs = {"w": w, "b": np.zeros(x.channels), "stride": a["stride"], "dilation": (1, 1), "pads": a["pads"],
             "groups": x.channels}
    if not x.free:
        x = m.logical[node.inputs[0]] = m.materialize(x)
    made = depthwise(m, Node("conv", node.inputs, node.outputs, attrs, node.name), x, out)
    if made is not None:
        return made
    y = lower(m, x, dense(w, x.channels), attrs["b"], a["stride"][0], (1, 1), a["pads"], out, node.name)
    return None if y is None else m.materialize(y, name=node.name)


def _max3(m: Mapper, node: Node, x: Logical, out: Size) -> Logical | None:
    """A 3x3 maximum: 2x2 with stride 1 (pool 9), moved, and 2x2 again with the stride of the pool.

    pool 9: F(y) = max(x(y), x(y+1)). Padded by one in front, the window of output y is 2y-1 .. 2y+1, that is
    max(F(2y-1), F(2y)): F moved by one pixel, then pool 1. Without padding in front it is F(2y), F(2y+1).
    """
    a = node.attrs
    top, left, _, _ = a["pads"]
    if a["kernel"] != (3, 3) or a["stride"] != (2, 2) or top != left or top > 1 or x.valid != x.physical \
            or any(o != p // 2 for o, p in zip(out, x.physical, strict=True)) or min(out) < 4:
        return None
    x = m.materialize(x)
    pairs = m.materialize(x.changed(work=True), pool=9, name=f"{node.name}.pairs")
    if top:
        moved = [m.keep(m.shifted(name, -1, -1, low_outside=True)) for name in pairs.terms]
        terms = {next(iter(y.terms)): k for y, k in zip(moved, pairs.terms.values(), strict=True)}
        pairs = pairs.changed(terms=terms)
    y = m.materialize(pairs.changed(work=True, clean=True, valid=pairs.physical), pool=1, name=node.name)
    return y.changed(valid=out)


