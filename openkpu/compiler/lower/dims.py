# SPDX-License-Identifier: Apache-2.0
"""Tensors of any rank for operators of four dimensions: dimensions of 1 go, neighbours that behave alike become one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import prod

from ...kmodel.reader import MAX_DIMENSION

Shape = tuple[int, ...]


def merged(shape: Sequence[int], keys: Sequence[Hashable | None]) -> list[list[int]]:
    """Dimension numbers in groups: neighbours of equal key together while their product fits a dimension's field, a key
    of None always alone, ones left out."""
    groups: list[list[int]] = []
    last: Hashable | None = None
    for number, (size, key) in enumerate(zip(shape, keys, strict=True)):
        if size == 1:
            continue
        fits = groups and prod(shape[d] for d in groups[-1]) * size <= MAX_DIMENSION
        if fits and key is not None and key == last:
            groups[-1].append(number)
        else:
            groups.append([number])
        last = key
    return groups


def grouped(shape: Sequence[int], groups: Sequence[Sequence[int]]) -> Shape:
    """The size of each group."""
    return tuple(prod(shape[d] for d in group) for group in groups)


def padded(values: Sequence, fill, rank: int = 4) -> tuple | None:
    """``values`` with ``fill`` in front up to ``rank``; None if there are more."""
    return None if len(values) > rank else (fill,) * (rank - len(values)) + tuple(values)


def transpose(shape: Shape, perm: Sequence[int], rank: int = 4) -> tuple[Shape, Shape] | None:
    """(shape, perm) of the same permutation with at most ``rank`` dimensions, filled up to it."""
    order = [p for p in perm if shape[p] != 1]
    runs: list[list[int]] = []
    kept = [d for d in range(len(shape)) if shape[d] != 1]
    following = dict(zip(kept, kept[1:], strict=False))
    for dimension in order:
        fits = runs and prod(shape[d] for d in runs[-1]) * shape[dimension] <= MAX_DIMENSION
        if fits and following.get(runs[-1][-1]) == dimension:
            runs[-1].append(dimension)
        else:
            runs.append([dimension])
    sources = sorted(runs)
    if len(runs) > rank:
        return None
    front = rank - len(runs)
    sizes = (1,) * front + tuple(grouped(shape, sources))
    return sizes, (*range(front), *(front + sources.index(run) for run in runs))


def broadcast(a: Shape, b: Shape, out: Shape, rank: int = 4) -> tuple[Shape, Shape, Shape] | None:
    """Three shapes of the same broadcast with ``rank`` dimensions."""
    a, b = ((1,) * (len(out) - len(s)) + tuple(s) for s in (a, b))
    groups = merged(out, [(x == 1, y == 1) for x, y in zip(a, b, strict=True)])
    first, second, result = (padded(grouped(s, groups), 1, rank) for s in (a, b, out))
    return None if first is None or second is None or result is None else (first, second, result)
