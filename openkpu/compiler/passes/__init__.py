# SPDX-License-Identifier: Apache-2.0
"""Rewrites of the float network; each gives a network that computes the same."""

from __future__ import annotations

from ..graph import Graph, Pass
from .elementwise import fuse_functions
from .fold import fold_affine, merge_pads
from .fully import matmul_to_conv
from .moves import drop_identities, functions_before_concat, merge_slices

PASSES: tuple[Pass, ...] = (drop_identities, fuse_functions, merge_slices, merge_pads, matmul_to_conv, fold_affine,
                            drop_identities, functions_before_concat)


def normalise(graph: Graph) -> None:
    """All passes, in order."""
    for run in PASSES:
        run(graph)
        graph.prune()
