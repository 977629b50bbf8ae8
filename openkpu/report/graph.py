# SPDX-License-Identifier: Apache-2.0
"""Which layer reads what which layer wrote, and where the layers stand in a drawing of the network."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from ..hw.fields import ROW_BYTES
from ..kmodel.model import KPU_POOL, Model, Tensor

INPUT = -1
"""Stands for the model's inputs among the producers; what no layer wrote otherwise is constant."""


def span(tensor: Tensor) -> tuple[int, int]:
    """First byte and end of a tensor in its pool."""
    if tensor.pool == KPU_POOL:
        return tensor.offset, tensor.offset + tensor.map_rows * tensor.shape[0] * ROW_BYTES
    return tensor.offset, tensor.offset + tensor.extent


class _Writers:
    """Who wrote the bytes of a pool last."""

    def __init__(self) -> None:
        self._written: list[tuple[int, int, int]] = []

    def write(self, begin: int, end: int, who: int) -> None:
        self._written = [(b, e, w) for b, e, w in self._written if not (begin <= b and e <= end)]
        self._written.append((begin, end, who))

    def of(self, begin: int, end: int) -> set[int]:
        """The writers of a range; a part that nobody wrote has none."""
        open_parts, found = [(begin, end)], set()
        for b, e, who in reversed(self._written):
            rest = []
            for left, right in open_parts:
                if b < right and left < e:
                    found.add(who)
                    rest += [(left, b)] * (left < b) + [(e, right)] * (e < right)
                else:
                    rest.append((left, right))
            open_parts = rest
            if not open_parts:
                break
        return found


def producers(model: Model) -> list[list[int]]:
    """For every layer, and behind them for every output, the layers (or ``INPUT``) that wrote what it reads."""
    pools: defaultdict[str, _Writers] = defaultdict(_Writers)
    for spec in model.inputs:
        pools[spec.tensor.pool].write(*span(spec.tensor), INPUT)
    found = []
    for layer in model.layers:
        found.append(sorted(set().union(*(pools[t.pool].of(*span(t)) for t in layer.inputs))))
        for tensor in layer.outputs:
            pools[tensor.pool].write(*span(tensor), layer.index)
    return found + [sorted(pools[spec.tensor.pool].of(*span(spec.tensor))) for spec in model.outputs]


@dataclass(frozen=True)
class Place:
    """Where a layer stands: ``rank`` lines below the top, in ``column``."""

    rank: int
    column: int


def places(edges: list[list[int]]) -> list[Place]:
    """A layer stands below all that it reads, in the column of one of them if that is free."""
    found: list[Place] = []
    taken: set[tuple[int, int]] = set()
    for sources in edges:
        above = [found[s] for s in sources if s >= 0]
        rank = 1 + max((place.rank for place in above), default=-1)
        column = min((place.column for place in above), default=0)
        while (rank, column) in taken:
            column += 1
        taken.add((rank, column))
        found.append(Place(rank, column))
    return found
