# SPDX-License-Identifier: Apache-2.0
"""Convolutions whose maps are too large: cut into strips by the host, computed one by one, put together by the host."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...hw.fields import AIRAM_BYTES
from ..graph import Node
from ..limits import MAX_HEIGHT, MAX_WIDTH, map_bytes
from .build import Mapper
from .logical import Size, scaled

USABLE = AIRAM_BYTES * 9 // 10
"""Bytes that a strip's input and output may take together."""
WHY = "the map is larger than the KPU takes at once: strips"


def too_large(channels: int, outs: int, size: Size, out: Size) -> bool:
    """True if a layer from ``channels`` of ``size`` to ``outs`` of ``out`` has to be cut."""
    return size[0] > MAX_HEIGHT or size[1] > MAX_WIDTH or \
        map_bytes(channels, *size) + map_bytes(outs, *out) > USABLE


def in_strips(m: Mapper, node: Node, convolution: Callable[[Mapper, Node], None]) -> None:
    """The convolution (with the function behind it) strip by strip."""
    a = node.attrs
    shape, target = m.graph.shapes[node.inputs[0]], m.graph.shapes[node.output]
    base, scale, shift = m.scaled.get(node.inputs[0], (node.inputs[0], np.ones(1), np.zeros(1)))
    source = m.on_host(base)
    stride, dilation, kernel = a["stride"], a["dilation"], a["w"].shape[2:]
    function, slopes, value = m.function_after(node)

    def span(axis: int, begin: int, end: int) -> tuple[int, int, int, int]:
        """(first, last + 1) input pixel of outputs begin..end, and zeros before and behind."""
        low = begin * stride[axis] - a["pads"][axis]
        high = (end - 1) * stride[axis] - a["pads"][axis] + (kernel[axis] - 1) * dilation[axis] + 1
        limit = shape[2 + axis]
        return max(low, 0), min(high, limit), max(-low, 0), max(high - limit, 0)

    parts = [1, 1]
    while True:
        size = tuple(-(-target[2 + i] // parts[i]) for i in (0, 1))
        tall = size[0] * stride[0] + kernel[0] * dilation[0]
        wide = size[1] * stride[1] + kernel[1] * dilation[1]
        if wide > MAX_WIDTH and size[1] > 4:
            parts[1] += 1
        elif too_large(shape[1], target[1], (tall, min(wide, MAX_WIDTH)), size) and size[0] > 4:
            parts[0] += 1
        else:
            break
    rows = []
    for y in range(0, target[2], size[0]):
        columns = []
        for x in range(0, target[3], size[1]):
            ends = min(y + size[0], target[2]), min(x + size[1], target[3])
            top, bottom, above, below = span(0, y, ends[0])
            left, right, before, behind = span(1, x, ends[1])
            piece = m.host("slice", [source], (*shape[:2], bottom - top, right - left), f"{node.output}.strip",
                           {"begin": (0, 0, top, left), "end": (*shape[:2], bottom, right), "step": (1, 1, 1, 1)}, WHY)
            m.graph.shapes[piece] = m.net.shapes[piece]
            m.logical[piece] = scaled(m.keep(piece), scale, shift)
            made, done = m.graph.fresh(f"{piece}.sums"), m.graph.fresh(f"{piece}.made")
            for name in (made, done):
                m.graph.shapes[name] = (1, target[1], ends[0] - y, ends[1] - x)
            inner = Node("conv", [piece], [made], {**a, "pads": (above, before, below, behind)}, node.name)
            if value != node.output:
                after = Node("prelu", [made], [done], {"slope": slopes}, node.name) if slopes is not None else \
                    Node("act", [made], [done], {"function": function}, node.name)
                m.consumers[made] = [after]
            convolution(m, inner)
            columns.append(m.on_host(done if value != node.output else made))
        rows.append(_joined(m, columns, 3, f"{node.output}.row"))
    m.hosted[value] = _joined(m, rows, 2, f"{node.output}.whole")


def _joined(m: Mapper, names: list[str], axis: int, stem: str) -> str:
    if len(names) == 1:
        return names[0]
    shape = list(m.net.shapes[names[0]])
    shape[axis] = sum(m.net.shapes[n][axis] for n in names)
    return m.host("concat", names, tuple(shape), stem, {"axis": axis}, WHY)
