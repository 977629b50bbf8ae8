# SPDX-License-Identifier: Apache-2.0
"""Which maps share scales and zero points, and what their codes mean.

Codes stand for (code - zero) * scale[channel]. Constraints:

* maps that one padded 3x3 layer reads side by side share the zero point, which is the padding;
* a layer that only moves codes has its input's scales and zero point;
* codes that the host puts together without turning them into floats share scales along every axis but one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ..mapping import evaluate
from ..mapping.network import HostOp, Network

MOVES = ("reshape", "transpose", "concat", "slice", "pad")


class Union:
    """Disjoint sets of whole numbers."""

    def __init__(self, count: int):
        self.parent = np.arange(count)

    def find(self, i: int) -> int:
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = int(self.parent[i])
        return i

    def join(self, members: Iterable[int]) -> None:
        roots = {self.find(int(i)) for i in members}
        first = min(roots)
        for r in roots:
            self.parent[r] = first

    def copy(self) -> Union:
        other = Union(0)
        other.parent = self.parent.copy()
        return other

    def classes(self, members: np.ndarray) -> int:
        return len({self.find(int(i)) for i in members})


def keeps_codes(step: HostOp) -> bool:
    """True if the operator can work on codes."""
    return step.op in MOVES or (step.op == "resize" and step.attrs["mode"] == "nearest") or \
        (step.op == "pool" and step.attrs["kind"] == "max")


@dataclass
class Sharing:
    """The constraints, solved.

    Attributes
    ----------
    first : number of a map's channel 0 among all channels.
    scale : sets of channels with one scale.
    zero : sets of maps (by number) with one zero point.
    signed : maps that may have values below zero.
    axis : host value -> the axis (1 or the last) along which its scales differ; values that leave as codes.
    """

    first: dict[str, int]
    number: dict[str, int]
    scale: Union
    zero: Union
    axis: dict[str, int] = field(default_factory=dict)
    signed: set[str] = field(default_factory=set)


def share(net: Network) -> Sharing:
    """Solve the constraints of a network."""
    first: dict[str, int] = {}
    number: dict[str, int] = {}
    total = 0
    for name in net.maps:
        first[name], number[name] = total, len(number)
        total += net.shapes[name][1]
    s = Sharing(first, number, Union(total), Union(len(number)))
    positive = {step.output for step in net.kpu() if step.slopes is None and step.function.steps
                and float(step.function(np.linspace(-50, 50, 1001)).min()) >= 0}
    s.signed = {name for name in net.maps if name not in positive}
    for step in net.kpu():
        if step.exact:
            (part,) = step.inputs
            weights = step.weights.reshape(len(step.weights), part.count if not step.depthwise else 1, -1)
            source = np.asarray(weights.any(axis=2))
            for o in range(len(step.weights)):
                i = o if step.depthwise else int(source[o].argmax())
                s.scale.join((first[part.map] + part.begin + i, first[step.output] + o))
            s.zero.join((number[part.map], number[step.output]))
        elif step.kernel == 3:
            s.zero.join(number[p.map] for p in step.inputs)
    ids: dict[str, np.ndarray] = {}
    floats: dict[str, None] = {}
    for name in net.maps:
        shape = net.shapes[name]
        ids[name] = np.broadcast_to(first[name] + np.arange(shape[1])[None, :, None, None], shape)
    for operator in net.host():
        if keeps_codes(operator) and all(name in ids for name in operator.inputs):
            attrs = {**operator.attrs, "value": -1} if operator.op == "pad" else operator.attrs
            moved = evaluate.host(HostOp(operator.name, operator.op, operator.inputs, operator.output, attrs), ids,
                                  net.shapes[operator.output]) if operator.op != "pool" else None
            if moved is None:
                shape = net.shapes[operator.output]
                moved = np.broadcast_to(ids[operator.inputs[0]][:, :, :1, :1], shape)
            if operator.output in net.maps:
                _onto_map(s, ids[operator.output], moved)
            else:
                ids[operator.output] = moved
        else:
            floats |= {name: None for name in operator.inputs if name in ids}
    for name in dict.fromkeys([*floats, *(o for o in net.outputs if o in ids)]):
        if name not in net.maps:
            _leave(s, name, ids[name])
    return s


def _onto_map(s: Sharing, target: np.ndarray, moved: np.ndarray) -> None:
    """Codes that the host moves into a map: each channel has one source scale, which is the map's."""
    for c in range(target.shape[1]):
        members = np.unique(moved[:, c])
        s.scale.join([int(target[0, c, 0, 0]), *(int(m) for m in members if m >= 0)])
    _one_zero(s, np.concatenate([np.unique(target), np.unique(moved[moved >= 0])]))


def _leave(s: Sharing, name: str, ids: np.ndarray) -> None:
    """Codes become floats: scales may differ along one axis, dimension 1 or the last; the one that keeps more apart."""
    members = np.unique(ids[ids >= 0])
    best = None
    for axis in dict.fromkeys((min(1, ids.ndim - 1), ids.ndim - 1)):
        trial = s.scale.copy()
        rows = np.moveaxis(ids, axis, 0).reshape(ids.shape[axis], -1)
        for row in rows:
            found = np.unique(row)
            trial.join(found[found >= 0])
        # One scale per element of a long axis is a table as long as the tensor; what counts is what is told apart.
        apart = trial.classes(members)
        if best is None or apart > best[0]:
            best = apart, axis, trial
    assert best is not None
    s.scale, s.axis[name] = best[2], best[1]
    _one_zero(s, members, best[1] == 1)


def _one_zero(s: Sharing, members: np.ndarray, two: bool = False) -> None:
    """One zero point for all maps, or (``two``) one for those with values below zero and one for those without.

    Along dimension 1 the host can subtract different ones, but that takes it another operator.
    """
    starts = np.array(list(s.first.values()))
    names = list(s.first)
    maps = [int(i) for i in np.unique(np.searchsorted(starts, members, side="right") - 1)]
    for kinds in ((False,), (True,)) if two else ((False, True),):
        found = [i for i in maps if (names[i] in s.signed) in kinds]
        if found:
            s.zero.join(found)
