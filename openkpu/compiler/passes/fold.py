# SPDX-License-Identifier: Apache-2.0
"""Scales, shifts and padding move into the convolutions beside them."""

from __future__ import annotations

import numpy as np

from ..graph import Graph, of

PROBE = np.linspace(-50, 50, 1001)


def fold_affine(graph: Graph) -> None:
    """``affine`` behind a convolution that nothing else reads becomes part of its weights."""
    consumers, producers = graph.consumers(), graph.producers()
    for node in of(graph.nodes, "affine"):
        source = node.inputs[0]
        before = producers.get(source)
        if before is None or before.op != "conv" or len(consumers[source]) != 1 or source in graph.outputs:
            continue
        w, b = before.attrs["w"].astype(np.float64), before.attrs["b"].astype(np.float64)
        scale = np.broadcast_to(node.attrs["scale"], len(w))
        before.attrs["w"] = (w * scale[:, None, None, None]).astype(np.float32)
        before.attrs["b"] = (b * scale + node.attrs["shift"]).astype(np.float32)
        before.outputs = node.outputs
        graph.nodes.remove(node)
        producers[node.output] = before


def merge_pads(graph: Graph) -> None:
    """``pad`` with zeros before convolutions becomes their padding (and before a max pool of what follows a ReLU)."""
    producers = graph.producers()
    for node in list(graph.nodes):
        if node.op not in ("conv", "pool"):
            continue
        before = producers.get(node.inputs[0])
        if before is None or before.op != "pad" or len(before.attrs["pads"]) != 4:
            continue
        (n0, n1), (c0, c1), (top, bottom), (left, right) = before.attrs["pads"]
        if n0 or n1 or c0 or c1 or min(top, bottom, left, right) < 0 or before.attrs["value"]:
            continue
        if node.op == "pool" and (node.attrs["kind"] != "max" or not _never_negative(producers.get(before.inputs[0]))):
            continue
        old = node.attrs["pads"]
        node.attrs["pads"] = old[0] + top, old[1] + left, old[2] + bottom, old[3] + right
        node.inputs = [before.inputs[0]]


def _never_negative(node) -> bool:
    return node is not None and node.op == "act" and float(node.attrs["function"](PROBE).min()) >= 0
