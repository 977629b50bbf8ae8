# SPDX-License-Identifier: Apache-2.0
"""A quantized network as a list of steps: what the passes hand to the planner and the writers.

Nothing in it has an address. Values are named; steps refer to them by name and stand in execution order. The layer
arithmetic is that of spec/kpu-hardware.md sections 5 to 8, the same for every format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from ..hw.fields import ACT_FIELDS, ACT_SEGMENTS, BN_FIELDS, DESCRIPTOR, POOLS
from .errors import CompileError
from .limits import can_place, channel_group, field_range, fits_map

HOST_OPERATORS: dict[str, tuple[str, ...]] = {
    "quantize": (), "dequantize": (), "lookup": ("table",),
    "reshape": (), "transpose": ("perm",), "concat": ("axis",), "slice": ("begin", "end", "step"),
    "pad": ("pads", "value"), "resize": ("mode", "align_corners", "half_pixel"),
    "unary": ("kind",), "binary": ("kind",), "clamp": ("low", "high"),
    "softmax": ("axis",), "reduce": ("kind", "axes"), "matmul": (),
    "pool": ("kind", "kernel", "stride", "pads", "dilation"),
    "conv2d": ("stride", "pads", "dilation", "groups"),
    "conv2d_transpose": ("stride", "pads", "dilation", "groups"),
}
"""Host operators and their attributes. Pairs are (vertical, horizontal); float32 unless said otherwise.

=================  ====================================================================================================
quantize           float32 -> uint8 codes of the output's ``scale`` and ``zero`` (per tensor), halves to even
dequantize         uint8 -> float32 by the input's ``scale`` and ``zero``, per tensor or per channel (dimension 1)
lookup             uint8 -> uint8 through ``table`` (256,)
reshape            any dtype; the elements stay where they are
transpose          any dtype; ``perm``
concat             any number of inputs of one dtype, along ``axis``
slice              any dtype; ``begin``, ``end``, ``step`` of every dimension, as Python's slices of non-negative ends
pad                any dtype; ``pads`` ((before, after), ...) of every dimension, negative ones crop; constant ``value``
resize             float32 or uint8 (N, C, H, W); ``mode`` nearest or bilinear; flags as in ONNX: neither means
                   "asymmetric", nearest rounds down (with align_corners: half up)
unary              ``kind``: abs ceil cos exp floor log neg rsqrt sin square sqrt tanh sigmoid
binary             ``kind``: add sub mul div min max, broadcasting as in numpy
clamp              to ``low``..``high``
softmax            along ``axis``
reduce             ``kind``: mean min max sum over ``axes``; the output's shape says whether they are kept
matmul             (..., M, K) x (K, N) [+ bias (N,)], the second operand a constant or a two-dimensional value
pool               ``kind`` max or mean of (N, C, H, W), uint8 or float32; ``pads`` ((top, bottom), (left, right));
                   pixels outside do not count
conv2d             input, constant weights (O, I/groups, KH, KW), constant bias (O,)
conv2d_transpose   input, constant weights (I, O/groups, KH, KW), constant bias (O,)
=================  ====================================================================================================
"""

UNARY = ("abs", "ceil", "cos", "exp", "floor", "log", "neg", "rsqrt", "sin", "square", "sqrt", "tanh", "sigmoid")
BINARY = ("add", "sub", "mul", "div", "min", "max")
REDUCE = ("mean", "min", "max", "sum")


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor.

    Attributes
    ----------
    name : unique in its program.
    shape : (N, C, H, W) for maps of KPU steps (N is 1), any shape on the host.
    dtype : "u1" (codes) or "f4".
    scale, zero : of codes: real = (code - zero) * scale; float32 and int64 arrays of one element or one per channel
        (dimension 1). None where unknown, which only dequantize minds.
    data : the elements of a constant.
    parent, channel : a part of the map ``parent``: channels ``channel`` ... of it, of the same height and width, in
        place. Parts are either written and the whole read (a concatenation) or the whole written and parts read.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "u1"
    scale: np.ndarray | None = None
    zero: np.ndarray | None = None
    data: np.ndarray | None = None
    parent: str | None = None
    channel: int = 0

    @property
    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """``scale`` and ``zero``, which are known."""
        assert self.scale is not None and self.zero is not None, f"{self.name} has no scale"
        return self.scale, self.zero

    @property
    def count(self) -> int:
        """Elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the dense tensor."""
        return self.count * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, eq=False)
class KpuStep:
    """One KPU layer: convolution, batch norm, activation, pool.

    Attributes
    ----------
    name : of the layer in messages and reports, usually the network's node.
    input, output : maps (1, C, H, W) of codes.
    weights : uint8 or uint16 codes (O, I, k, k), depthwise (C, 1, k, k); k is 1 or 3.
    arg_x, shr_x, arg_w, shr_w, arg_add : words 9 and 10 of the descriptor.
    bn_mul, bn_shift, bn_add : int64 (O,), one batch-norm entry per output channel.
    starts, y_mul, shift, bias : int64 (16,), the activation segments.
    pad_value : code of the pixels outside (0 for 1x1).
    pool : pool_type 0..9 (section 8).
    rows : vertical taps are that many rows apart; more than 1 for :func:`~openkpu.compiler.layers.tall`'s layers only.
    """

    name: str
    input: str
    output: str
    weights: np.ndarray
    bn_mul: np.ndarray
    bn_shift: np.ndarray
    bn_add: np.ndarray
    starts: np.ndarray
    y_mul: np.ndarray
    shift: np.ndarray
    bias: np.ndarray
    arg_x: int = 0
    shr_x: int = 0
    arg_w: int = 0
    shr_w: int = 0
    arg_add: int = 0
    pad_value: int = 0
    pool: int = 0
    depthwise: bool = False
    rows: int = 1

    @property
    def kernel(self) -> int:
        return self.weights.shape[2]

    @property
    def weight_bits(self) -> int:
        return 8 * self.weights.dtype.itemsize

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[str, ...]:
        return (self.output,)


@dataclass(frozen=True, eq=False)
class HostStep:
    """One operator on the CPU: an entry of ``HOST_OPERATORS``. Optional inputs are left out at the end."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> str:
        return self.outputs[0]


Step = KpuStep | HostStep


@dataclass(frozen=True, eq=False)
class Program:
    """Steps in execution order over named values; ``inputs`` and ``outputs`` are names, in table order."""

    values: dict[str, Value]
    steps: tuple[Step, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __getitem__(self, name: str) -> Value:
        return self.values[name]

    def constant(self, name: str) -> np.ndarray:
        """The elements of a constant."""
        data = self[name].data
        assert data is not None, f"{name} is no constant"
        return data

    def root(self, name: str) -> tuple[Value, int]:
        """The map that a value is part of, and the channel at which it begins there."""
        value, channel = self.values[name], 0
        while value.parent is not None:
            channel += value.channel
            value = self.values[value.parent]
        return value, channel

    def check(self) -> None:
        """CompileError if the steps contradict themselves or a field of the KPU cannot hold its value."""
        for name, value in self.values.items():
            if value.name != name:
                raise CompileError(f"value {name!r} calls itself {value.name!r}")
            _check_value(self, value)
        written = _Written(self)
        for name in (*self.inputs, *(n for n, v in self.values.items() if v.data is not None)):
            written.add(name)
        for step in self.steps:
            for name in (*step.inputs, *step.outputs):
                if name not in self.values:
                    raise CompileError(f"{step.name} uses the value {name!r}, which does not exist")
            for name in step.inputs:
                if not written.holds(name):
                    raise CompileError(f"{step.name} reads {name!r} before any step has written it")
            _CHECKS[type(step)](self, step)
            for name in step.outputs:
                if written.touches(name):
                    raise CompileError(f"{step.name} writes {name!r} a second time")
                written.add(name)
        for name in self.outputs:
            if name not in self.values or not written.holds(name):
                raise CompileError(f"the output {name!r} is never written")

    def interval(self, name: str) -> tuple[str, int, int]:
        """(root, first channel, channel behind the last) of a value in the map that it is part of."""
        root, channel = self.root(name)
        shape = self.values[name].shape
        return root.name, channel, channel + (shape[1] if len(shape) > 1 else 1)

    def parts(self, name: str) -> list[Value]:
        """Direct parts of a map, by channel."""
        return sorted((v for v in self.values.values() if v.parent == name), key=lambda v: v.channel)

    def kpu_steps(self) -> Iterator[KpuStep]:
        return (s for s in self.steps if isinstance(s, KpuStep))


class _Written:
    """Which channels of which maps hold data."""

    def __init__(self, program: Program):
        self.program = program
        self.ranges: dict[str, list[tuple[int, int]]] = {}

    def add(self, name: str) -> None:
        root, low, high = self.program.interval(name)
        self.ranges[root] = sorted([*self.ranges.get(root, []), (low, high)])

    def touches(self, name: str) -> bool:
        root, low, high = self.program.interval(name)
        return any(a < high and low < b for a, b in self.ranges.get(root, []))

    def holds(self, name: str) -> bool:
        """True if every channel is written. Those behind a part that fill up its channel group are nobody's."""
        root, low, high = self.program.interval(name)
        shape = self.program[root].shape
        group = channel_group(shape[3]) if len(shape) == 4 else 1
        for a, b in self.ranges.get(root, []):
            if a <= low:
                low = max(low, -(-b // group) * group)
        return low >= high


def _check_value(program: Program, value: Value) -> None:
    if value.dtype not in ("u1", "f4") or any(n < 1 for n in value.shape):
        raise CompileError(f"value {value.name!r} is {value.dtype} {value.shape}, not codes or float32 of a shape")
    if value.data is not None and (value.data.shape != value.shape or value.data.dtype != np.dtype(value.dtype)):
        raise CompileError(f"the constant {value.name!r} is {value.data.dtype} {value.data.shape}, "
                           f"declared {value.dtype} {value.shape}")
    if value.parent is None:
        return
    whole = program.values.get(value.parent)
    if whole is None or whole.dtype != "u1" or value.dtype != "u1":
        raise CompileError(f"{value.name!r} is part of {value.parent!r}, which is no map of codes")
    if len(value.shape) != 4 or value.shape[0] != 1 or value.shape[2:] != whole.shape[2:]:
        raise CompileError(f"{value.name!r} {value.shape} cannot be channels of {value.parent!r} {whole.shape}")
    if not can_place(value.shape[3], value.channel) or value.channel + value.shape[1] > whole.shape[1]:
        raise CompileError(f"{value.name!r} with {value.shape[1]} channels cannot lie at channel {value.channel} of "
                           f"{value.parent!r} {whole.shape}: the channel must be a multiple of the maps' channel group")


def _check_kpu(program: Program, step: KpuStep) -> None:
    source, target = program.values[step.input], program.values[step.output]
    o, i, k, k2 = step.weights.shape
    for value in (source, target):
        if len(value.shape) != 4 or value.shape[0] != 1 or value.dtype != "u1" or not fits_map(*value.shape[1:]):
            raise CompileError(f"{step.name}: {value.name!r} {value.dtype} {value.shape} is no map that the KPU takes")
    stride = POOLS[step.pool][1] if 0 <= step.pool < len(POOLS) else 0
    if not stride:
        raise CompileError(f"{step.name}: pool type {step.pool} does not exist")
    if k not in (1, 3) or k != k2 or step.weights.dtype not in (np.uint8, np.uint16):
        raise CompileError(f"{step.name}: weights {step.weights.dtype} {step.weights.shape} are not of a KPU layer")
    channels = (o, 1) if step.depthwise else (o, source.shape[1])
    if (o, i) != channels or target.shape[1] != o or (step.depthwise and source.shape[1] != o):
        raise CompileError(f"{step.name}: weights {step.weights.shape} don't turn {source.shape} into {target.shape}")
    if target.shape[2:] != (source.shape[2] // stride, source.shape[3] // stride):
        raise CompileError(f"{step.name}: a pool of stride {stride} does not turn {source.shape} into {target.shape}")
    ranges = {a.field.name: field_range(a.field) for a in DESCRIPTOR}
    for name in ("arg_x", "shr_x", "arg_w", "shr_w", "arg_add", "pad_value"):
        _within(step, name, np.asarray(getattr(step, name)), ranges[name], ())
    bn = {f.name: field_range(f) for f in BN_FIELDS}
    act = {f.name: field_range(f) for f in ACT_FIELDS}
    for name, limits in (("bn_mul", bn["norm_mul"]), ("bn_shift", bn["norm_shift"]), ("bn_add", bn["norm_add"])):
        _within(step, name, np.asarray(getattr(step, name)), limits, (o,))
    for name, limits in (("starts", act["x_start"]), ("y_mul", act["y_mul"]), ("shift", (0, 63)), ("bias", (0, 255))):
        _within(step, name, np.asarray(getattr(step, name)), limits, (ACT_SEGMENTS,))
    if (np.diff(step.starts) < 0).any():
        raise CompileError(f"{step.name}: the activation's segments do not ascend")


def _within(step: KpuStep, name: str, values: np.ndarray, limits: tuple[int, int], shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise CompileError(f"{step.name}: {name} has the shape {values.shape}, not {shape}")
    if int(values.min()) < limits[0] or int(values.max()) > limits[1]:
        raise CompileError(f"{step.name}: {name} = {int(values.min())}..{int(values.max())} is not within "
                           f"{limits[0]}..{limits[1]}")


def _check_host(program: Program, step: HostStep) -> None:
    if step.op not in HOST_OPERATORS:
        raise CompileError(f"{step.name}: there is no host operator {step.op!r}")
    missing = set(HOST_OPERATORS[step.op]) - set(step.attributes)
    if missing:
        raise CompileError(f"{step.name}: {step.op} lacks {', '.join(sorted(missing))}")


_CHECKS: dict[type, Any] = {KpuStep: _check_kpu, HostStep: _check_host}
