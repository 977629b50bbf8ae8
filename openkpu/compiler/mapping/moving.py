# SPDX-License-Identifier: Apache-2.0
"""Slices, orders of channels, and larger maps."""

from __future__ import annotations

import numpy as np

from ..graph import Node
from .build import Mapper, handler
from .convolution import lower
from .hosting import REASONS, host
from .logical import Logical


@handler("slice")
def cut(m: Mapper, node: Node) -> None:
    a = node.attrs
    x = m.tensor(node.inputs[0])
    shape = m.graph.shapes[node.output]
    if x is None or len(shape) != 4 or a["step"][0] != 1:
        return host(m, node)
    channels = np.arange(a["begin"][1], a["end"][1], a["step"][1])
    whole = (a["begin"][2:], shape[2:], a["step"][2:]) == ((0, 0), x.valid, (1, 1))
    if whole:
        if not x.free:
            x = m.logical[node.inputs[0]] = m.materialize(x)
        m.logical[node.output] = x.rows(channels)
        return None
    steps = a["step"][2:]
    if max(steps) > 1 and x.free and all(name in m.net.inputs for name in x.terms):
        m.logical[node.output] = _cut_input(m, x.rows(channels), a, shape)
        return None
    if steps[0] == steps[1] and steps[0] in (1, 2, 4) and not (steps[0] == 1 and _only_host(m, node.output)):
        x = m.logical[node.inputs[0]] = x if x.free else m.materialize(x)
        x = x.rows(channels)
        y0, x0 = a["begin"][2:]
        w = np.eye(x.channels)[:, :, None, None]
        y = lower(m, x, w, np.zeros(x.channels), steps[0], (1, 1), (-y0, -x0, 0, 0), shape[2:], node.name)
        if y is not None:
            if steps[0] == 1 and y.kernel == 1:
                m.logical[node.output] = y.changed(work=False)
            else:
                m.logical[node.output] = m.materialize(y, name=node.name, why="samples every second pixel")
            return None
    return host(m, node)


def _cut_input(m: Mapper, x: Logical, a: dict, shape: tuple[int, ...]) -> Logical:
    """Pixels of an input that is in the host's memory anyway: the KPU gets only those."""
    terms = {}
    for name, k in x.terms.items():
        whole = m.net.shapes[name]
        cut = m.host("slice", [name], (*whole[:2], *shape[2:]), f"{name}.cut",
                     {"begin": (0, 0, *a["begin"][2:]), "end": (*whole[:2], *a["end"][2:]),
                      "step": (1, 1, *a["step"][2:])},
                     "the input is in the host's memory; the KPU would have to read all of it")
        m.keep(cut)
        terms[cut] = k
    return x.changed(terms=terms, valid=shape[2:], physical=shape[2:], clean=True)


@handler("channels")
def reorder(m: Mapper, node: Node) -> None:
    """Channels in another order: the readers' weights take care of it."""
    x = m.tensor(node.inputs[0])
    assert x is not None
    m.logical[node.output] = x.rows(node.attrs["index"])


def _only_host(m: Mapper, value: str) -> bool:
    return value in m.graph.outputs or all(n.op not in ("conv", "add", "concat", "pool")
                                           for n in m.consumers.get(value, ()))


@handler("upsample")
def upsample(m: Mapper, node: Node) -> None:
    attrs = {"mode": "nearest", "align_corners": False, "half_pixel": False}
    m.hosted[node.output] = m.host("resize", [m.on_host(node.inputs[0])], m.graph.shapes[node.output], node.output,
                                   attrs, REASONS["upsample"])
