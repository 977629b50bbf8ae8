# SPDX-License-Identifier: Apache-2.0
"""Small ONNX networks for the compiler's tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    """Collects nodes; every method gives the name of a value."""

    def __init__(self, shape: Sequence[int], seed: int = 0):
        self.rng = np.random.default_rng(seed)
        self.shape = list(shape)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op: str, *inputs: str, **attrs: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=f"{op}_{name}", **attrs))
        return name

    def conv(self, x: str, channels: int, outs: int, kernel: int = 3, groups: int = 1, **attrs: Any) -> str:
        size = (outs, channels // groups, kernel, kernel)
        w = self.rng.normal(0, (size[1] * kernel * kernel) ** -0.5, size).astype(np.float32)
        b = self.rng.normal(0, 0.1, outs).astype(np.float32)
        return self.node("Conv", x, self.constant(w), self.constant(b), group=groups, kernel_shape=[kernel, kernel],
                         **attrs)

    def model(self, *outputs: str, opset: int = 13) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        model.ir_version = 7
        return onnx.shape_inference.infer_shapes(model)

    def save(self, folder: Path, *outputs: str, **options: Any) -> Path:
        path = folder / "net.onnx"
        path.write_bytes(self.model(*outputs, **options).SerializeToString())
        return path


def pictures(shape: Sequence[int], count: int = 3, seed: int = 1) -> list[np.ndarray]:
    """Smooth random uint8 pictures (1, C, H, W)."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        noise = rng.normal(0, 60, shape)
        for axis in (2, 3):
            noise = (noise + np.roll(noise, 1, axis)) / 1.6
        found.append(np.clip(noise + rng.uniform(80, 170), 0, 255).astype(np.uint8))
    return found
