# SPDX-License-Identifier: Apache-2.0
"""The handlers of all operators, and the walk over a network."""

from __future__ import annotations

from ..graph import Graph
from . import convolution, hosting, joining, moving, pooling
from .build import Mapper
from .network import Network

FAMILIES = (convolution, pooling, joining, moving, hosting)
"""Importing them registers their handlers."""


def map_network(graph: Graph) -> Network:
    """Map a normalised network; its steps in execution order."""
    return Mapper(graph).run()
