# SPDX-License-Identifier: Apache-2.0
"""Operators on single elements become functions of one tensor, additions, or scales per channel.

Exporters write SiLU, hard swish or mish as several operators; whatever is a function of one tensor and scalars becomes
one ``act``, however it was written.
"""

from __future__ import annotations

import numpy as np

from ..functions import IDENTITY, Function
from ..graph import Graph, Node


def fuse_functions(graph: Graph) -> None:
    """``act``, ``unary`` and ``binary`` nodes become ``act``, ``affine``, ``add`` or stay ``binary`` (host)."""
    of_root: dict[str, tuple[str, Function]] = {}
    nodes: list[Node] = []

    def resolve(name: str) -> tuple[str, Function]:
        return of_root.get(name, (name, IDENTITY))

    def write(name: str) -> None:
        """Make a value real that so far is only known as a function of its root."""
        if name in of_root:
            root, f = of_root.pop(name)
            nodes.append(_node(f, root, name, names.get(name, name)))

    names: dict[str, str] = {}
    for node in graph.nodes:
        names[node.output] = node.name
        if node.op == "act":
            root, f = resolve(node.inputs[0])
            of_root[node.output] = root, compose(f, node.attrs["function"])
        elif node.op == "binary":
            _binary(graph, node, resolve, of_root, nodes, write)
        else:
            for name in node.inputs:
                write(name)
            nodes.append(node)
    for name in list(of_root):
        write(name)
    graph.nodes = _sorted(nodes, set(graph.inputs) | set(graph.constants))


def compose(inner: Function, outer: Function) -> Function:
    """outer(inner(x))."""
    result, values = inner, [inner]
    for op, operands in outer.steps:
        result = inner.then(op, *(values[a] if isinstance(a, int) else a for a in operands))
        values.append(result)
        inner = result
    return result


def _binary(graph: Graph, node: Node, resolve, of_root, nodes: list[Node], write) -> None:
    kind, (a, b) = node.attrs["kind"], node.inputs
    constants = [graph.constants.get(name) for name in (a, b)]
    for i, array in enumerate(constants):
        if array is None:
            continue
        other = node.inputs[1 - i]
        if array.size == 1 and graph.shapes[node.output] == graph.shapes[other]:
            root, f = resolve(other)
            value = float(array.ravel()[0])
            of_root[node.output] = root, f.then(kind, *((f, value) if i else (value, f)))
            return
        channels = _per_channel(array, graph.shapes[node.output])
        if channels is not None and graph.shapes[node.output] == graph.shapes[other]:
            affine = _channel_affine(kind, channels, constant_first=i == 0)
            if affine:
                write(other)
                nodes.append(Node("affine", [other], [node.output], {"scale": affine[0], "shift": affine[1]},
                                  node.name))
                return
    if a not in graph.constants and b not in graph.constants:
        (root_a, f), (root_b, g) = resolve(a), resolve(b)
        if root_a == root_b and graph.shapes[a] == graph.shapes[b]:
            of_root[node.output] = root_a, f.then(kind, f, g)
            return
    for name in node.inputs:
        write(name)
    same = graph.shapes[a] == graph.shapes[b] and a not in graph.constants and b not in graph.constants
    if kind == "sub" and same:
        minus = graph.fresh(f"{node.output}.minus")
        graph.shapes[minus] = graph.shapes[b]
        nodes.append(Node("affine", [b], [minus], {"scale": -np.ones(1), "shift": np.zeros(1)}, node.name))
        nodes.append(Node("add", [a, minus], node.outputs, {}, node.name))
    elif kind == "add" and same:
        nodes.append(Node("add", list(node.inputs), node.outputs, {}, node.name))
    else:
        nodes.append(node)


def _per_channel(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """The constant as one number per channel (dimension 1 of four or of two), if it is that."""
    if len(shape) not in (2, 4):
        return None
    full = (1,) * (len(shape) - array.ndim) + array.shape
    want = (1, shape[1], 1, 1)[: len(shape)]
    return array.astype(np.float64).ravel() if full == want else None


def _channel_affine(kind: str, c: np.ndarray, constant_first: bool) -> tuple[np.ndarray, np.ndarray] | None:
    one, zero = np.ones_like(c), np.zeros_like(c)
    if kind == "add":
        return one, c
    if kind == "mul":
        return c, zero
    if kind == "sub":
        return (-one, c) if constant_first else (one, -c)
    if kind == "div" and not constant_first:
        return 1 / c, zero
    return None


def _node(f: Function, root: str, name: str, label: str) -> Node:
    if f.affine is not None:
        slope, at0 = f.affine
        return Node("affine", [root], [name], {"scale": np.array([slope]), "shift": np.array([at0])}, label)
    return Node("act", [root], [name], {"function": f}, label)


def _sorted(nodes: list[Node], ready: set[str]) -> list[Node]:
    """Execution order; deferred functions may stand behind their readers."""
    ready, result, waiting = set(ready), [], list(nodes)
    while waiting:
        left = []
        for node in waiting:
            if all(name in ready for name in node.inputs):
                result.append(node)
                ready |= set(node.outputs)
            else:
                left.append(node)
        if len(left) == len(waiting):
            return result + left
        waiting = left
    return result


