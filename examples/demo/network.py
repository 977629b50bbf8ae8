"""The demo detector: a small YOLOv2 on a 20x15 grid, made of every kind of layer that the KPU has.

The network is a plain chain, described by `LAYERS`; `Detector` is its PyTorch form and `export_onnx` its ONNX form
with the batch norms folded into the convolutions. The input is raw pixels 0..255: the division
by 255 is part of the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from draw import HEIGHT, KINDS, WIDTH
from onnx import TensorProto, helper, numpy_helper
from torch import nn

STRIDE = 16
GRID_WIDTH, GRID_HEIGHT = WIDTH // STRIDE, HEIGHT // STRIDE
ANCHORS = 5
CLASSES = len(KINDS)
LEAK = 0.1


@dataclass(frozen=True)
class Conv:
    """One convolution with what follows it: "leaky", "relu" or no activation, and a 2x2 max pool or none."""

    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    depthwise: bool = False
    activation: str = "leaky"
    pool: bool = False


def pair(inputs: int, outputs: int, pool: bool = False) -> list[Conv]:
    """Depthwise 3x3, then 1x1. nncase would pool or stride a depthwise layer on the host, so the 1x1 has the pool."""
    return [Conv(inputs, inputs, 3, depthwise=True, activation="relu"), Conv(inputs, outputs, 1, pool=pool)]


LAYERS = [
    Conv(3, 8, 3, stride=2),
    *pair(8, 24, pool=True),
    *pair(24, 40, pool=True),
    *pair(40, 64, pool=True),
    Conv(64, 80, 3),
    *pair(80, 128),
    *pair(128, 128),
    *pair(128, 128),
    *pair(128, 112),
    Conv(112, ANCHORS * (5 + CLASSES), 1, activation="none"),
]


class Detector(nn.Module):
    """float32 (N, 3, 240, 320) pixels 0..1 -> raw YOLOv2 map (N, ANCHORS * (5 + CLASSES), 15, 20)."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = nn.Sequential(*[self._block(layer) for layer in LAYERS])

    @staticmethod
    def _block(layer: Conv) -> nn.Sequential:
        last = layer.activation == "none"
        block: list[nn.Module] = [
            nn.Conv2d(layer.inputs, layer.outputs, layer.kernel, layer.stride, layer.kernel // 2,
                      groups=layer.inputs if layer.depthwise else 1, bias=last)
        ]
        if not last:
            block.append(nn.BatchNorm2d(layer.outputs))
            block.append(nn.ReLU() if layer.activation == "relu" else nn.LeakyReLU(LEAK))
        if layer.pool:
            block.append(nn.MaxPool2d(2))
        return nn.Sequential(*block)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.chain(pixels)


def folded(block: nn.Sequential) -> tuple[np.ndarray, np.ndarray]:
    """Weights and biases of a block's convolution with its batch norm folded in."""
    conv = block[0]
    weight = conv.weight.detach().double()
    if conv.bias is not None:
        return weight.float().numpy(), conv.bias.detach().numpy()
    norm = block[1]
    gain = norm.weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
    bias = norm.bias.detach().double() - norm.running_mean.double() * gain
    return (weight * gain[:, None, None, None]).float().numpy(), bias.float().numpy()


def export_onnx(model: Detector, path: Path) -> None:
    """Write the folded network as ONNX opset 11, the newest that nncase 1.9 reads without surprises."""
    nodes, constants, tensor = [], [], "image"
    for index, (layer, block) in enumerate(zip(LAYERS, model.chain, strict=True)):
        weight, bias = folded(block)
        if index == 0:
            weight = weight / 255
        constants += [numpy_helper.from_array(weight, f"w{index}"), numpy_helper.from_array(bias, f"b{index}")]
        pad = layer.kernel // 2
        nodes.append(helper.make_node(
            "Conv", [tensor, f"w{index}", f"b{index}"], [f"conv{index}"], kernel_shape=[layer.kernel] * 2,
            strides=[layer.stride] * 2, pads=[pad] * 4, group=layer.inputs if layer.depthwise else 1))
        tensor = f"conv{index}"
        if layer.activation != "none":
            slope = {"alpha": LEAK} if layer.activation == "leaky" else {}
            kind = "LeakyRelu" if layer.activation == "leaky" else "Relu"
            nodes.append(helper.make_node(kind, [tensor], [f"act{index}"], **slope))
            tensor = f"act{index}"
        if layer.pool:
            nodes.append(helper.make_node("MaxPool", [tensor], [f"pool{index}"], kernel_shape=[2, 2], strides=[2, 2]))
            tensor = f"pool{index}"
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])
    boxes = helper.make_tensor_value_info(
        tensor, TensorProto.FLOAT, [1, ANCHORS * (5 + CLASSES), GRID_HEIGHT, GRID_WIDTH])
    graph = helper.make_graph(nodes, "shapes", [image], [boxes], constants)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.checker.check_model(proto)
    onnx.save(onnx.shape_inference.infer_shapes(proto), path)  # nncase wants the shape of every tensor spelled out
