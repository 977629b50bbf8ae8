# SPDX-License-Identifier: Apache-2.0
"""Operators that only move elements: dropped where they move nothing, joined where they follow each other."""

from __future__ import annotations

from ..graph import Graph, Node, of


def drop_identities(graph: Graph) -> None:
    """Functions, slices, pads, transposes, concatenations and reshapes that change nothing disappear."""
    for node in list(graph.nodes):
        shape = graph.shapes[node.inputs[0]] if node.inputs else ()
        nothing = (
            (node.op == "act" and not node.attrs["function"].steps)
            or (node.op == "affine" and (node.attrs["scale"] == 1).all() and (node.attrs["shift"] == 0).all())
            or (node.op in ("reshape", "slice") and graph.shapes[node.output] == shape)
            or (node.op == "pad" and not any(sum(node.attrs["pads"], ())))
            or (node.op == "transpose" and node.attrs["perm"] == tuple(range(len(shape))))
            or (node.op == "concat" and len(node.inputs) == 1))
        if nothing and node.output not in graph.outputs:
            graph.replace_value(node.output, node.inputs[0])
            graph.nodes.remove(node)
    _join(graph, "reshape")
    _join(graph, "transpose")


def _join(graph: Graph, op: str) -> None:
    """A second reshape or transpose in a row takes the first one's input."""
    producers = graph.producers()
    for node in of(graph.nodes, op):
        before = producers.get(node.inputs[0])
        if before is not None and before.op == op:
            if op == "transpose":
                node.attrs["perm"] = tuple(before.attrs["perm"][p] for p in node.attrs["perm"])
            node.inputs = list(before.inputs)


def merge_slices(graph: Graph) -> None:
    """A slice of a slice becomes one slice."""
    producers = graph.producers()
    for node in of(graph.nodes, "slice"):
        before = producers.get(node.inputs[0])
        if before is None or before.op != "slice":
            continue
        shape = graph.shapes[before.inputs[0]]
        ranges = [range(n)[b:e:s][b2:e2:s2] for n, b, e, s, b2, e2, s2 in zip(
            shape, before.attrs["begin"], before.attrs["end"], before.attrs["step"], node.attrs["begin"],
            node.attrs["end"], node.attrs["step"], strict=True)]
        node.attrs = {"begin": tuple(r.start for r in ranges), "end": tuple(r[-1] + 1 for r in ranges),
                      "step": tuple(r.step for r in ranges)}
        node.inputs = list(before.inputs)


def functions_before_concat(graph: Graph) -> None:
    """A function of tensors side by side becomes that function of each, which the layers before can take over."""
    consumers = graph.consumers()
    for node in of(graph.nodes, "concat"):
        readers = consumers.get(node.output, [])
        if len(readers) != 1 or readers[0].op != "act" or node.output in graph.outputs:
            continue
        (after,) = readers
        functions = []
        for name in node.inputs:
            made = graph.fresh(f"{name}.made")
            graph.shapes[made] = graph.shapes[name]
            functions.append(Node("act", [name], [made], dict(after.attrs), after.name))
        at = graph.nodes.index(node)
        graph.nodes[at:at] = functions
        graph.nodes.remove(after)
        node.inputs, node.outputs = [f.output for f in functions], after.outputs
