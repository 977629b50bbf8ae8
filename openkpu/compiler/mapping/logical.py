# SPDX-License-Identifier: Apache-2.0
"""Tensors of the network as linear combinations of maps that are stored.

Additions, concatenations, channel slices, scales per channel and convolutions that nothing has been done to yet are all
sums of small convolutions of stored maps. Keeping them as that, until a function or a pool makes a stored map of them,
is what lets one layer take over a residual addition, a concatenation cost nothing, and a shift be folded.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

Size = tuple[int, ...]
"""(height, width)."""


@dataclass(frozen=True, eq=False)
class Logical:
    """sum over stored maps of conv(map, kernel) + const, then sampled by ``pool``; (channels, *valid) pixels count.

    Attributes
    ----------
    terms : kernels (C, channels of the map, k, k) by stored map; k is 1 or 3, stride 1, zeros outside.
    const : (C,).
    valid : pixels that count.
    physical : pixels before the pool; the stored maps' own size.
    pool : 0, or a sampling pool (5, 6, 7) that has still to be done.
    work : True if the kernels are a convolution's, which should be computed only once.
    clean : what is stored behind the valid pixels is zero.
    label : the network's node.
    """

    terms: dict[str, np.ndarray]
    const: np.ndarray
    valid: Size
    physical: Size
    pool: int = 0
    work: bool = False
    clean: bool = False
    label: str = ""
    why: str = field(default="")

    @property
    def channels(self) -> int:
        return len(self.const)

    @property
    def kernel(self) -> int:
        return max((k.shape[2] for k in self.terms.values()), default=1)

    @property
    def free(self) -> bool:
        """True if a convolution may be composed with it: no kernels of 3x3, no pool, nothing worth computing once."""
        return not self.work and not self.pool and self.kernel == 1

    def rows(self, index: np.ndarray) -> Logical:
        """Some of the channels."""
        terms = {m: k[index] for m, k in self.terms.items()}
        return self.changed(terms={m: k for m, k in terms.items() if np.any(k)}, const=self.const[index])

    def changed(self, **changes) -> Logical:
        return Logical(**{f: changes.get(f, getattr(self, f)) for f in Logical.__dataclass_fields__})

    def stored(self) -> tuple[str, int] | None:
        """(map, first channel) if the tensor is just channels of one stored map, in order."""
        if len(self.terms) != 1 or self.pool or self.kernel != 1 or self.const.any():
            return None
        ((name, k),) = self.terms.items()
        first = int(np.argmax(k[0, :, 0, 0] != 0))
        matrix = k[:, :, 0, 0]
        if first + len(matrix) > matrix.shape[1]:
            return None
        want = np.zeros_like(matrix)
        want[np.arange(len(matrix)), first + np.arange(len(matrix))] = 1
        return (name, first) if np.array_equal(matrix, want) else None


def add(parts: list[Logical]) -> Logical:
    """The sum of tensors of one size and pool."""
    terms: dict[str, np.ndarray] = {}
    for part in parts:
        for name, k in part.terms.items():
            terms[name] = _plus(terms[name], k) if name in terms else k
    first = parts[0]
    return first.changed(terms=terms, const=sum(p.const for p in parts), work=any(p.work for p in parts),
                         clean=all(p.clean for p in parts))


def concat(parts: list[Logical]) -> Logical:
    """Tensors of one size, without pools, one behind the other."""
    total = sum(p.channels for p in parts)
    terms: dict[str, np.ndarray] = {}
    at = 0
    for part in parts:
        for name, k in part.terms.items():
            whole = np.zeros((total, *k.shape[1:]))
            whole[at: at + part.channels] = k
            terms[name] = _plus(terms[name], whole) if name in terms else whole
        at += part.channels
    return parts[0].changed(terms=terms, const=np.concatenate([p.const for p in parts]),
                            work=any(p.work for p in parts), clean=all(p.clean for p in parts))


def _plus(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    side = max(a.shape[2], b.shape[2])
    return centred(a, side) + centred(b, side)


def centred(k: np.ndarray, side: int) -> np.ndarray:
    """A kernel of one pixel as one of ``side`` pixels."""
    if k.shape[2] == side:
        return k
    whole = np.zeros((*k.shape[:2], side, side))
    whole[:, :, side // 2, side // 2] = k[:, :, 0, 0]
    return whole


def scaled(x: Logical, scale: np.ndarray, shift: np.ndarray) -> Logical:
    """x * scale + shift per channel."""
    scale = np.broadcast_to(scale, x.channels)
    return x.changed(terms={m: k * scale[:, None, None, None] for m, k in x.terms.items()},
                     const=x.const * scale + shift, clean=x.clean and not np.any(shift))
