# SPDX-License-Identifier: Apache-2.0
"""Try which layers nncase 1.9 puts on the K210's KPU: compile one small network per layer kind and list its operators.

    python layer_rules.py            # prints a Markdown table

Needs CPython 3.10 and requirements-compile.txt. The layer under test sits between two convolutions that run on the KPU;
a convolution under test has a ReLU after it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import nncase
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS = 16


class Chain:
    """Builds an ONNX graph, one node after the other."""

    def __init__(self, height: int, width: int) -> None:
        self.shape = [1, 3, height, width]
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.last = "image"
        self._random = np.random.default_rng(1)

    def constant(self, values: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def node(self, kind: str, *more_inputs: str, **attributes: object) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.last, *more_inputs], [name], **attributes))
        self.last = name
        return name

    def conv(self, inputs: int, kernel: int, stride: int = 1, pads: int | list[int] | None = None, group: int = 1,
             dilation: int = 1) -> str:
        weight = self._random.normal(0, 0.3, (CHANNELS, inputs // group, kernel, kernel)).astype(np.float32)
        bias = self._random.normal(0, 0.3, CHANNELS).astype(np.float32)
        pads = kernel // 2 * dilation if pads is None else pads
        return self.node("Conv", self.constant(weight), self.constant(bias), kernel_shape=[kernel] * 2,
                         strides=[stride] * 2, pads=pads if isinstance(pads, list) else [pads] * 4, group=group,
                         dilations=[dilation] * 2)

    def conv_relu(self, inputs: int, kernel: int, stride: int = 1, **more: object) -> None:
        self.conv(inputs, kernel, stride, **more)
        self.node("Relu")

    def model(self) -> bytes:
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, self.shape)
        result = helper.make_tensor_value_info(self.last, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "rule", [image], [result], self.constants)
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
        return onnx.shape_inference.infer_shapes(proto).SerializeToString()


def operators(model: bytes, height: int, width: int) -> list[str]:
    """Names of the operators of the compiled network, in order, KPU layers as KPUConv2D."""
    with tempfile.TemporaryDirectory() as folder:
        options = nncase.CompileOptions()
        options.target = "k210"
        options.preprocess = True
        options.input_type = "uint8"
        options.input_shape = [1, 3, height, width]
        options.input_range = [0, 255]
        options.dump_asm = True
        options.dump_dir = folder
        compiler = nncase.Compiler(options)
        compiler.import_onnx(model, nncase.ImportOptions())
        ptq = nncase.PTQTensorOptions()
        ptq.samples_count = 2
        ptq.set_tensor_data(np.random.default_rng(1).integers(0, 256, (2, 3, height, width), dtype=np.uint8).tobytes())
        compiler.use_ptq(ptq)
        compiler.compile()
        compiler.gencode_tobytes()
        names = []
        for file in sorted(Path(folder).rglob("runtime_ops.txt")):
            names += [line.split("]")[0].lstrip("[") for line in file.read_text().splitlines() if line]
    return names


def upsample(chain: Chain) -> None:
    empty = chain.constant(np.zeros(0, np.float32))
    chain.node("Resize", empty, chain.constant(np.array([1, 1, 2, 2], np.float32)), mode="nearest",
               coordinate_transformation_mode="asymmetric", nearest_mode="floor")


def swish(chain: Chain) -> None:
    before = chain.last
    chain.node("Sigmoid")
    chain.node("Mul", before)


def residual(chain: Chain) -> None:
    before = chain.last
    chain.conv(CHANNELS, 3)
    chain.node("Add", before)


def concat(chain: Chain) -> None:
    before = chain.last
    chain.conv(CHANNELS, 1)
    chain.node("Concat", before, axis=1)


def depthwise_pool(chain: Chain) -> None:
    chain.conv_relu(CHANNELS, 3, group=CHANNELS)
    chain.node("MaxPool", kernel_shape=[2, 2], strides=[2, 2])


def relu6(chain: Chain) -> None:
    chain.node("Clip", chain.constant(np.array(0, np.float32)), chain.constant(np.array(6, np.float32)))


def pool(kind: str, kernel: int, stride: int, pad: int = 0):
    return lambda chain: chain.node(kind, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)


RULES = [
    ("3x3 convolution, padding 1", (48, 64), lambda c: c.conv_relu(CHANNELS, 3)),
    ("1x1 convolution", (48, 64), lambda c: c.conv_relu(CHANNELS, 1)),
    ("3x3 depthwise, padding 1", (48, 64), lambda c: c.conv_relu(CHANNELS, 3, group=CHANNELS)),
    ("3x3, stride 2, padding 1 on all sides, even map", (48, 64), lambda c: c.conv_relu(CHANNELS, 3, 2)),
    ("3x3, stride 2, padding 1 on all sides, odd map", (45, 61), lambda c: c.conv_relu(CHANNELS, 3, 2)),
    ("3x3, stride 2, padding right and bottom only (TensorFlow's `same`)", (48, 64),
     lambda c: c.conv_relu(CHANNELS, 3, 2, pads=[0, 0, 1, 1])),
    ("1x1, stride 2", (48, 64), lambda c: c.conv_relu(CHANNELS, 1, 2)),
    ("3x3 depthwise, stride 2", (48, 64), lambda c: c.conv_relu(CHANNELS, 3, 2, group=CHANNELS)),
    ("3x3 depthwise, then 2x2 max pool", (48, 64), depthwise_pool),
    ("3x3, no padding", (48, 64), lambda c: c.conv_relu(CHANNELS, 3, pads=0)),
    ("3x3, 4 groups", (48, 64), lambda c: c.conv_relu(CHANNELS, 3, group=4)),
    ("3x3, dilation 2", (48, 64), lambda c: c.conv_relu(CHANNELS, 3, dilation=2)),
    ("5x5 convolution", (48, 64), lambda c: c.conv_relu(CHANNELS, 5)),
    ("3x3 on a map 3 pixels wide and high", (3, 3), lambda c: c.conv_relu(CHANNELS, 3)),
    ("3x3 on a map 258 pixels high", (258, 64), lambda c: c.conv_relu(CHANNELS, 3)),
    ("max pool 2x2, stride 2, even map", (48, 64), pool("MaxPool", 2, 2)),
    ("max pool 2x2, stride 2, odd map", (45, 61), pool("MaxPool", 2, 2)),
    ("max pool 4x4, stride 4", (48, 64), pool("MaxPool", 4, 4)),
    ("max pool 3x3, stride 2, padding 1", (48, 64), pool("MaxPool", 3, 2, 1)),
    ("average pool 2x2, stride 2", (48, 64), pool("AveragePool", 2, 2)),
    ("global average pool", (48, 64), lambda c: c.node("GlobalAveragePool")),
    ("ReLU", (48, 64), lambda c: c.node("Relu")),
    ("ReLU6", (48, 64), relu6),
    ("leaky ReLU", (48, 64), lambda c: c.node("LeakyRelu", alpha=0.1)),
    ("sigmoid", (48, 64), lambda c: c.node("Sigmoid")),
    ("hard sigmoid", (48, 64), lambda c: c.node("HardSigmoid")),
    ("swish (SiLU)", (48, 64), swish),
    ("residual addition", (48, 64), residual),
    ("concatenation", (48, 64), concat),
    ("nearest upsampling by 2", (24, 32), upsample),
]


def main() -> None:
    print("| layer | on the KPU | what runs on the CPU instead |\n| --- | --- | --- |")
    for name, (height, width), add in RULES:
        chain = Chain(height, width)
        chain.conv_relu(3, 3)
        add(chain)
        channels = 2 * CHANNELS if add is concat else CHANNELS
        chain.conv(channels, 1)
        try:
            names = operators(chain.model(), height, width)
        except RuntimeError as error:
            print(f"| {name} | - | nncase: {error} |", flush=True)
            continue
        # The last operator turns the result into floats; between two parts on the KPU a map also has to be moved.
        moved = ("KPUConv2D", "KPUUpload", "KPUDownload", "Call")
        host = [n for n in names if n not in moved]
        host.remove("Dequantize")
        print(f"| {name} | {'no' if host else 'yes'} | {', '.join(host)} |", flush=True)


if __name__ == "__main__":
    main()
