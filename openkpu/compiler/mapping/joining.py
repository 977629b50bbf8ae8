# SPDX-License-Identifier: Apache-2.0
"""Additions, concatenations, scales and functions."""

from __future__ import annotations

import numpy as np

from ..graph import Node
from ..limits import MAX_CHANNELS
from .blocks import cycles
from .build import Mapper, handler
from .convolution import recut
from .hosting import host
from .logical import Logical, add, concat, scaled
from .natives import pool_after

MOST_TERMS = 4
"""Maps whose sum is left to the layers that read it; more are added up in a layer of their own."""


@handler("act", "prelu")
def function(m: Mapper, node: Node) -> None:
    x = m.tensor(node.inputs[0])
    if x is None:
        return host(m, node)
    if node.op == "prelu":
        y = m.materialize(x, slopes=node.attrs["slope"], name=node.name)
    else:
        y = m.materialize(x, node.attrs["function"], pool=pool_after(m, node.output, x), name=node.name)
    m.logical[node.output] = y
    return None


@handler("affine")
def affine(m: Mapper, node: Node) -> None:
    x = m.tensor(node.inputs[0])
    if x is None:
        readers = m.consumers.get(node.output, ())
        shape = m.graph.shapes[node.output]
        if len(shape) == 4 and not m.fits(shape) and node.output not in m.graph.outputs and \
                all(n.op == "conv" for n in readers):
            m.scaled[node.output] = node.inputs[0], node.attrs["scale"], node.attrs["shift"]
            return None
        return host(m, node)
    if not m.single(node.inputs[0]) and x.work:
        x = m.logical[node.inputs[0]] = m.materialize(x)
    m.logical[node.output] = scaled(x, node.attrs["scale"], node.attrs["shift"])
    return None


@handler("add")
def addition(m: Mapper, node: Node) -> None:
    xs = [m.tensor(name) for name in node.inputs]
    maps = [x for x in xs if x is not None]
    if len(maps) < len(xs):
        node.op, node.attrs = "binary", {"kind": "add"}
        return host(m, node)
    parts = _alike(m, node, maps)
    total = add(parts)
    if sum(m.net.shapes[name][1] for name in total.terms) > MAX_CHANNELS:
        total = add([m.materialize(p) for p in parts])
    total = total.changed(label=node.name, why="adds maps side by side")
    f, slopes, value = m.function_after(node)
    if value != node.output:
        total = m.materialize(total, f, slopes, name=node.name)
    elif not _read_by_small_kernels(m, node.output) or len(total.terms) > MOST_TERMS or _dear(m, node.output, total):
        total = m.materialize(total, name=node.name)
    elif total.work:
        # A convolution that is part of a sum is computed once, as a map of the sum.
        total = m.materialize(total, name=node.name)
    m.logical[value] = total
    return None


def _dear(m: Mapper, value: str, total: Logical) -> bool:
    """True if the readers' extra input channels cost more than a layer that adds."""
    ins = sum(m.net.shapes[name][1] for name in total.terms)
    extra = 0.0
    for outs, others in _readers(m, value):
        whole = cycles(outs, others + ins, 1, total.physical)
        extra += whole - cycles(outs, others + total.channels, 1, total.physical)
    return extra > cycles(total.channels, ins, 1, total.physical)


def _readers(m: Mapper, value: str, others: int = 0) -> list[tuple[int, int]]:
    """(output channels, input channels besides) of the convolutions that would read the sum's terms."""
    found = []
    for node in m.consumers.get(value, ()):
        if node.op == "conv":
            found.append((len(node.attrs["w"]), others))
        else:
            channels = m.graph.shapes[node.output][1] - m.graph.shapes[value][1]
            found += _readers(m, node.output, others + channels)
    return found


def _read_by_small_kernels(m: Mapper, value: str) -> bool:
    """True if only 1x1 convolutions, additions and concatenations read the value, so that they can add it up."""
    def small(node: Node) -> bool:
        if node.op == "conv":
            return node.attrs["w"].shape[2:] == (1, 1) and node.attrs["groups"] == 1
        return node.op == "add" or (node.op == "concat" and all(small(n) for n in m.consumers.get(node.output, ())))

    return value not in m.graph.outputs and all(small(n) for n in m.consumers.get(value, ()))


def _alike(m: Mapper, node: Node, xs: list[Logical]) -> list[Logical]:
    """The tensors over maps of one size and pool; convolutions that others read, too, are computed first."""
    parts = []
    for name, x in zip(node.inputs, xs, strict=True):
        if x.work and not m.single(name):
            x = m.logical[name] = m.materialize(x)
        parts.append(x)
    if len({(p.physical, p.pool, p.valid) for p in parts}) > 1:
        parts = [m.materialize(p) for p in parts]
    if len({(p.physical, p.valid) for p in parts}) > 1:
        parts = [p if p.physical == p.valid else recut(m, p) for p in parts]
    return parts


@handler("concat")
def concatenation(m: Mapper, node: Node) -> None:
    xs = [m.tensor(name) for name in node.inputs]
    maps = [x for x in xs if x is not None]
    if len(maps) < len(xs) or node.attrs["axis"] != 1 or len(m.graph.shapes[node.output]) != 4:
        return host(m, node)
    parts = [x if x.free else m.materialize(x) for x in maps]
    f, slopes, value = m.function_after(node)
    if value != node.output:
        ends = np.cumsum([0, *(p.channels for p in parts)])
        parts = [m.materialize(x, f, None if slopes is None else slopes[ends[i]: ends[i + 1]])
                 for i, x in enumerate(maps)]
    if len({(p.physical, p.valid) for p in parts}) > 1:
        parts = [p if p.physical == p.valid else recut(m, p) for p in parts]
    for name, part in zip(node.inputs, parts, strict=True):
        if value == node.output:
            m.logical[name] = part
    m.logical[value] = concat(parts).changed(label=node.name)
    return None
