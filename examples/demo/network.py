# SPDX-License-Identifier: Apache-2.0
"""The demo detector: a small YOLOv2 on a 20x15 grid, made of every kind of layer that the KPU has.

The network is a plain chain, described by `LAYERS`. `Detector` is its PyTorch form, for pixels divided by 255;
`export_onnx` writes the form that is compiled, for pixels as they are.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from draw import HEIGHT, KINDS, WIDTH
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

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


def activation(layer: Conv) -> list[nn.Module]:
    return {"leaky": [nn.LeakyReLU(LEAK)], "relu": [nn.ReLU()], "none": []}[layer.activation]


class Block(nn.Module):
    """Convolution, pool, batch norm, activation: pooling first saves most of the time of the other two.

    The hardware pools last. That is the same as long as the gain of the norm is positive (`keep_gain_positive`).
    """

    def __init__(self, layer: Conv) -> None:
        super().__init__()
        self.layer = layer
        self.conv = nn.Conv2d(layer.inputs, layer.outputs, layer.kernel, layer.stride, layer.kernel // 2,
                              groups=layer.inputs if layer.depthwise else 1, bias=layer.activation == "none")
        self.norm = None if layer.activation == "none" else nn.BatchNorm2d(layer.outputs)
        self.rest = nn.Sequential(*activation(layer))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        maps = self.conv(maps)
        if self.layer.pool:
            maps = functional.max_pool2d(maps, 2)
        return self.rest(maps if self.norm is None else self.norm(maps))

    def keep_gain_positive(self) -> None:
        if self.layer.pool:
            self.norm.weight.data.clamp_(min=0.01)

    def compiled_form(self) -> nn.Sequential:
        """Convolution with the batch norm in its weights, activation, pool."""
        conv = copy.deepcopy(self.conv) if self.norm is None else fuse_conv_bn_eval(self.conv, self.norm)
        return nn.Sequential(conv, *activation(self.layer), *[nn.MaxPool2d(2)] * self.layer.pool)


class Detector(nn.Module):
    """float32 (N, 3, 240, 320) pixels 0..1 -> raw YOLOv2 map (N, ANCHORS * (5 + CLASSES), 15, 20)."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*[Block(layer) for layer in LAYERS])

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.blocks(pixels)


def export_onnx(model: Detector, path: Path) -> None:
    """Write the network as ONNX, with raw pixels 0..255 as its input and the batch norms folded in; for `eval` mode.

    Opset 11 and the exporter that is not "dynamo": nncase 1.9 reads no newer form. nncase wants the shape of every
    tensor spelled out.
    """
    raw = nn.Sequential(*[block.compiled_form() for block in model.blocks]).to(memory_format=torch.contiguous_format)
    raw[0][0].weight.data /= 255
    torch.onnx.export(raw.eval(), (torch.zeros(1, 3, HEIGHT, WIDTH),), path, opset_version=11, dynamo=False,
                      input_names=["image"], output_names=["map"])
    onnx.save(onnx.shape_inference.infer_shapes(onnx.load(path)), path)
