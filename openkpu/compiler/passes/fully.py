# SPDX-License-Identifier: Apache-2.0
"""Fully connected layers become convolutions with a kernel of one pixel, or of the map that was flattened before."""

from __future__ import annotations

from ..graph import Graph, Node, of


def matmul_to_conv(graph: Graph) -> None:
    """``matmul`` with constant weights over one row: reshape to (1, K, 1, 1), convolution, reshape back."""
    for node in of(graph.nodes, "matmul"):
        if "w" not in node.attrs:
            continue
        source = node.inputs[0]
        shape = graph.shapes[source]
        w = node.attrs["w"]
        if any(n != 1 for n in shape[:-1]):
            continue
        flat, made = graph.fresh(f"{node.output}.row"), graph.fresh(f"{node.output}.made")
        graph.shapes[flat], graph.shapes[made] = (1, w.shape[0], 1, 1), (1, w.shape[1], 1, 1)
        at = graph.nodes.index(node)
        graph.nodes[at: at + 1] = [
            Node("reshape", [source], [flat], {}, node.name),
            Node("conv", [flat], [made], {"w": w.T[:, :, None, None].copy(), "b": node.attrs["b"], "stride": (1, 1),
                                          "dilation": (1, 1), "pads": (0, 0, 0, 0), "groups": 1}, node.name),
            Node("reshape", [made], node.outputs, {}, node.name)]
