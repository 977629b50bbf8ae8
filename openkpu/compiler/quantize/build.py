# SPDX-License-Identifier: Apache-2.0
"""Layer by layer from floats to the integer program; what is already integer tells what the next layer will see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import CompileError
from ..mapping import evaluate
from ..mapping.network import HostOp, KpuLayer, Network
from ..program import HostStep, KpuStep, Program, Value
from . import integer, ranges, segments
from .calibrate import LayerStatistics, Statistics
from .classes import classes, cluster
from .ranges import Codes
from .scales import Sharing, keeps_codes, share
from .weights import Fit, fitted

SLOPES = 5
"""Different slopes of a PReLU that one activation table holds: three segments each."""
MUL_LIMIT = 1 << 21
"""Batch-norm multipliers stay below, as every compiler's do."""


@dataclass
class Settings:
    """What can be chosen."""

    weight_bits: int = 8
    fit: Fit = field(default_factory=Fit)
    input_codes: dict[str, Codes] = field(default_factory=dict)
    float_inputs: bool = False


@dataclass
class LayerError:
    """SQNR of a step's result in dB: with exact inputs (``alone``) and as it comes (``total``)."""

    alone: float
    total: float


class Quantizer:
    """Makes the program and runs the calibration pictures through it as it grows."""

    def __init__(self, net: Network, stats: Statistics, settings: Settings):
        self.net, self.stats, self.settings = net, stats, settings
        self.sharing: Sharing = share(net)
        self.worth = self.importance()
        self.codes = ranges.choose(net, stats, self.sharing, settings.input_codes, self.worth)
        self.values: dict[str, Value] = {}
        self.steps: list[KpuStep | HostStep] = []
        self.held: dict[str, list[np.ndarray]] = {}
        self.outputs: list[str] = []
        self.inputs: dict[str, str] = {}
        self.errors: dict[str, LayerError] = {}
        self.results: list[list[np.ndarray]] = []
        self.parts: dict[str, list[str]] = {}

    def importance(self) -> dict[str, np.ndarray]:
        """Per channel of a map, how much its error weighs in what is made of it."""
        found: dict[str, np.ndarray] = {}
        for step in self.net.kpu():
            at = 0
            for part in step.inputs:
                w = step.weights if step.depthwise else step.weights[:, at: at + part.count]
                energy = (w**2).sum(axis=(1, 2, 3)) if step.depthwise else (w**2).sum(axis=(0, 2, 3))
                whole = found.setdefault(part.map, np.zeros(self.net.shapes[part.map][1]))
                whole[part.begin: part.begin + part.count] += energy
                at += part.count
        return {m: w if w.any() else np.ones_like(w) for m, w in found.items()}

    def run(self, pictures: Sequence[Sequence[np.ndarray]], progress: Callable[[], None] = lambda: None) -> Program:
        """``pictures``: uint8 codes (or float32) per input."""
        net = self.net
        for i, name in enumerate(net.inputs):
            self.add_input(name, [p[i] for p in pictures])
        for name, array in net.constants.items():
            self.value(name, array.shape, "f4", data=array)
            self.held[name] = [array] * len(pictures)
        last = {name: i for i, step in enumerate(net.steps) for name in
                ([p.map for p in step.inputs] if isinstance(step, KpuLayer) else step.inputs)}
        for i, step in enumerate(net.steps):
            if isinstance(step, KpuLayer):
                self.kpu(step)
            else:
                self.host(step)
            for name in [n for n in self.held if last.get(n) == i and n not in net.outputs]:
                del self.held[name]
            progress()
        for name in net.outputs:
            self.outputs.append(self.as_floats(name))
        self.results = [[self.held[n][i] for n in self.outputs] for i in range(len(pictures))]
        program = Program(self.values, tuple(self.steps), tuple(self.inputs.get(n, n) for n in net.inputs),
                          tuple(self.outputs))
        from .place import place
        return place(program, self.parts)

    # values


    def value(self, name: str, shape: tuple[int, ...], dtype: str = "u1", codes: Codes | None = None,
              data: np.ndarray | None = None) -> str:
        scale = None if codes is None else (codes.scale[:1] if codes.uniform else codes.scale).astype(np.float32)
        zero = None if codes is None else np.array([codes.zero], np.int64)
        self.values[name] = Value(name, tuple(shape), dtype, scale, zero, data)
        return name

    def fresh(self, stem: str) -> str:
        name, i = stem, 1
        while name in self.values or name in self.net.shapes:
            name, i = f"{stem}.{i}", i + 1
        return name

    def add_input(self, name: str, arrays: list[np.ndarray]) -> None:
        shape = self.net.shapes[name]
        if name in self.net.maps and not self.settings.float_inputs:
            self.value(name, shape, codes=self.codes[name])
            self.held[name] = arrays
            return
        if name not in self.net.maps:
            self.value(name, shape, "f4")
            self.held[name] = arrays
            return
        codes = self.codes[name]
        outer = f"{name}.floats"
        self.value(outer, shape, "f4")
        self.value(name, shape, codes=codes)
        self.emit(name, "quantize", [outer], name, {})
        self.held[name] = [_codes(a, codes) for a in arrays]
        self.inputs[name] = outer

    def dequantized(self, name: str, codes: Codes) -> list[np.ndarray]:
        scale = codes.scale.astype(np.float32).reshape(1, -1, 1, 1)
        return [(a.astype(np.float32) - codes.zero) * scale for a in self.held[name]]

    # KPU layers

    def kpu(self, step: KpuLayer) -> None:
        codes = [self.codes[p.map] for p in step.inputs]
        zeros = [c.zero for c in codes]
        common = len(set(zeros)) == 1
        scale = np.concatenate([c.scale[p.begin: p.begin + p.count] for c, p in zip(codes, step.inputs, strict=True)])
        zero = np.concatenate([np.full(p.count, c.zero) for c, p in zip(codes, step.inputs, strict=True)])
        x = [np.concatenate([self.held[p.map][i][:, p.begin: p.begin + p.count] for p in step.inputs], axis=1)
             for i in range(len(self.held[step.inputs[0].map]))]
        made = self.moving(step, zeros[0]) if step.exact else \
            self.computing(step, x, scale, zero, zeros[0] if common else 0)
        self.value(step.output, self.net.shapes[step.output], codes=self.codes[step.output])
        self.steps.append(made)
        self.held[step.output] = [integer.layer(made, a) for a in x]
        if not step.exact:
            self.note_errors(step, made)

    def note_errors(self, step: KpuLayer, made: KpuStep) -> None:
        """What the layer loses, by itself and with all before it."""
        out, stats = self.codes[step.output], self.stats.layers[step.output]
        column = out.scale[:, None]
        wanted = np.concatenate(stats.samples, axis=1)
        stride = stats.stride
        got = np.concatenate([a.reshape(a.shape[1], -1)[:, ::stride] for a in self.held[step.output]], axis=1)
        total = _sqnr(wanted, (got.astype(np.float64) - out.zero) * column)
        target = np.concatenate(stats.targets, axis=1)
        target = target[:, :: max(1, target.shape[1] // 2000)]
        v = np.rint(self.sums_alone / self.unit[:, None]).astype(np.int64) + self.middle[:, None]
        codes = segments.Table(made.starts, made.y_mul, made.shift, made.bias)(v)
        exact = evaluate.activate(step, target[None, :, :, None])[0, :, :, 0]
        alone = _sqnr(exact, (codes.astype(np.float64) - out.zero) * column)
        self.errors[step.output] = LayerError(alone, total)

    def moving(self, step: KpuLayer, zero: int) -> KpuStep:
        """A layer that copies codes."""
        top = 127 if self.settings.weight_bits == 8 else 32767
        weights = np.where(step.weights > 0, 1, 0)
        bits = 16
        table = segments.lines(1, 1, zero, bits)
        count = len(weights)
        return self.step(step, weights, zero, np.full(count, 1 << bits + 4, np.int64), np.full(count, 4),
                         np.zeros(count, np.int64), table, 0 if step.low_outside else zero, top)

    def computing(self, step: KpuLayer, x: list[np.ndarray], scale: np.ndarray, zero: np.ndarray,
                  common: int) -> KpuStep:
        """A layer with weights of its own."""
        bits = self.settings.weight_bits
        top = (1 << bits - 1) - 1
        out = self.codes[step.output]
        stats = self.stats.layers[step.output]
        count, per, k, _ = step.weights.shape
        real = step.weights * (scale[:, None, None, None] if step.depthwise else scale[None, :, None, None])
        w = real.reshape(count, -1)
        target = np.concatenate(stats.targets, axis=1)
        inputs = np.concatenate([_patches(a, zero, k, stats.pixels) for a in x], axis=2)  # (C, k*k, pixels)
        whole, size, bias = self.whole_weights(step, w, inputs, target, top)
        few = slice(None, None, max(1, inputs.shape[2] // 2000))
        self.sums_alone = target[:, few] + _change(step, whole * size[:, None] - w, inputs[:, :, few])
        # The zero points that the layer's one common zero does not take out go to the bias.
        rest = (zero - common).astype(np.float64)
        if rest.any():
            per_input = whole.reshape(count, per, -1).sum(axis=2)
            bias = bias - size * (per_input @ rest)
        table, unit, middle = self.table(step, out, stats)
        self.unit, self.middle = unit, middle
        factor = size / unit
        shift = np.clip(np.floor(np.log2(MUL_LIMIT / np.maximum(np.abs(factor), 1e-30))), 0, 15).astype(np.int64)
        mul = np.rint(factor * 2.0**shift).astype(np.int64)
        if (np.abs(mul) >= 1 << 23).any():
            raise CompileError(f"node '{step.origin}' multiplies by more than the batch norm's 24 bits hold; scale its "
                               "weights down")
        add = np.rint(bias / unit).astype(np.int64) + middle
        if (np.abs(add) >= 1 << 31).any():
            raise CompileError(f"node '{step.origin}' has a bias that is too large for its range; train it again")
        return self.step(step, whole.reshape(step.weights.shape), common, mul, shift, add, table, common, top)

    def whole_weights(self, step: KpuLayer, w: np.ndarray, inputs: np.ndarray, target: np.ndarray,
                      top: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(whole weights, their step per row, bias)."""
        fit = self.settings.fit
        if step.depthwise:
            whole, size, bias = fitted(w[:, None], inputs, target[:, None], step.bias[:, None], top, fit)
            return whole[:, 0], size[:, 0], bias[:, 0]
        inputs = inputs.reshape(1, -1, inputs.shape[2])
        whole, size, bias = fitted(w[None], inputs, target[None], step.bias[None], top, fit)
        return whole[0], size[0], bias[0]

    def table(self, step: KpuLayer, out: Codes,
              stats: LayerStatistics) -> tuple[segments.Table, np.ndarray, np.ndarray]:
        """(activation table, real value of one v per channel, v of zero per channel)."""
        middle = np.zeros(len(step.weights), np.int64)
        if step.slopes is not None:
            return self.slopes(*step.slopes, out)
        f = step.function
        if not f.steps or ranges.homogeneous(step):
            left, right = 1.0, 1.0
            if f.steps and f.slopes is not None:
                left, right = f.slopes
            elif f.steps:
                clamped = f.clamped
                assert clamped is not None, "a homogeneous function has two slopes or is clamped"
                left, right = 0.0, clamped[0]
            return segments.lines(left, right, out.zero, 16), out.scale / 2.0**16, middle
        index = np.unique(out.scale, return_inverse=True)[1]
        parts = classes(stats, index, ranges.margin(len(stats.low)))
        worth = self.worth.get(step.output, np.ones(len(index)))
        curves = [c.curve(f, float(out.scale[c.channels[0]]), out.zero) for c in parts]
        table, middles, _ = segments.combine(
            curves, [float(worth[c.channels].sum() * out.scale[c.channels[0]] ** 2) for c in parts])
        unit = np.empty(len(index))
        for c, m in zip(parts, middles, strict=True):
            unit[c.channels], middle[c.channels] = c.unit, m
        return table, unit, middle

    def slopes(self, left: np.ndarray, right: np.ndarray,
               out: Codes) -> tuple[segments.Table, np.ndarray, np.ndarray]:
        """PReLU: the lines of up to five slopes, each in a region of its own."""
        index = cluster(left, SLOPES)
        count = int(index.max()) + 1
        bits = 12
        rows: list[tuple[int, float, int]] = []
        middles = segments.middles(count)
        for k, m in enumerate(middles):
            part = segments.line_rows(float(left[index == k].mean()), float(right[0]), out.zero, bits)
            edge = m - segments.REGION // 2 if k else segments.BOTTOM
            rows += [(edge if start == segments.BOTTOM else start + m, slope, bias) for start, slope, bias in part]
        return segments.table(rows), out.scale / 2.0**bits, np.array(middles, np.int64)[index]

    def step(self, layer: KpuLayer, whole: np.ndarray, zero: int, mul: np.ndarray, shift: np.ndarray, add: np.ndarray,
             table: segments.Table, pad: int, top: int) -> KpuStep:
        """The integer layer: weights around the middle code, arguments as section 5.1 has them."""
        middle = top + 1
        k = layer.kernel
        name = self.joined(layer)
        return KpuStep(layer.name, name, layer.output,
                       (whole + middle).astype(np.uint8 if top == 127 else np.uint16), mul.astype(np.int64),
                       shift.astype(np.int64), add.astype(np.int64), table.starts, table.y_mul, table.shift, table.bias,
                       arg_x=-middle, arg_w=-zero, arg_add=k * k * middle * zero, pad_value=pad if k == 3 else 0,
                       pool=layer.pool, depthwise=layer.depthwise, rows=layer.rows)

    def joined(self, layer: KpuLayer) -> str:
        """The value that a layer reads: a map, channels of one, or maps side by side."""
        if len(layer.inputs) == 1:
            (part,) = layer.inputs
            shape = self.net.shapes[part.map]
            if part.count == shape[1]:
                return part.map
            name = f"{part.map}[{part.begin}:{part.begin + part.count}]"
            if name not in self.values:
                self.values[name] = Value(name, (1, part.count, *shape[2:]), parent=part.map, channel=part.begin)
            return name
        names = [p.map for p in layer.inputs]
        for name, found in self.parts.items():
            if found == names:
                return name
        name = self.fresh("+".join(names) if len(names) < 4 else f"{layer.name}.inputs")
        shape = self.net.shapes[names[0]]
        self.values[name] = Value(name, (1, sum(p.count for p in layer.inputs), *shape[2:]))
        self.parts[name] = names
        return name

    # the host

    def host(self, step: HostOp) -> None:
        shape = self.net.shapes[step.output]
        quantized = all(self.values[n].dtype == "u1" for n in step.inputs)
        if keeps_codes(step) and quantized and (attrs := self.code_attributes(step)) is not None:
            codes = self.codes_of(step)
            self.value(step.output, shape, codes=codes)
            self.emit(step.name, step.op, step.inputs, step.output, attrs)
            inner = HostOp(step.name, step.op, step.inputs, step.output, attrs)
            if codes is not None:
                self.codes[step.output] = codes
            for i in range(len(self.held[step.inputs[0]])):
                made = evaluate.host(inner, {n: self.held[n][i].astype(np.float32) if step.op == "pool" else
                                             self.held[n][i] for n in step.inputs}, shape)
                self.held.setdefault(step.output, []).append(made.astype(np.uint8))
            return
        names = [self.as_floats(n) if self.values[n].dtype == "u1" else n for n in step.inputs]
        on_map = step.output in self.net.maps
        result = self.fresh(f"{step.output}.floats") if on_map else step.output
        self.value(result, shape, "f4")
        self.emit(step.name, step.op, names, result, step.attrs)
        inner = HostOp(step.name, step.op, names, result, step.attrs)
        self.held[result] = [evaluate.host(inner, {n: self.held[n][i] for n in names}, shape)
                             for i in range(len(self.held[names[0]]))]
        if on_map:
            codes = self.codes[step.output]
            self.value(step.output, shape, codes=codes)
            self.emit(step.name, "quantize", [result], step.output, {})
            self.held[step.output] = [_codes(a, codes) for a in self.held[result]]

    def emit(self, name: str, op: str, inputs: Sequence[str], output: str, attrs: dict[str, Any]) -> None:
        self.steps.append(HostStep(name, op, tuple(inputs), (output,), dict(attrs)))

    def codes_of(self, step: HostOp) -> Codes | None:
        """What the codes that a moving operator gives stand for, if that can be said per channel or in general."""
        if step.output in self.net.maps:
            return self.codes[step.output]
        found = [self.codes[n] for n in step.inputs if n in self.codes]
        if len(found) < len(step.inputs):
            return None
        if all(f.uniform and f.scale[0] == found[0].scale[0] and f.zero == found[0].zero for f in found):
            return Codes(found[0].scale[:1], found[0].zero)
        return None

    def code_attributes(self, step: HostOp) -> dict[str, Any] | None:
        """The attributes of the operator on codes; None if it cannot work on them."""
        if step.op != "pad":
            return dict(step.attrs)
        codes = self.codes.get(step.inputs[0])
        if codes is None or step.attrs["value"]:
            return None
        return {**step.attrs, "value": codes.zero}

    def as_floats(self, name: str) -> str:
        """The value in floats, dequantized where it is codes."""
        if self.values[name].dtype == "f4":
            return name
        result = f"{name}.real"
        if result in self.values:
            return result
        shape = self.values[name].shape
        scales, zeros, axis = self.table_of(name)
        self.value(result, shape, "f4")
        spread = [-1 if i == axis else 1 for i in range(len(shape))]
        self.held[result] = [((a.astype(np.float32) - zeros.reshape(spread).astype(np.float32))
                              * scales.astype(np.float32).reshape(spread)).astype(np.float32) for a in self.held[name]]
        old = self.values[name]
        if len(scales) == 1 or axis == 1:
            self.values[name] = Value(old.name, old.shape, old.dtype, scales.astype(np.float32), zeros.astype(np.int64),
                                      old.data, old.parent, old.channel)
            self.emit(f"{name}.real", "dequantize", [name], result, {})
            return result
        # Scales along the last axis: whole codes first, then a product.
        middle = self.fresh(f"{name}.codes")
        self.values[name] = Value(old.name, old.shape, old.dtype, np.ones(1, np.float32), zeros[:1].astype(np.int64),
                                  old.data, old.parent, old.channel)
        self.value(middle, shape, "f4")
        factors = self.fresh(f"{name}.scales")
        self.value(factors, scales.reshape(spread).shape, "f4", data=scales.astype(np.float32).reshape(spread))
        self.emit(f"{name}.real", "dequantize", [name], middle, {})
        self.emit(f"{name}.real", "binary", [middle, factors], result, {"kind": "mul"})
        return result

    def table_of(self, name: str) -> tuple[np.ndarray, np.ndarray, int]:
        """(scales, zeros, axis) of codes on the host; one element each if they are the same everywhere."""
        if name in self.net.maps:
            c = self.codes[name]
            return (c.scale[:1] if c.uniform else c.scale), np.array([c.zero]), 1
        axis = self.sharing.axis[name]
        ids = self.ids(name)
        rows = np.moveaxis(ids, axis, 0).reshape(ids.shape[axis], -1)
        pick = rows.max(axis=1)
        scale_of, zero_of = self.by_channel()
        scales, zeros = scale_of[pick], zero_of[pick]
        if (scales == scales[0]).all() and (zeros == zeros[0]).all():
            return scales[:1], zeros[:1], axis
        if (zeros == zeros[0]).all():
            return scales, zeros[:1], axis
        assert axis == 1, "zero points differ along an axis that has one"
        return scales, zeros, axis

    def ids(self, name: str) -> np.ndarray:
        """The number of the channel that every element comes from."""
        if name in self.net.maps:
            shape = self.net.shapes[name]
            return np.broadcast_to((self.sharing.first[name] + np.arange(shape[1]))[None, :, None, None], shape)
        step = next(s for s in self.net.host() if s.output == name)
        attrs = {**step.attrs, "value": -1} if step.op == "pad" else step.attrs
        values = {n: self.ids(n) for n in step.inputs}
        if step.op == "pool":
            return np.broadcast_to(values[step.inputs[0]][:, :, :1, :1], self.net.shapes[name])
        return evaluate.host(HostOp(step.name, step.op, step.inputs, name, attrs), values, self.net.shapes[name])

    def by_channel(self) -> tuple[np.ndarray, np.ndarray]:
        total = sum(self.net.shapes[m][1] for m in self.net.maps)
        scales, zeros = np.ones(total), np.zeros(total, np.int64)
        for name in self.net.maps:
            at = self.sharing.first[name]
            count = self.net.shapes[name][1]
            scales[at: at + count], zeros[at: at + count] = self.codes[name].scale, self.codes[name].zero
        return scales, zeros


def _change(step: KpuLayer, change: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """What a change of the weights (O, K) does to the sums of some inputs (C, k*k, pixels)."""
    if step.depthwise:
        return np.einsum("ck,ckp->cp", change, inputs)
    return change @ inputs.reshape(-1, inputs.shape[2])


def _sqnr(wanted: np.ndarray, got: np.ndarray) -> float:
    noise = float(((wanted - got) ** 2).sum())
    power = float((wanted.astype(np.float64) ** 2).sum())
    return float("inf") if noise == 0 else 10 * float(np.log10(max(power, 1e-30) / noise))


def _codes(x: np.ndarray, codes: Codes) -> np.ndarray:
    return np.clip(np.rint(x / np.float32(codes.scale[0])) + codes.zero, 0, 255).astype(np.uint8)


def _patches(x: np.ndarray, zero: np.ndarray, k: int, pixels: np.ndarray) -> np.ndarray:
    """(C, k*k, pixels) float32 inputs of the windows around some pixels, zero points taken out, zeros outside."""
    centred = x[0].astype(np.float32) - zero.astype(np.float32)[:, None, None]
    c, h, w = centred.shape
    if k == 1:
        return centred.reshape(c, 1, -1)[:, :, pixels].copy()
    padded = np.pad(centred, ((0, 0), (1, 1), (1, 1)))
    y, xs = pixels // w, pixels % w
    return np.stack([padded[:, y + ky, xs + kx] for ky in range(3) for kx in range(3)], axis=1)


