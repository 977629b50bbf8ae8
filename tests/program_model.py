# SPDX-License-Identifier: Apache-2.0
"""What a compiler program means: direct evaluation with numpy, and random programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from openkpu.compiler.limits import channel_group
from openkpu.compiler.program import HostStep, KpuStep, Program, Value
from openkpu.golden.fast import compute
from openkpu.golden.layers import make_descriptor
from openkpu.golden.parameters import Parameters
from openkpu.hw.fields import POOLS

# Evaluation ---------------------------------------------------------------------------------------


def evaluate(program: Program, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every value that a step reads or writes, and the outputs, by name. Parts share the memory of their map."""
    memory: dict[str, np.ndarray] = {}

    def view(name: str) -> np.ndarray:
        root, low, high = program.interval(name)
        if root not in memory:
            memory[root] = np.zeros(program[root].shape, program[root].dtype)
        whole = memory[root]
        return whole if program[name].parent is None else whole[:, low:high]

    for name, array in inputs.items():
        view(name)[...] = array
    for name, value in program.values.items():
        if value.data is not None:
            view(name)[...] = value.data
    for step in program.steps:
        arrays = [view(n).copy() for n in step.inputs]
        if isinstance(step, KpuStep):
            result = kpu(step, arrays[0])
        else:
            with np.errstate(all="ignore"):
                result = HOST[step.op](step, [program[n] for n in step.inputs], program[step.output], *arrays)
        out = view(step.outputs[0])
        out[...] = np.asarray(result).astype(out.dtype).reshape(out.shape)
    return {name: view(name) for step in program.steps for name in (*step.inputs, *step.outputs, *program.outputs)}


def kpu(step: KpuStep, x: np.ndarray) -> np.ndarray:
    """The map a layer makes (spec/kpu-hardware.md 5 to 8)."""
    d = make_descriptor(x.shape[1:], step.weights.shape[0], kernel_type=int(step.kernel == 3),
                        depth_wise_layer=int(step.depthwise), pool_type=step.pool, pad_value=step.pad_value,
                        arg_x=step.arg_x, shr_x=step.shr_x, arg_w=step.arg_w, shr_w=step.shr_w, arg_add=step.arg_add)
    parameters = Parameters(step.weights.astype(np.int64), step.bn_mul, step.bn_add, step.bn_shift, step.starts,
                            step.y_mul, step.shift, step.bias)
    return compute(d, x[0], parameters)[None]


def channels(values: np.ndarray, rank: int) -> np.ndarray:
    values = np.asarray(values)
    return values if values.size == 1 else values.reshape(1, -1, *(1,) * (rank - 2))


def quantize(step, _, out, x):
    scaled = x * np.float32(1 / np.float64(out.scale[0])) + np.float32(out.zero[0])
    return np.clip(np.rint(scaled), 0, 255)


def dequantize(step, inputs, _, x):
    zero, scale = channels(inputs[0].zero, x.ndim), channels(inputs[0].scale, x.ndim)
    return (x.astype(np.float32) - zero.astype(np.float32)) * scale.astype(np.float32)


def reduce(step, _, out, x):
    axes = tuple(step.attributes["axes"])
    return {"mean": np.mean, "min": np.min, "max": np.max, "sum": np.sum}[step.attributes["kind"]](x, axis=axes)


def windows(x, step, fill):
    a = step.attributes
    (kh, kw), (sh, sw), (dh, dw) = a["kernel"], a["stride"], a["dilation"]
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *a["pads"]], constant_values=fill)
    oh, ow = ((n - (k - 1) * d - 1) // s + 1 for n, k, d, s in
              zip(padded.shape[2:], (kh, kw), (dh, dw), (sh, sw), strict=True))
    return np.stack([padded[:, :, y * dh: y * dh + oh * sh: sh, x_ * dw: x_ * dw + ow * sw: sw][:, :, :oh, :ow]
                     for y in range(kh) for x_ in range(kw)], -1)


def pool(step, _, out, x):
    if step.attributes["kind"] == "max":
        return windows(x, step, -np.inf).max(-1)
    inside = np.isfinite(windows(x, step, np.inf))
    return windows(x, step, 0).sum(-1) / inside.sum(-1)


def conv2d(step, _, out, x, weights, bias):
    groups = step.attributes["groups"]
    o, part, kh, kw = weights.shape
    named = replace(step, attributes={**step.attributes, "kernel": (kh, kw)})
    w = windows(x, named, 0)
    n, c, oh, ow, _ = w.shape
    w = w.reshape(n, groups, part, oh, ow, kh * kw)
    kernel = weights.reshape(groups, o // groups, part, kh * kw).astype(np.float64)
    return np.einsum("ngchwk,gock->ngohw", w, kernel).reshape(n, o, oh, ow) + bias.reshape(1, -1, 1, 1)


def conv2d_transpose(step, _, out, x, weights, bias):
    a = step.attributes
    groups, (sh, sw), (dh, dw) = a["groups"], a["stride"], a["dilation"]
    i, o, kh, kw = weights.shape
    (top, _), (left, _) = a["pads"]
    result = np.zeros((1, o * groups, out.shape[2] + 64, out.shape[3] + 64))
    for c in range(i):
        for k in range(o):
            for y in range(x.shape[2]):
                for z in range(x.shape[3]):
                    for ky in range(kh):
                        for kx in range(kw):
                            oy, ox = y * sh - top + ky * dh, z * sw - left + kx * dw
                            if oy >= 0 and ox >= 0:
                                result[0, c // (i // groups) * o + k, oy, ox] += x[0, c, y, z] * weights[c, k, ky, kx]
    return result[:, :, : out.shape[2], : out.shape[3]] + bias.reshape(1, -1, 1, 1)


def resize(step, _, out, x):
    """Position by position, as ONNX defines it."""
    mode, align, half = (step.attributes[n] for n in ("mode", "align_corners", "half_pixel"))
    result = x.astype(np.float64)
    for axis in (2, 3):
        n, m = x.shape[axis], out.shape[axis]
        i = np.arange(m)
        at = i * (n - 1) / max(m - 1, 1) if align else (i + 0.5) * n / m - 0.5 if half else i * n / m
        if mode == "nearest":
            index = np.floor(at + 0.5) if align else np.floor((i + 0.5) * n / m) if half else np.floor(i * (n / m))
            result = np.take(result, np.clip(index, 0, n - 1).astype(int), axis)
        else:
            at = np.clip(at, 0, n - 1)
            low = np.floor(at).astype(int)
            share = (at - low).reshape([-1 if d == axis else 1 for d in range(4)])
            result = (np.take(result, low, axis) * (1 - share)
                      + np.take(result, np.minimum(low + 1, n - 1), axis) * share)
    return np.rint(result) if out.dtype == "u1" else result


def softmax(step, _, out, x):
    e = np.exp(x - x.max(step.attributes["axis"], keepdims=True))
    return e / e.sum(step.attributes["axis"], keepdims=True)


def matmul(step, _, out, a, b, bias=0):
    return a.astype(np.float64) @ b.astype(np.float64) + bias


UNARY = {"abs": np.abs, "ceil": np.ceil, "cos": np.cos, "exp": np.exp, "floor": np.floor, "log": np.log,
         "neg": np.negative, "rsqrt": lambda x: 1 / np.sqrt(x), "sin": np.sin, "square": np.square, "sqrt": np.sqrt,
         "tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x.astype(np.float64)))}
BINARY = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "min": np.minimum,
          "max": np.maximum}


def pads(step, _, out, x):
    found = step.attributes["pads"]
    x = x[tuple(slice(max(-b, 0), n - max(-a, 0)) for n, (b, a) in zip(x.shape, found, strict=True))]
    return np.pad(x, [(max(b, 0), max(a, 0)) for b, a in found], constant_values=step.attributes["value"])


HOST: dict[str, Callable] = {
    "quantize": quantize, "dequantize": dequantize, "reduce": reduce, "pool": pool, "conv2d": conv2d,
    "conv2d_transpose": conv2d_transpose, "resize": resize, "softmax": softmax, "matmul": matmul, "pad": pads,
    "lookup": lambda s, i, o, x: np.asarray(s.attributes["table"], "u1")[x],
    "reshape": lambda s, i, o, x: x,
    "transpose": lambda s, i, o, x: x.transpose(s.attributes["perm"]),
    "concat": lambda s, i, o, *x: np.concatenate(x, s.attributes["axis"]),
    "slice": lambda s, i, o, x: x[tuple(map(slice, *(s.attributes[n] for n in ("begin", "end", "step"))))],
    "unary": lambda s, i, o, x: UNARY[s.attributes["kind"]](x),
    "binary": lambda s, i, o, a, b: BINARY[s.attributes["kind"]](a, b),
    "clamp": lambda s, i, o, x: np.clip(x, s.attributes["low"], s.attributes["high"]),
}

# Random programs ----------------------------------------------------------------------------------


class Random:
    """Builds a program by decisions of ``integer(low, high)``: a hypothesis draw or a generator's."""

    def __init__(self, integer: Callable[[int, int], int], *, host: bool = True, bits: int = 8,
                 operators: tuple[str, ...] = (), size: int = 40):
        self.integer = integer
        self.bits = bits
        self.size = size
        self.rng = np.random.default_rng(integer(0, 1 << 30))
        self.values: dict[str, Value] = {}
        self.steps: list = []
        self.operators = operators
        self.host = host

    def pick(self, items):
        items = list(items)
        return items[self.integer(0, len(items) - 1)]

    def value(self, shape, dtype="u1", **fields) -> Value:
        name = f"v{len(self.values)}"
        if dtype == "u1" and "scale" not in fields:
            n = self.pick([1, shape[1]]) if len(shape) > 1 else 1
            fields |= {"scale": self.rng.uniform(0.01, 0.1, n).astype("f4"), "zero": self.rng.integers(0, 200, n)}
        self.values[name] = Value(name, tuple(int(n) for n in shape), dtype, **fields)
        return self.values[name]

    def constant(self, data: np.ndarray) -> Value:
        return self.value(data.shape, data.dtype.str[1:], data=data)

    def add(self, op: str, inputs: list[Value], shape, dtype="f4", **attributes) -> Value:
        one = {} if dtype == "f4" else {"scale": self.rng.uniform(0.01, 0.1, 1).astype("f4"),
                                        "zero": self.rng.integers(0, 200, 1)}
        out = self.value(shape, dtype, **one)
        self.steps.append(HostStep(f"{op} {len(self.steps)}", op, tuple(v.name for v in inputs), (out.name,),
                                   attributes))
        return out

    def conv(self, x: Value, channels: int | None = None) -> Value:
        """A KPU layer with parameters that use the range of codes."""
        _, ic, h, w = x.shape
        depthwise = channels is None and not self.integer(0, 3)
        k = 3 if depthwise else self.pick([1, 3])
        oc = channels or (ic if depthwise else self.integer(1, 12))
        types = [0, 0, 0, 8, 9] + ([1, 2, 5, 6] if min(h, w) >= 8 else []) + ([3, 4, 7] if min(h, w) >= 16 else [])
        pool_type = 0 if depthwise or channels else self.pick(types)
        stride = POOLS[pool_type][1]
        top = 1 << self.bits
        weights = self.rng.integers(0, top, (oc, 1 if depthwise else ic, k, k)).astype(f"u{self.bits // 8}")
        zx, zw = (int(self.rng.integers(0, n)) for n in (200, min(top, 4000)))
        spread = 60 * np.sqrt(weights[0].size) * 70 * (top / 256)
        knots = np.sort(self.rng.integers(-20000, 20000, 15))
        out = self.value((1, oc, h // stride, w // stride))
        self.steps.append(KpuStep(
            f"layer {len(self.steps)}", x.name, out.name, weights, pad_value=zx if k == 3 else 0, pool=pool_type,
            depthwise=depthwise, arg_x=-zw, arg_w=-zx, arg_add=k * k * zx * zw,
            bn_mul=self.rng.integers(1, max(2, int(32768 * 20000 / spread)), oc), bn_shift=np.full(oc, 15),
            bn_add=self.rng.integers(-3000, 3000, oc), starts=np.r_[-(1 << 35), knots],
            y_mul=np.r_[0, self.rng.integers(-20000, 20000, 15)], shift=np.r_[0, self.rng.integers(18, 24, 15)],
            bias=self.rng.integers(0, 256, 16)))
        return out

    def maps(self) -> list[Value]:
        return [v for v in self.values.values() if v.dtype == "u1" and v.data is None and len(v.shape) == 4
                and v.shape[0] == 1]

    def grown(self, v: Value, parent: Value, channel: int) -> None:
        self.values[v.name] = replace(v, parent=parent.name, channel=channel)

    def place(self) -> Value | None:
        """Two free maps of a size become parts of one."""
        wholes = {v.parent for v in self.values.values()}
        free = [v for v in self.maps() if v.parent is None and v.name not in wholes]
        pairs = [(a, b) for a in free for b in free if a is not b and a.shape[2:] == b.shape[2:]
                 and a.shape[1] % channel_group(a.shape[3]) == 0]
        if not pairs:
            return None
        a, b = self.pick(pairs)
        whole = self.value((1, a.shape[1] + b.shape[1], *a.shape[2:]))
        self.grown(a, whole, 0)
        self.grown(b, whole, a.shape[1])
        return whole

    def part(self) -> Value | None:
        """Some channels of a map."""
        whole = self.pick(self.maps())
        group = channel_group(whole.shape[3])
        if whole.shape[1] <= group:
            return None
        channel = self.integer(0, (whole.shape[1] - 1) // group) * group
        return self.value((1, self.integer(1, whole.shape[1] - channel), *whole.shape[2:]), parent=whole.name,
                          channel=channel)

    def host_step(self) -> Value:
        x = self.pick([v for v in self.values.values() if v.data is None])
        op = self.pick(self.operators or HOST)
        return getattr(self, f"make_{op}")(x)

    def floats(self, x: Value) -> Value:
        return x if x.dtype == "f4" else self.add("dequantize", [x], x.shape)

    def codes(self, x: Value) -> Value:
        return x if x.dtype == "u1" else self.add("quantize", [x], x.shape, "u1")

    def map4(self, x: Value) -> Value:
        return x if len(x.shape) == 4 else self.pick([v for v in self.values.values()
                                                      if len(v.shape) == 4 and v.data is None])

    def make_quantize(self, x):
        return self.add("quantize", [self.floats(x)], x.shape, "u1")

    def make_dequantize(self, x):
        x = self.codes(x)
        return self.add("dequantize", [x], x.shape)

    def make_lookup(self, x):
        return self.add("lookup", [self.codes(x)], x.shape, "u1", table=self.rng.integers(0, 256, 256, np.uint8))

    def make_reshape(self, x):
        n, *rest = x.shape
        shape = self.pick([(x.count,), (n, int(np.prod(rest))), (*x.shape, 1), (1, *x.shape),
                           (1, 1, x.shape[0], x.count // x.shape[0])])
        return self.add("reshape", [x], shape, x.dtype)

    def make_transpose(self, x):
        perm = tuple(int(p) for p in self.rng.permutation(len(x.shape)))
        return self.add("transpose", [x], [x.shape[p] for p in perm], x.dtype, perm=perm)

    def make_concat(self, x):
        axis = self.integer(0, len(x.shape) - 1)
        same = [v for v in self.values.values() if v.dtype == x.dtype and len(v.shape) == len(x.shape)
                and v.data is None and v.shape[:axis] + v.shape[axis + 1:] == x.shape[:axis] + x.shape[axis + 1:]]
        parts = [x, *(self.pick(same) for _ in range(self.integer(1, 2)))]
        shape = list(x.shape)
        shape[axis] = sum(p.shape[axis] for p in parts)
        return self.add("concat", parts, shape, x.dtype, axis=axis)

    def make_slice(self, x):
        begin = [self.integer(0, n - 1) if self.integer(0, 1) else 0 for n in x.shape]
        end = [self.integer(b + 1, n) if self.integer(0, 1) else n for b, n in zip(begin, x.shape, strict=True)]
        step = [self.pick([1, 1, 1, 2]) for _ in x.shape]
        shape = [len(range(*t)) for t in zip(begin, end, step, strict=True)]
        return self.add("slice", [x], shape, x.dtype, begin=tuple(begin), end=tuple(end), step=tuple(step))

    def make_pad(self, x):
        found = [(self.integer(-(n > 2), 2), self.integer(0, 2)) if self.integer(0, 1) else (0, 0) for n in x.shape]
        return self.add("pad", [x], [n + sum(p) for n, p in zip(x.shape, found, strict=True)], x.dtype,
                        pads=tuple(found), value=self.integer(0, 9))

    def make_resize(self, x):
        x = self.map4(x)
        mode = self.pick(["nearest", "bilinear"])
        flags = self.pick([(False, False), (True, False), (False, True)])
        size = [self.integer(1, 2 * n) for n in x.shape[2:]] if self.integer(0, 1) else [2 * n for n in x.shape[2:]]
        x = x if mode == "nearest" else self.floats(x)
        return self.add("resize", [x], (*x.shape[:2], *size), x.dtype, mode=mode, align_corners=flags[0],
                        half_pixel=flags[1])

    def make_unary(self, x):
        kind = self.pick(UNARY)
        # Codes are far from whole numbers, where these two jump.
        x = self.add("dequantize", [self.codes(x)], x.shape) if kind in ("floor", "ceil") else self.make_sigmoid(x)
        return self.add("unary", [x], x.shape, kind=kind)

    def make_sigmoid(self, x):
        """Bounded and positive, so that later operators stay away from infinities."""
        x = self.floats(x)
        return self.add("unary", [x], x.shape, kind="sigmoid")

    def make_binary(self, x):
        x = self.floats(x)
        kind = self.pick(BINARY)
        shape = [n if self.integer(0, 1) else 1 for n in x.shape]
        other = self.constant(self.rng.uniform(0.5, 2, shape).astype("f4"))
        return self.add("binary", self.pick([[x, other], [other, x]]) if kind != "div" else [x, other], x.shape,
                        kind=kind)

    def make_clamp(self, x):
        x = self.floats(x)
        return self.add("clamp", [x], x.shape, low=-1.0, high=self.pick([0.5, 6.0, float("inf")]))

    def make_softmax(self, x):
        x = self.floats(x)
        return self.add("softmax", [x], x.shape, axis=self.integer(0, len(x.shape) - 1))

    def make_reduce(self, x):
        x = self.floats(x)
        axes = [d for d in range(len(x.shape)) if self.integer(0, 1)] or [0]
        keep = self.integer(0, 1)
        shape = [1 if d in axes else n for d, n in enumerate(x.shape) if keep or d not in axes] or [1]
        return self.add("reduce", [x], shape, kind=self.pick(["mean", "min", "max", "sum"]), axes=tuple(axes))

    def make_matmul(self, x):
        x = self.floats(x)
        n = self.integer(1, 9)
        b = self.constant(self.rng.normal(size=(x.shape[-1], n)).astype("f4"))
        bias = [self.constant(self.rng.normal(size=n).astype("f4"))] if self.integer(0, 1) else []
        return self.add("matmul", [x, b, *bias], (*x.shape[:-1], n))

    def window(self, x: Value, kernel) -> tuple[list[int], dict]:
        stride = (self.integer(1, 2), self.integer(1, 2))
        dilation = (1, 1)
        before = [(self.integer(0, k // 2), self.integer(0, k // 2)) for k in kernel]
        size = [(n + sum(p) - k) // s + 1 for n, p, k, s in zip(x.shape[2:], before, kernel, stride, strict=True)]
        return size, {"stride": stride, "dilation": dilation, "pads": tuple(before)}

    def kernel(self, x: Value) -> tuple[int, int]:
        return tuple(self.integer(1, min(3, n)) for n in x.shape[2:])  # type: ignore[return-value]

    def make_pool(self, x):
        x = self.map4(x)
        kernel = self.kernel(x)
        kind = self.pick(["max", "mean"])
        x = self.floats(x) if kind == "mean" else x
        size, attributes = self.window(x, kernel)
        return self.add("pool", [x], (*x.shape[:2], *size), x.dtype, kind=kind, kernel=kernel, **attributes)

    def make_conv2d(self, x):
        x = self.floats(self.map4(x))
        ic = x.shape[1]
        groups = self.pick([g for g in range(1, ic + 1) if ic % g == 0])
        kernel, oc = self.kernel(x), groups * self.integer(1, 3)
        size, attributes = self.window(x, kernel)
        weights = self.constant(self.rng.normal(size=(oc, ic // groups, *kernel)).astype("f4"))
        bias = self.constant(self.rng.normal(size=oc).astype("f4"))
        return self.add("conv2d", [x, weights, bias], (x.shape[0], oc, *size), groups=groups, **attributes)

    def make_conv2d_transpose(self, x):
        x = self.floats(self.map4(x))
        if x.shape[0] > 1 or x.count > 600:
            return self.make_conv2d(x)
        ic = x.shape[1]
        groups = self.pick([1, ic])
        stride, kernel, out = self.integer(1, 2), self.kernel(x), self.integer(1, 2)
        weights = self.constant(self.rng.normal(size=(ic, out, *kernel)).astype("f4"))
        bias = self.constant(self.rng.normal(size=out * groups).astype("f4"))
        size = [(n - 1) * stride + k for n, k in zip(x.shape[2:], kernel, strict=True)]
        return self.add("conv2d_transpose", [x, weights, bias], (1, out * groups, *size), groups=groups,
                        stride=(stride, stride), dilation=(1, 1), pads=((0, 0), (0, 0)))

    def program(self, steps: int) -> Program:
        side = self.pick([5, 8, 13, 16, 17, 24, 33, 40])
        first = self.value((1, self.integer(1, 6), self.integer(4, min(side, self.size)), min(side, self.size)))
        made = [first, self.conv(first)]
        for _ in range(steps):
            action = self.integer(0, 9)
            if action < 4 or not self.host:
                found = self.pick([self.place, self.part, lambda: None])() or self.pick(self.maps())
                if min(found.shape[2:]) >= 1 and found.count < 20000:
                    made.append(self.conv(self.values[found.name]))
            elif action < 9:
                found = self.host_step()
                made.append(found)
                if found.count > 30000:
                    break
        outputs = {made[-1].name} | {self.pick(made[1:]).name for _ in range(self.integer(0, 2))}
        for name in list(outputs):
            v = self.values[name]
            if not self.host and v.dtype == "u1":
                continue
        return Program(self.values, tuple(self.steps), (first.name,), tuple(sorted(outputs)))
