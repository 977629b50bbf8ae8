# SPDX-License-Identifier: Apache-2.0
"""Convolutions of any kernel, stride 1, 2 or 4, padding, dilation and grouping."""

from __future__ import annotations

import numpy as np

from ..functions import IDENTITY
from ..graph import Node
from .blocks import cycles
from .build import Mapper, handler
from .hosting import host_convolution
from .logical import Logical, Size
from .natives import pool_after
from .network import KpuLayer, Part
from .strips import in_strips, too_large
from .taps import Axis, pairs, solve

POOL_OF = {(1, 0): 0, (2, 0): 5, (2, 1): 6, (4, 0): 7}
"""(stride, first column) -> sampling pool."""


@handler("conv")
def convolution(m: Mapper, node: Node) -> None:
    a = node.attrs
    x = m.tensor(node.inputs[0])
    stride = a["stride"]
    out = m.graph.shapes[node.output][2:]
    shape = m.graph.shapes[node.inputs[0]]
    possible = stride[0] == stride[1] and stride[0] in (1, 2, 4)
    if possible and len(shape) == 4 and too_large(shape[1], len(a["w"]), shape[2:], out):
        return in_strips(m, node, convolution)
    if x is None or not possible:
        why = "the input is no map" if x is None else f"the KPU has no stride of {stride}"
        return host_convolution(m, node, why)
    function, slopes, value = m.function_after(node)
    plain = a["w"].shape[2:] == (1, 1) and stride == (1, 1) and not any(a["pads"])
    # A 1x1 convolution takes over the sampling that a depthwise layer has left.
    if not (x.free or (plain and a["groups"] == 1 and not x.work and x.kernel == 1)):
        x = m.logical[node.inputs[0]] = m.materialize(x)
    groups, channels = a["groups"], x.channels
    if groups == channels == len(a["w"]):
        made = depthwise(m, node, x, out, function, slopes)
        if made is not None:
            m.logical[value] = made
            return None
    y = lower(m, x, dense(a["w"], groups), a["b"], stride[0], a["dilation"], a["pads"], out, node.name)
    if y is None:
        m.done -= {id(n) for n in m.consumers.get(node.output, ())}
        return host_convolution(m, node, "no copies of the map serve its taps")
    if value != node.output or function.steps or slopes is not None or not m.single(node.output) or \
            m.consumers[node.output][0].op != "add":
        y = m.materialize(y, function, slopes, pool_after(m, value, y), node.name)
    m.logical[value] = y
    return None


def dense(w: np.ndarray, groups: int) -> np.ndarray:
    """Grouped weights (O, I/groups, ...) as (O, I, ...) with zeros."""
    if groups == 1:
        return w.astype(np.float64)
    o, i = w.shape[:2]
    whole = np.zeros((o, i * groups, *w.shape[2:]))
    for g in range(groups):
        outs = slice(g * o // groups, (g + 1) * o // groups)
        whole[outs, g * i: (g + 1) * i] = w[outs]
    return whole


def offsets(taps: int, dilation: int, before: int) -> tuple[int, ...]:
    return tuple(k * dilation - before for k in range(taps))


def lower(m: Mapper, x: Logical, w: np.ndarray, b: np.ndarray, stride: int, dilation: Size,
          pads: tuple[int, int, int, int], out: Size, label: str) -> Logical | None:
    """The convolution (O, I, kh, kw) of a free tensor as a logical tensor over shifted copies; None if impossible."""
    used = [np.flatnonzero((w != 0).any(axis=others)) for others in ((0, 1, 3), (0, 1, 2))]
    used = [u if len(u) else np.array([0]) for u in used]
    w = w[:, :, used[0]][:, :, :, used[1]]
    taps = [tuple(int(u) * dilation[i] - pads[i] for u in used[i]) for i in (0, 1)]
    reaches = any(min(t) < 0 or stride * (o - 1) + max(t) >= v
                  for t, o, v in zip(taps, out, x.valid, strict=True))
    const = np.zeros(x.channels)
    if x.const.any():
        if reaches:
            x = x.changed(terms={**x.terms, m.ones_of(x.physical): x.const[:, None, None, None]}, const=const)
        else:
            const = x.const
    if x.pool:  # plain 1x1
        terms = {name: np.einsum("oi,ickl->ockl", w[:, :, 0, 0], k) for name, k in x.terms.items()}
        return x.changed(terms=terms, const=b + w[:, :, 0, 0] @ const, work=True, label=label)
    x = m.big_enough(x, stride, out)
    best: tuple[float, list[Axis]] | None = None
    for kernel in (1, 3):
        found = [solve(taps[i], stride, out[i], x.valid[i], x.physical[i], x.clean,
                       (0, 1) if i == 1 and stride == 2 else (0,), kernel) for i in (0, 1)]
        axes = [axis for axis in found if axis is not None]
        if len(axes) < 2:
            continue
        cost = _cost(m, x, axes, len(w), kernel, stride)
        if best is None or cost < best[0]:
            best = cost, axes
    if best is None:
        if not x.clean and x.valid != x.physical:
            return lower(m, recut(m, x), w, b, stride, (1, 1), pads, out, label) if dilation == (1, 1) else None
        return None
    rows, columns = best[1]
    terms = {}
    side = 3 if any(k for axis in (rows, columns) for _, k in axis.taps) else 1
    for name, kernel_of in x.terms.items():
        matrix = kernel_of[:, :, 0, 0]
        for i, (sy, ky) in enumerate(rows.taps):
            for j, (sx, kx) in enumerate(columns.taps):
                copy = m.shifted(name, sy, sx)
                if copy not in terms:
                    terms[copy] = np.zeros((len(w), matrix.shape[1], side, side))
                terms[copy][:, :, side // 2 + ky, side // 2 + kx] += w[:, :, i, j] @ matrix
    copies = len(terms)
    why = "" if copies == len(x.terms) else f"{copies} shifted copies side by side"
    return Logical(terms, b.astype(np.float64) + w.sum(axis=(2, 3)) @ const, out, x.physical,
                   POOL_OF[stride, columns.origin], True, False, label, why)


def recut(m: Mapper, x: Logical) -> Logical:
    """A tensor without undefined pixels behind the valid ones, cut on the host."""
    terms = {}
    for name, k in x.terms.items():
        shape = m.net.shapes[name]
        cut = m.host("slice", [name], (*shape[:2], *x.valid), f"{name}.cut",
                     {"begin": (0, 0, 0, 0), "end": (*shape[:2], *x.valid), "step": (1, 1, 1, 1)},
                     "a padded layer follows a map with undefined pixels behind its end")
        m.keep(cut)
        terms[cut] = k
    return x.changed(terms=terms, physical=x.valid, clean=True)


def _cost(m: Mapper, x: Logical, axes: list[Axis], outs: int, kernel: int, stride: int) -> float:
    channels = sum(m.net.shapes[name][1] for name in x.terms)
    size = x.physical[0] // stride, x.physical[1] // stride
    steps = sum(moves(m, name, pairs(axes[0], axes[1])) for name in x.terms) / max(len(x.terms), 1)
    move = x.physical[0] * -(-x.physical[1] // 32) * channels + 200
    return cycles(outs, channels * len(pairs(axes[0], axes[1])), kernel, size) + move * steps


def moves(m: Mapper, name: str, shifts: list[tuple[int, int]]) -> int:
    """Layers that make the shifted copies of a map."""
    made = {(0, 0)}
    for y, x in shifts:
        while (y, x) not in made:
            made.add((y, x))
            rows = m.rows_at_once(name, y)
            y, x = y - rows * int(np.sign(y)), x if rows > 1 else x - int(np.sign(x))
    return len(made) - 1


def depthwise(m: Mapper, node: Node, x: Logical, out: Size, function=IDENTITY, slopes=None) -> Logical | None:
    """A depthwise convolution as one layer, its stride left to the layer behind; None if that is impossible."""
    a = node.attrs
    stride = a["stride"][0]
    taps = [offsets(a["w"].shape[2 + i], a["dilation"][i], a["pads"][i]) for i in (0, 1)]
    if x.const.any() or stride == 4:
        return None
    x = m.big_enough(x, stride, out)
    origins = (0, 1) if stride == 2 else (0,)
    axes = [solve(taps[i], stride, out[i], x.valid[i], x.physical[i], x.clean, origins, 3, 1) for i in (0, 1)]
    if axes[0] is None or axes[1] is None:
        return None
    place = x.stored()
    if place is None:
        x = m.materialize(x.changed(work=True), name=f"{node.name}.gathered")
        place = x.stored()
        if place is None:
            return None
    name, first = place
    (sy,), (sx,) = axes[0].shifts, axes[1].shifts
    source = m.shifted(name, sy, sx)
    weights = np.zeros((x.channels, 1, 3, 3))
    for i, (_, ky) in enumerate(axes[0].taps):
        for j, (_, kx) in enumerate(axes[1].taps):
            weights[:, 0, 1 + ky, 1 + kx] += a["w"][:, 0, i, j]
    output = m.new_map(node.name, (1, x.channels, *x.physical))
    layer = KpuLayer(node.name, [Part(source, first, x.channels)], output, weights, a["b"].astype(np.float64), function,
                     depthwise=True, origin=node.name)
    if slopes is not None:
        layer.slopes = slopes, np.ones(x.channels)
    m.net.steps.append(layer)
    y = m.keep(output, out if stride == 1 else x.physical, stride == 1 and out == x.physical, node.name)
    if stride == 1:
        return y
    if axes[0].origin:
        y = m.keep(m.shifted(output, 1, 0), x.physical, False, node.name)
    return y.changed(pool=POOL_OF[2, axes[1].origin], valid=out, clean=False, label=node.name,
                     why="samples the depthwise layer before it")
