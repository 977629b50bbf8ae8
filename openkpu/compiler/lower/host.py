# SPDX-License-Identifier: Apache-2.0
"""Host operators in terms of what the formats have in common: binary operators, copies, products, windows.

A format's subclass supplies the building blocks; what it cannot build it refuses with a sentence.
"""

from __future__ import annotations

import numpy as np

from ...kmodel.v4.ops import Window
from ..draft import Ref
from ..errors import CompileError
from ..program import HostStep, Value
from .base import Lowering

NO_CLAMP = (np.float32(-np.inf), np.float32(np.inf))
LOWEST = np.float32(np.finfo(np.float32).min)


class HostLowering(Lowering):
    """The operators that are the same in v4 and v5."""

    # Building blocks

    def unary(self, x: Ref, out: Ref, kind: str) -> None:
        """out = kind(x), float32; ``kind`` is one of the format."""
        raise NotImplementedError

    def binary(self, a: Ref, b: Ref, out: Ref, kind: str, clamp: tuple = NO_CLAMP) -> None:
        """out = a kind b, float32, broadcasting."""
        raise NotImplementedError

    def transposed(self, x: Ref, perm: tuple[int, ...], out: Ref) -> None:
        """out = x with the dimensions in the order ``perm``."""
        raise NotImplementedError

    def joined(self, parts: list[Ref], out: Ref, axis: int) -> None:
        """Copy the parts side by side along an axis."""
        raise NotImplementedError

    def to_float(self, codes: Ref, out: Ref, scale: float, zero: int) -> None:
        """out = (codes - zero) * scale."""
        raise NotImplementedError

    def to_codes(self, x: Ref, out: Ref, scale: float, zero: int) -> None:
        """out = x / scale + zero, rounded and limited to uint8."""
        raise NotImplementedError

    def product(self, a: Ref, b: Ref, out: Ref, bias: np.ndarray | None = None) -> None:
        """out = a b + bias, matrices; ``bias`` (columns,)."""
        raise NotImplementedError

    def reduced_windows(self, x: Ref, out: Ref, kind: str, shape: Window) -> None:
        """Pool float32 maps; pixels outside do not count."""
        raise NotImplementedError

    def convolved(self, x: Ref, out: Ref, weights: np.ndarray, bias: np.ndarray, groups: int, shape: Window) -> None:
        """Convolve float32 maps with ``weights`` (O, I/groups, KH, KW) and ``bias`` (O,)."""
        raise NotImplementedError

    def affine(self, x: Ref, out: Ref, factors: np.ndarray, summands: np.ndarray) -> None:
        """out = x * factors + summands, one of each per channel (dimension 1): a depthwise 1x1 convolution."""
        shape = (x.shape[0], x.shape[1], 1, x.count // (x.shape[0] * x.shape[1]))
        self.convolved(x.shaped(*shape), out.shaped(*shape), factors.astype("<f4").reshape(-1, 1, 1, 1),
                       summands.astype("<f4"), x.shape[1], Window((0, 0), (0, 0), (1, 1), (1, 1), (1, 1)))

    def number(self, value: float) -> Ref:
        """A constant of one element."""
        return self.draft.constant("number", np.full((1, 1, 1, 1), value, "<f4"))

    def scratch(self, like: Ref, *shape: int) -> Ref:
        """A new float32 tensor of the main memory."""
        return self.draft.new(f"{self.draft.step}/part", "<f4", *(shape or like.shape))

    def move(self, x: Ref, out: Ref) -> None:
        """Make ``out`` the same bytes: in place where possible."""
        if not self.draft.place_inside(out, x) and not self.draft.place_inside(x, out):
            self.copy(x, out)

    def refuse(self, why: str) -> CompileError:
        """The error for what the format cannot do in the current step."""
        return self.refusal(self.draft.step, why)

    def operand(self, step: HostStep, number: int = 0) -> Ref:
        return self.host_ref(step.inputs[number])

    def result(self, step: HostStep) -> Ref:
        return self.host_ref(step.output)

    # Host steps

    def quantize(self, step: HostStep) -> None:
        value = self.program[step.output]
        scale, zero = map(np.unique, value.affine)
        if len(scale) != 1 or len(zero) != 1:
            raise self.refuse("quantize with a scale per channel")
        self.to_codes(self.operand(step), self.result(step), float(scale[0]), int(zero[0]))

    def dequantize(self, step: HostStep) -> None:
        """Per channel: the codes as float32, then a factor per channel, or a factor and a summand in one operator."""
        value, x, out = self.program[step.inputs[0]], self.operand(step), self.result(step)
        if value.scale is None or value.zero is None:
            raise CompileError(f"{step.name}: {value.name!r} has no scale to dequantize by")
        scale, zero = np.asarray(value.scale, np.float64).ravel(), np.asarray(value.zero).ravel()
        one_scale, one_zero = len(np.unique(scale)) == 1, len(np.unique(zero)) == 1
        if one_scale and one_zero:
            self.to_float(x, out, scale[0], int(zero[0]))
            return
        codes = self.scratch(out)
        self.to_float(x, codes, 1, int(zero[0]) if one_zero else 0)
        if one_zero:
            self.binary(codes, self.per_channel("scales", scale, value), out, "mul")
        else:
            channels = value.shape[1:2]
            self.affine(codes, out, np.broadcast_to(scale, channels), np.broadcast_to(-zero * scale, channels))

    def per_channel(self, name: str, values: np.ndarray, like: Ref | Value) -> Ref:
        """Constants (C,) that broadcast over a tensor with channels in dimension 1."""
        shape = (1, like.shape[1]) + (1,) * (len(like.shape) - 2)
        return self.draft.constant(name, np.broadcast_to(values, like.shape[1:2]).astype("<f4").reshape(shape))

    def reshape(self, step: HostStep) -> None:
        self.move(self.operand(step), self.result(step))

    def transpose(self, step: HostStep) -> None:
        self.transposed(self.operand(step), tuple(step.attributes["perm"]), self.result(step))

    def concat(self, step: HostStep) -> None:
        """Parts one behind the other are made in place; where that is not possible they are copied."""
        parts, out = [self.host_ref(n) for n in step.inputs], self.result(step)
        axis = step.attributes["axis"] % len(out.shape)
        if int(np.prod(out.shape[:axis])) > 1:
            self.joined(parts, out, axis)
            return
        offset = out.offset
        for part in parts:
            there = Ref(out.buffer, part.dtype, part.shape, offset)
            if not self.draft.place_inside(part, there):
                self.copy(part, there)
            offset += part.nbytes

    def binary_step(self, step: HostStep) -> None:
        self.binary(self.operand(step), self.operand(step, 1), self.result(step), step.attributes["kind"])

    def clamp(self, step: HostStep) -> None:
        limits = step.attributes["low"], step.attributes["high"]
        self.binary(self.operand(step), self.number(0), self.result(step), "add", limits)

    def matmul(self, step: HostStep) -> None:
        a, b, *rest = (self.host_ref(n) for n in step.inputs)
        out = self.result(step)
        if len(b.shape) != 2:
            raise self.refuse(f"matmul with a second operand of the shape {b.shape}")
        rows = a.count // b.shape[0]
        bias = self.program[step.inputs[2]].data if rest else None
        target = self.scratch(out) if rest and bias is None else out
        self.product(a.shaped(rows, b.shape[0]), b, target.shaped(rows, b.shape[1]), bias)
        if target is not out:
            self.binary(target, rest[0], out, "add")

    def pool(self, step: HostStep) -> None:
        x, out, kind, a = self.operand(step), self.result(step), step.attributes["kind"], step.attributes
        source, target = (x, out) if x.dtype != "u1" else (self.scratch(x), self.scratch(out))
        if x.dtype == "u1":
            self.to_float(x, source, 1, 0)
        self.reduced_windows(source, target, kind, window(step, a["kernel"]))
        if x.dtype == "u1":
            self.to_codes(target, out, 1, 0)

    def conv2d(self, step: HostStep) -> None:
        weights, bias = (self.program.constant(n).astype("<f4") for n in step.inputs[1:])
        self.convolved(self.operand(step), self.result(step), weights, bias.ravel(), step.attributes["groups"],
                       window(step, weights.shape[2:]))

    HOST = {"quantize": quantize, "dequantize": dequantize, "reshape": reshape, "transpose": transpose,
            "concat": concat, "binary": binary_step, "clamp": clamp, "matmul": matmul, "pool": pool,
            "conv2d": conv2d}


def window(step: HostStep, kernel: tuple[int, ...]) -> Window:
    """A step's window in the formats' terms."""
    a = step.attributes
    pad_h, pad_w = map(tuple, a["pads"])
    rows, columns = kernel
    return Window(pad_h, pad_w, (rows, columns), tuple(a["stride"]), tuple(a["dilation"]))
