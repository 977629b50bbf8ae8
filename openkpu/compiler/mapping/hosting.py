# SPDX-License-Identifier: Apache-2.0
"""Everything that the host does, and why."""

from __future__ import annotations

import numpy as np

from ..errors import CompileError
from ..functions import Function
from ..graph import Node
from .build import Mapper, handler

REASONS = {
    "upsample": "no KPU layer makes a larger map", "resize": "no KPU layer makes a larger map",
    "softmax": "the KPU has no sums over channels of functions", "reduce": "the KPU pools 2x2 and 4x4 only",
    "reshape": "", "transpose": "the AI RAM holds planes", "concat": "not along channels",
    "binary": "the KPU multiplies by constants only", "matmul": "both factors are computed at run time",
    "pad": "no KPU layer makes a larger map", "slice": "cuts into the map",
}


@handler("host")
def host(m: Mapper, node: Node) -> None:
    """The operator on the host, as it is."""
    shape = m.graph.shapes[node.output]
    why = REASONS.get(node.op, "")
    if node.op == "act":
        m.hosted[node.output] = function_on_host(m, m.on_host(node.inputs[0]), node.attrs["function"], shape,
                                                 node.output)
        return
    inputs = [m.on_host(name) for name in node.inputs]
    attrs = dict(node.attrs)
    if node.op == "affine":
        name = inputs[0]
        for kind, array in (("mul", attrs["scale"]), ("add", attrs["shift"])):
            if (array == (1 if kind == "mul" else 0)).all():
                continue
            column = _constant(m, f"{node.output}.{kind}", array.reshape(1, -1, *(1,) * (len(shape) - 2)))
            name = m.host("binary", [name, column], shape, f"{node.output}.{kind}", {"kind": kind},
                          "no convolution is near")
        m.hosted[node.output] = name
        return
    if node.op == "prelu":
        raise CompileError(f"node '{node.name}' has a slope per channel on a tensor that is no map; use LeakyReLU "
                           "there")
    if node.op == "binary" and attrs["kind"] == "pow":
        raise CompileError(f"node '{node.name}' raises a tensor to a tensor's power, which no kmodel can; leave it out")
    if node.op == "matmul" and "w" in attrs:
        inputs += [_constant(m, f"{node.output}.w", attrs.pop("w")), _constant(m, f"{node.output}.b", attrs.pop("b"))]
    m.hosted[node.output] = m.host(node.op, inputs, shape, node.output, attrs, why)


def _constant(m: Mapper, stem: str, array: np.ndarray) -> str:
    name, i = stem, 1
    while name in m.net.shapes:
        name, i = f"{stem}.{i}", i + 1
    m.net.constants[name] = np.asarray(array, np.float32)
    m.net.shapes[name] = m.net.constants[name].shape
    return name


_REWRITES = {"erf", "softplus", "reciprocal", "sign"}


def function_on_host(m: Mapper, source: str, f: Function, shape: tuple[int, ...], stem: str) -> str:
    """A function operator by operator."""
    names: list[str] = [source]
    for i, (op, operands) in enumerate(f.steps):
        inputs = []
        for operand in operands:
            if isinstance(operand, int):
                inputs.append(names[operand])
            else:
                inputs.append(_constant(m, f"{stem}.c{i}", np.full((1,) * len(shape), operand)))
        if op in _REWRITES or op == "pow":
            raise CompileError(f"node '{stem}' needs {op} on the host, which no kmodel has; put it behind a "
                               "convolution")
        unary = len(operands) == 1
        names.append(m.host("unary" if unary else "binary", inputs, shape, f"{stem}.{op}" if i < len(f.steps) - 1
                            else stem, {"kind": op}, "a function of a tensor that is no map"))
    return names[-1]


def host_convolution(m: Mapper, node: Node, why: str) -> None:
    """The convolution on the CPU, in floats."""
    a = node.attrs
    weights, bias = (m.graph.fresh(f"{node.output}.{k}") for k in ("w", "b"))
    for name, array in ((weights, a["w"]), (bias, a["b"])):
        m.net.constants[name] = np.asarray(array, np.float32)
        m.net.shapes[name] = array.shape
    top, left, bottom, right = a["pads"]
    m.hosted[node.output] = m.host(
        "conv2d" if node.op == "conv" else node.op, [m.on_host(node.inputs[0]), weights, bias],
        m.graph.shapes[node.output], node.output,
        {"stride": tuple(a["stride"]), "pads": ((top, bottom), (left, right)), "dilation": tuple(a["dilation"]),
         "groups": a["groups"]}, why)


@handler("conv2d_transpose")
def transposed(m: Mapper, node: Node) -> None:
    host_convolution(m, node, "no KPU layer makes a larger map")
