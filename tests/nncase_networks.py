# SPDX-License-Identifier: Apache-2.0
"""Random ordinary small networks, compiled and run by nncase 1.9 (PyPI, CPython 3.10).

Usage: python nncase_networks.py FOLDER SEED COUNT, with requirements-nncase.txt installed. For every i < COUNT it
writes <seed>-<i>.kmodel and <seed>-<i>.npz (x<i> inputs, y<i> outputs of nncase's simulator, ``kind``), or
<seed>-<i>.refused with the reason where nncase itself gives nothing to compare with. A seed always gives the same
networks.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import nncase
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LIMIT = 20
"""Seconds for compiling and simulating one network."""


class Network:
    """An ONNX graph under construction: ``x`` is the tensor that the next operator reads, ``shape`` its shape."""

    def __init__(self, seed: list[int], shape: tuple[int, ...]):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.constants, self.values = [], [], {}
        self.input_shape = shape
        self.x, self.shape = "x0", tuple(shape)
        self.outputs: list[tuple[str, tuple[int, ...]]] = []

    # Drawing

    def one_of(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def integer(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability):
        return self.rng.random() < probability

    # Graph

    def constant(self, value):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weights(self, *shape):
        fan_in = max(int(np.prod(shape[1:])), 1)
        return self.constant((self.rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype("f4"))

    def add(self, op, shape, *operands, outputs=1, **attributes):
        """A node whose first output is read next."""
        names = [f"t{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(operands), names, **attributes))
        self.x, self.shape = names[0], tuple(shape)
        return names if outputs > 1 else names[0]

    def at(self, mark):
        self.x, self.shape = mark

    @property
    def mark(self):
        return self.x, self.shape

    def output(self):
        self.outputs.append(self.mark)

    def onnx(self):
        def value(name, shape):
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
        made = helper.make_model(
            helper.make_graph(self.nodes, "g", [value("x0", self.input_shape)],
                              [value(*o) for o in self.outputs or [self.mark]], self.constants),
            opset_imports=[helper.make_opsetid("", 11)])
        made.ir_version = 6
        return onnx.shape_inference.infer_shapes(made, strict_mode=True).SerializeToString()

    # Layers

    def conv(self, channels, kernel=3, stride=1, group=1, bias=True, pad=None, dilation=1):
        n, c, h, w = self.shape
        pads = [kernel // 2 * dilation] * 4 if pad is None else pad
        reach = (kernel - 1) * dilation + 1
        sizes = [(s + a + b - reach) // stride + 1 for s, a, b in ((h, pads[0], pads[2]), (w, pads[1], pads[3]))]
        if min(sizes) < 1:
            return
        operands = [self.x, self.weights(channels, c // group, kernel, kernel)]
        if bias:
            operands.append(self.constant((self.rng.standard_normal(channels) * 0.1).astype("f4")))
        self.add("Conv", (n, channels, *sizes), *operands, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads,
                 group=group, dilations=[dilation] * 2)

    def depthwise(self, kernel=3, stride=1):
        self.conv(self.shape[1], kernel, stride, self.shape[1])

    def norm(self):
        c = self.shape[1]
        scale, shift, mean = (self.rng.standard_normal(c).astype("f4") * 0.2 + b for b in (1, 0, 0))
        variance = self.rng.uniform(0.5, 2, c).astype("f4")
        self.add("BatchNormalization", self.shape, self.x, *map(self.constant, (scale, shift, mean, variance)))

    def clip(self, low, high):
        self.add("Clip", self.shape, self.x, self.constant(np.float32(low)), self.constant(np.float32(high)))

    def act(self, kind=None):
        kind = kind or self.one_of("relu", "relu", "relu6", "leaky", "sigmoid", "tanh", "swish", "hardswish", "prelu",
                                   "elu", "hardsigmoid", "none", "none")
        if kind == "relu":
            self.add("Relu", self.shape, self.x)
        elif kind == "relu6":
            self.clip(0, 6)
        elif kind == "leaky":
            self.add("LeakyRelu", self.shape, self.x, alpha=self.one_of(0.1, 0.01, 0.25))
        elif kind in ("sigmoid", "tanh", "elu", "softplus", "hardsigmoid"):
            self.add({"hardsigmoid": "HardSigmoid"}.get(kind, kind.capitalize()), self.shape, self.x)
        elif kind == "swish":
            x = self.x
            self.add("Mul", self.shape, x, self.add("Sigmoid", self.shape, x))
        elif kind == "hardswish":
            x = self.x
            self.add("Add", self.shape, x, self.constant(np.float32(3)))
            self.clip(0, 6)
            self.add("Mul", self.shape, x, self.x)
            self.add("Div", self.shape, self.x, self.constant(np.float32(6)))
        elif kind == "prelu":
            slopes = self.rng.uniform(0, 0.5, (self.shape[1], *[1] * (len(self.shape) - 2))).astype("f4")
            self.add("PRelu", self.shape, self.x, self.constant(slopes))

    def pool(self, kind=None, kernel=2, stride=2, pad=0, ceil=0):
        n, c, h, w = self.shape
        kind = kind or self.one_of("MaxPool", "AveragePool")
        sizes = [-(-(s + 2 * pad - kernel) // stride) + 1 if ceil else (s + 2 * pad - kernel) // stride + 1
                 for s in (h, w)]
        if min(sizes) < 1:
            return
        self.add(kind, (n, c, *sizes), self.x, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4,
                 ceil_mode=ceil)

    def global_pool(self, kind="GlobalAveragePool"):
        self.add(kind, (*self.shape[:2], 1, 1), self.x)

    def flatten(self):
        self.add("Flatten", (self.shape[0], int(np.prod(self.shape[1:]))), self.x)

    def reshape(self, *shape):
        self.add("Reshape", shape, self.x, self.constant(np.array(shape)))

    def dense(self, units):
        if len(self.shape) != 2:
            self.flatten()
        n, c = self.shape
        weights = self.weights(units, c)
        if self.chance(0.3):
            w = (self.rng.standard_normal((c, units)) / np.sqrt(c)).astype("f4")
            self.add("MatMul", (n, units), self.x, self.constant(w))
            if self.chance(0.7):
                self.add("Add", self.shape, self.x, self.constant(self.rng.standard_normal(units).astype("f4")))
        else:
            self.add("Gemm", (n, units), self.x, weights, self.constant(self.rng.standard_normal(units).astype("f4")),
                     transB=1)

    def transpose(self, *perm):
        self.add("Transpose", [self.shape[p] for p in perm], self.x, perm=list(perm))

    def concat(self, marks, axis=1):
        shape = list(marks[0][1])
        shape[axis] = sum(m[1][axis] for m in marks)
        self.add("Concat", shape, *[m[0] for m in marks], axis=axis)

    def slice(self, axis, begin, end, step=1):
        shape = list(self.shape)
        shape[axis] = len(range(begin, end, step))
        self.add("Slice", shape, self.x, *(self.constant(np.array([v])) for v in (begin, end, axis, step)))

    def split(self, axis, parts):
        """The marks of equal parts."""
        shape = list(self.shape)
        shape[axis] //= parts
        names = self.add("Split", shape, self.x, outputs=parts, axis=axis, split=[shape[axis]] * parts)
        return [(n, tuple(shape)) for n in names]

    def resize(self, factor=2, mode="nearest"):
        n, c, h, w = self.shape
        self.add("Resize", (n, c, h * factor, w * factor), self.x, self.constant(np.zeros(0, "f4")),
                 self.constant(np.array([1, 1, factor, factor], "f4")), mode=mode, nearest_mode="floor",
                 coordinate_transformation_mode=self.one_of("asymmetric", "half_pixel"))

    def pad(self):
        n, c, h, w = self.shape
        top, left, bottom, right = (self.integer(0, 2) for _ in range(4))
        self.add("Pad", (n, c, h + top + bottom, w + left + right), self.x,
                 self.constant(np.array([0, 0, top, left, 0, 0, bottom, right])), self.constant(np.float32(0)))

    def reduce(self, op=None, axes=None, keepdims=None):
        op = op or self.one_of("ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum")
        rank = len(self.shape)
        axes = axes or self.one_of([rank - 1], [1], [2, 3] if rank == 4 else [rank - 1])
        keepdims = self.integer(0, 1) if keepdims is None else keepdims
        shape = [1 if i in axes else n for i, n in enumerate(self.shape) if keepdims or i not in axes]
        self.add(op, shape, self.x, axes=axes, keepdims=keepdims)

    def softmax(self, axis=None):
        self.add("Softmax", self.shape, self.x, axis=len(self.shape) - 1 if axis is None else axis)

    def l2_norm(self, axis=1):
        x = self.x, self.shape
        self.reduce("ReduceL2", [axis], 1)
        self.add("Div", x[1], x[0], self.x)

    def layer_norm(self):
        x, shape = self.mark
        axis = len(shape) - 1
        self.reduce("ReduceMean", [axis], 1)
        centred = self.add("Sub", shape, x, self.x)
        self.add("Mul", shape, centred, centred)
        self.reduce("ReduceMean", [axis], 1)
        self.add("Add", self.shape, self.x, self.constant(np.float32(1e-5)))
        self.add("Sqrt", self.shape, self.x)
        self.add("Div", shape, centred, self.x)

    def binary(self, op, other):
        self.add(op, self.shape, self.x, other)

    def block(self, channels, kernel=3, stride=1, act=None):
        """Convolution, perhaps normalisation, activation."""
        self.conv(channels, kernel, stride, bias=self.chance(0.7))
        if self.chance(0.4):
            self.norm()
        self.act(act)

    def residual(self, stride=1):
        x = self.mark
        c = self.shape[1]
        self.block(c, act="relu")
        self.conv(c)
        self.add("Add", self.shape, self.x, x[0])
        self.act("relu")

    def squeeze_excite(self):
        x = self.mark
        c = self.shape[1]
        self.global_pool()
        self.conv(max(c // 4, 1), 1)
        self.act("relu")
        self.conv(c, 1)
        self.act(self.one_of("sigmoid", "hardsigmoid"))
        self.add("Mul", x[1], x[0], self.x)

    def head(self, classes):
        """One of the ends of a classifier."""
        kind = self.integer(0, 4)
        if kind == 0:
            self.global_pool()
            self.flatten()
        elif kind == 1:
            self.global_pool()
            self.conv(classes, 1)
            self.flatten()
        elif kind == 2:
            self.conv(classes, 1)
            self.global_pool(self.one_of("GlobalAveragePool", "GlobalMaxPool"))
            self.reshape(1, classes)
        elif kind == 3:
            self.reduce("ReduceMean", [2, 3], 0)
        if kind in (0, 3, 4):
            self.dense(classes)
        if self.chance(0.6):
            self.softmax()


def picture(rng, small=16, large=48):
    """An input shape (N, C, H, W)."""
    channels = int(rng.choice([1, 3, 3, 3, 4, 8, 16]))
    height = int(rng.integers(small, large + 1))
    width = height if rng.random() < 0.4 else int(rng.integers(small, large + 1))
    return 1, channels, height, width


def lenet(seed, rng):
    n = Network(seed, (1, int(rng.choice([1, 3])), 28, 28) if rng.random() < 0.5 else picture(rng, 20, 36))
    kernel = n.one_of(3, 5)
    for channels in (n.integer(4, 8), n.integer(8, 16)):
        n.conv(channels, kernel, pad=n.one_of([0] * 4, [kernel // 2] * 4))
        n.act(n.one_of("relu", "tanh", "sigmoid"))
        n.pool()
    n.dense(n.integer(16, 64))
    n.act("relu")
    n.dense(10)
    n.softmax()
    return n


def pnet(seed, rng):
    side = int(rng.choice([12, 24, 32]))
    n = Network(seed, (1, 3, side, side))
    n.conv(10, 3, pad=[0] * 4)
    n.act("prelu")
    n.pool("MaxPool", n.one_of(2, 3), 2, ceil=n.integer(0, 1))
    for channels in (16, 32):
        n.conv(channels, n.one_of(2, 3), pad=[0] * 4)
        n.act("prelu")
    if n.chance(0.4):
        n.dense(64)
        n.act("relu")
        ends = n.mark
        for units in (2, 4, 10)[:n.integer(2, 3)]:
            n.at(ends)
            n.dense(units)
            if units == 2:
                n.softmax()
            n.output()
        return n
    ends = n.mark
    n.conv(2, 1)
    n.softmax(1)
    n.output()
    n.at(ends)
    n.conv(4, 1)
    n.output()
    return n


def mobilenet(seed, rng):
    n = Network(seed, picture(rng))
    n.block(n.integer(4, 16), 3, 2, "relu6")
    for _ in range(n.integer(1, 4)):
        n.depthwise(n.one_of(3, 3, 3, 5), n.one_of(1, 1, 2))
        n.act(n.one_of("relu6", "relu", "hardswish"))
        n.block(n.integer(8, 32), 1, 1, n.one_of("relu6", "relu", "none"))
    n.head(n.integer(2, 20))
    return n


def inverted(seed, rng):
    n = Network(seed, picture(rng))
    n.block(n.integer(8, 16), 3, 2)
    for _ in range(n.integer(1, 3)):
        x = n.mark
        wide = n.shape[1] * n.one_of(2, 3)
        n.block(wide, 1, 1, "relu6")
        n.depthwise()
        n.act("relu6")
        if n.chance(0.3):
            n.squeeze_excite()
        n.conv(x[1][1], 1)
        n.add("Add", n.shape, x[0], n.x)
    n.head(n.integer(2, 20))
    return n


def resnet(seed, rng):
    n = Network(seed, picture(rng))
    n.block(n.integer(4, 16), 3, n.one_of(1, 2), "relu")
    for _ in range(n.integer(1, 3)):
        n.residual()
        if n.chance(0.5):
            n.block(n.integer(4, 24), 3, 2, "relu")
    n.head(n.integer(2, 20))
    return n


def mlp(seed, rng):
    n = Network(seed, (1, int(rng.integers(3, 100))))
    for _ in range(n.integer(1, 3)):
        n.dense(n.integer(4, 64))
        n.act(n.one_of("relu", "tanh", "sigmoid", "leaky", "elu", "none"))
        if n.chance(0.2):
            n.layer_norm()
    n.dense(n.integer(2, 10))
    if n.chance(0.7):
        n.softmax()
    elif n.chance(0.5):
        n.l2_norm()
    return n


def embedding(seed, rng):
    """A face feature: large depthwise kernel or dense end, normalised."""
    n = Network(seed, picture(rng, 16, 32))
    for _ in range(n.integer(1, 3)):
        n.block(n.integer(4, 16), 3, 2)
    if n.chance(0.5):
        kernel = min(n.shape[2:])
        n.conv(n.shape[1], kernel, 1, n.shape[1], pad=[0] * 4)
    n.dense(n.integer(4, 128))
    if n.chance(0.8):
        n.l2_norm()
    return n


def detector(seed, rng):
    """Heads as YOLO and SSD have them."""
    n = Network(seed, picture(rng, 24, 56))
    for _ in range(n.integer(2, 3)):
        n.block(n.integer(4, 16), 3, n.one_of(1, 2))
        if n.chance(0.6):
            n.pool("MaxPool")
    middle = n.mark
    anchors, classes = n.integer(1, 3), n.integer(1, 4)
    for head in range(n.integer(1, 2)):
        n.at(middle)
        if head:
            n.block(n.integer(4, 16))
        n.conv(anchors * (5 + classes), 1)
        _, _, h, w = n.shape
        end = n.integer(0, 3)
        if end == 1:
            n.act("sigmoid")
        if end >= 2:
            n.reshape(1, anchors, 5 + classes, h * w)
            n.transpose(0, 1, 3, 2)
            if end == 3:
                n.slice(3, 0, 4)
                n.act("sigmoid")
        n.output()
    return n


def unet(seed, rng):
    n = Network(seed, (1, int(rng.choice([1, 3])), *(8 * int(v) for v in rng.integers(2, 6, 2))))
    skips = []
    for _ in range(n.integer(1, 2)):
        n.block(n.integer(4, 12), act="relu")
        skips.append(n.mark)
        n.pool()
    n.block(n.integer(8, 16), act="relu")
    for skip in reversed(skips):
        if n.chance(0.3):
            n.block(n.shape[1], act="relu")
        n.resize(2, n.one_of("nearest", "nearest", "linear"))
        n.concat([n.mark, skip])
        n.block(n.integer(4, 12), act="relu")
    n.conv(n.integer(1, 4), 1)
    if n.chance(0.7):
        n.act("sigmoid")
    return n


def shuffle(seed, rng):
    n = Network(seed, (1, 3, *(int(v) for v in rng.integers(12, 32, 2))))
    n.block(2 * n.integer(2, 8), 1, act="relu")
    for _ in range(n.integer(1, 2)):
        c, h, w = n.shape[1:]
        left, right = n.split(1, 2)
        n.at(right)
        n.block(c // 2, 1, act="relu")
        n.depthwise()
        n.block(c // 2, 1, act="relu")
        n.concat([left, n.mark])
        if n.chance(0.8):
            n.reshape(1, 2, c // 2, h, w)
            n.transpose(0, 2, 1, 3, 4)
            n.reshape(1, c, h, w)
    n.head(n.integer(2, 10))
    return n


def dense_blocks(seed, rng):
    n = Network(seed, picture(rng, 12, 32))
    n.block(n.integer(4, 12))
    for _ in range(n.integer(2, 4)):
        x = n.mark
        n.block(n.integer(2, 8), n.one_of(1, 3))
        n.concat([x, n.mark])
    if n.chance(0.5):
        n.pool(n.one_of("MaxPool", "AveragePool"), n.one_of(2, 3), n.one_of(1, 2), n.integer(0, 1))
    n.head(n.integer(2, 10))
    return n


def inception(seed, rng):
    n = Network(seed, picture(rng, 12, 32))
    n.block(n.integer(4, 12), act="relu")
    x, ends = n.mark, []
    for kernel in (1, 3, 5)[:n.integer(2, 3)]:
        n.at(x)
        n.block(n.integer(2, 8), kernel)
        ends.append(n.mark)
    if n.chance(0.5):
        n.at(x)
        n.pool("MaxPool", 3, 1, 1)
        ends.append(n.mark)
    n.concat(ends)
    n.head(n.integer(2, 10))
    return n


def spotter(seed, rng):
    """Spectrogram in, keyword out: flat maps, uneven strides."""
    n = Network(seed, (1, 1, int(rng.integers(20, 50)), int(rng.integers(10, 41))))
    n.conv(n.integer(4, 16), n.one_of(3, 5), n.one_of(1, 2))
    n.act("relu")
    for _ in range(n.integer(1, 2)):
        n.block(n.integer(8, 16), 3, n.one_of(1, 2))
        n.pool()
    if n.chance(0.4):
        _, c, h, w = n.shape
        n.transpose(0, 2, 1, 3)
        n.reshape(1, h, c * w)
        n.reduce("ReduceMean", [1], 0)
    n.dense(n.integer(2, 12))
    n.softmax()
    return n


def attention(seed, rng):
    n = Network(seed, (1, 3, *(int(v) for v in rng.integers(8, 20, 2))))
    c = n.integer(4, 12)
    n.block(c, 3, 2)
    _, _, h, w = n.shape
    n.reshape(1, c, h * w)
    keys = n.mark
    n.transpose(0, 2, 1)
    n.add("MatMul", (1, h * w, h * w), n.x, keys[0])
    if n.chance(0.5):
        n.add("Div", n.shape, n.x, n.constant(np.float32(np.sqrt(c))))
    n.softmax()
    n.add("MatMul", (1, c, h * w), keys[0], n.x)
    if n.chance(0.4):
        n.layer_norm()
    n.reshape(1, c, h, w)
    n.head(n.integer(2, 10))
    return n


def mixture(seed, rng):
    """A chain of whatever there is."""
    n = Network(seed, picture(rng, 8, 48))
    for _ in range(n.integer(2, 6)):
        if len(n.shape) != 4 or min(n.shape[2:]) < 4:
            break
        c, h, w = n.shape[1:]
        kind = n.integer(0, 17)
        if kind <= 3:
            n.block(n.integer(1, 24), n.one_of(1, 3, 3, 5), n.one_of(1, 1, 2))
        elif kind == 4:
            n.depthwise(n.one_of(3, 5), n.one_of(1, 2))
            n.act()
        elif kind == 5:
            n.pool(None, n.one_of(2, 3), n.one_of(1, 2, 3), 0, n.integer(0, 1))
        elif kind == 6:
            axis = n.integer(1, 3)
            size = n.shape[axis]
            begin = n.integer(0, size // 2)
            n.slice(axis, begin, n.integer(begin + 1, size), n.one_of(1, 1, 2))
        elif kind == 7:
            n.resize(2, n.one_of("nearest", "linear"))
            n.pool()
        elif kind == 8:
            n.pad()
        elif kind == 9:
            n.squeeze_excite()
        elif kind == 10:
            n.residual()
        elif kind == 11:
            x = n.mark
            n.block(n.integer(1, 16), n.one_of(1, 3))
            n.concat([x, n.mark] if n.chance(0.5) else [n.mark, x])
        elif kind == 12:
            n.transpose(*n.one_of((0, 2, 3, 1), (0, 1, 3, 2), (0, 3, 1, 2)))
        elif kind == 13:
            parts = n.split(axis := n.one_of(*[a for a in (1, 2, 3) if n.shape[a] % 2 == 0] or [0]),
                            2 if n.shape[axis] % 2 == 0 else 1)
            if len(parts) == 2:
                n.at(parts[1])
                n.act()
                if n.chance(0.5):
                    n.add(n.one_of("Add", "Mul", "Sub"), n.shape, parts[0][0], n.x)
                else:
                    n.concat([n.mark, parts[0]], axis)
        elif kind == 14:
            shape = n.one_of((c, 1, 1), (1, h, w), (1,))
            n.add(n.one_of("Add", "Mul", "Sub"), n.shape, n.x,
                  n.constant(n.rng.standard_normal(shape).astype("f4")))
        elif kind == 15:
            n.conv(n.integer(1, 16), 3, 1, dilation=2)
            n.act()
        elif kind == 16 and c % 2 == 0:
            n.conv(2 * n.integer(1, 8), n.one_of(1, 3), group=2)
            n.act()
        elif kind == 17:
            n.add(n.one_of("Abs", "Neg", "Exp", "Sqrt", "Floor", "Ceil", "Sin", "Cos", "Erf", "Softplus", "Softsign",
                           "Log"), n.shape, n.x)
    end = n.integer(0, 5)
    if end == 0 and len(n.shape) == 4:
        n.head(n.integer(2, 12))
    elif end == 1:
        n.reduce()
    elif end == 2:
        n.softmax(n.integer(1, len(n.shape) - 1) if n.chance(0.4) else None)
    elif end == 3:
        n.dense(n.integer(1, 16))
    return n if n.nodes else mlp(seed, rng)


def operator(seed, rng):
    """One operator, or two."""
    flat = int(rng.integers(1, 5)), int(rng.integers(2, 300))
    n = Network(seed, flat if rng.random() < 0.2 else picture(rng, 4, 20))
    for _ in range(n.integer(1, 2)):
        kind = n.integer(0, 6)
        if kind <= 1:
            n.add(n.one_of("Abs", "Ceil", "Cos", "Exp", "Floor", "Neg", "Round", "Sin", "Tanh", "Sigmoid", "Sign",
                           "Erf", "Elu", "Selu", "Softplus", "Softsign", "HardSigmoid", "LeakyRelu", "Log", "Sqrt"),
                  n.shape, n.x)
        elif kind == 2:
            n.softmax(n.integer(1, len(n.shape) - 1))
        elif kind == 3:
            n.reduce()
        elif kind == 4:
            op = n.one_of("Add", "Sub", "Mul", "Div", "Min", "Max")
            n.add(op, n.shape, n.x, n.constant(n.rng.uniform(0.5, 2, n.shape).astype("f4")))
        elif kind == 5 and len(n.shape) == 4:
            n.global_pool(n.one_of("GlobalAveragePool", "GlobalMaxPool"))
        else:
            n.add("LogSoftmax", n.shape, n.x, axis=len(n.shape) - 1)
    return n


FAMILIES = {f.__name__: f for f in (
    lenet, pnet, mobilenet, inverted, resnet, mlp, embedding, detector, unet, shuffle, dense_blocks, inception, spotter,
    attention, mixture, operator)}
WEIGHTS = {"mixture": 4, "operator": 2}
NAMES = [name for name in FAMILIES for _ in range(WEIGHTS.get(name, 1))]


def make(seed, index):
    """(kind, network, compiler settings) of one case."""
    rng = np.random.default_rng([seed, index])
    family = NAMES[rng.integers(len(NAMES))]
    network = FAMILIES[family]([seed, index, 1], rng)
    settings = {"target": "cpu" if rng.random() < 0.1 else "k210", "quantized": rng.random() < 0.75,
                "uint8_input": rng.random() < 0.35,
                "method": "l2" if rng.random() < 0.03 else "no_clip"}
    settings["quantized"] &= settings["target"] == "k210"
    settings["uint8_input"] &= settings["quantized"] and len(network.input_shape) == 4  # else nncase ignores it
    return family, network, settings


def build(folder, name, seed, index):
    """Compile, simulate and write one case."""
    family, network, settings = make(seed, index)
    rng = np.random.default_rng([seed, index, 2])
    source = network.onnx()
    if os.environ.get("KEEP_ONNX"):
        (folder / f"{name}.onnx").write_bytes(source)
    options = nncase.CompileOptions()
    options.target = settings["target"]
    options.dump_ir = options.dump_asm = False
    options.dump_dir = str(folder)
    if settings["quantized"]:
        options.quant_type = options.w_quant_type = "uint8"
    if settings["uint8_input"]:
        options.preprocess = True
        options.input_type = "uint8"
        options.input_shape = list(network.input_shape)
        options.input_layout = "NCHW"
        options.input_range = [0, 1]
        options.mean, options.std = [0, 0, 0], [1, 1, 1]
    compiler = nncase.Compiler(options)
    compiler.import_onnx(source, nncase.ImportOptions())
    if settings["quantized"]:
        ptq = nncase.PTQTensorOptions()
        ptq.calibrate_method = settings["method"]
        ptq.samples_count = 4
        samples = (rng.integers(0, 256, (4, *network.input_shape), "u1") if settings["uint8_input"]
                   else rng.uniform(-1, 1, (4, *network.input_shape)).astype("f4"))
        ptq.set_tensor_data(samples.tobytes())
        compiler.use_ptq(ptq)
    compiler.compile()
    kmodel = compiler.gencode_tobytes()
    (folder / f"{name}.kmodel").write_bytes(kmodel)
    simulator = nncase.Simulator()
    simulator.load_model(kmodel)
    x = (rng.integers(0, 256, network.input_shape, "u1") if settings["uint8_input"]
         else rng.uniform(-1, 1, network.input_shape).astype("f4"))
    simulator.set_input_tensor(0, nncase.RuntimeTensor.from_numpy(x))
    simulator.run()
    outputs = {f"y{i}": simulator.get_output_tensor(i).to_numpy() for i in range(simulator.outputs_size)}
    np.savez_compressed(folder / f"{name}.npz", x0=x, **outputs, kind=f"{family} {settings}")


def run(folder, seed, index):
    """One case in a process of its own: nncase keeps state between models, and ends the process on some networks."""
    name = f"{seed}-{index}"
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(os.open(folder / f"{name}.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        try:
            build(folder, name, seed, index)
        except BaseException as error:  # whatever it is, the parent reports it
            os.write(2, f"{type(error).__name__}: {error}"[:400].encode(errors="replace"))
            os._exit(1)
        os._exit(0)
    limit = time.monotonic() + LIMIT
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > limit:
            os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            break
        time.sleep(0.005)
    said = folder / f"{name}.err"
    if status:
        text = said.read_text(errors="replace").strip()[-400:] or f"ended with status {status}"
        (folder / f"{name}.npz").unlink(missing_ok=True)
        (folder / f"{name}.refused").write_text(text + "\n")
    said.unlink(missing_ok=True)


def main(folder, seed, count, first=0):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(int(first), int(first) + int(count)):
        run(folder, int(seed), index)


if __name__ == "__main__":
    main(*sys.argv[1:])
