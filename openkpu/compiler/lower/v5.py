# SPDX-License-Identifier: Apache-2.0
"""Layers of kmodel v5 (spec/kmodel-format.md 5.7, 5.8): StackVM tensor functions and KPU records of nncase 1.x."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...kmodel.model import KpuConv, KpuDownload, dense_strides
from ...kmodel.v4.ops import Window
from ...kmodel.v5 import ops
from ..draft import Ref
from ..program import HostStep, Value
from .host import LOWEST, NO_CLAMP, HostLowering

MAX_RANK = 8
NATIVE_UNARY = frozenset("abs ceil cos exp floor log neg rsqrt sin square sqrt tanh".split())


class LoweringV5(HostLowering):
    """Tensor functions of the StackVM, of any rank; concatenations are strided copies."""

    VERSION = 5
    ALTERNATIVES = "v4 (--format v4)"
    POOLS = {"main": "data0", "const": "rdata0"}
    SEPARATE_PORTS = True

    def conv(self, fields: dict[str, Any], main: Ref | None) -> bool:
        if not fields["eight_bit"]:
            raise self.sixteen_bits()
        self.draft.add(KpuConv, "kpu_conv2d", **fields, main_out=None, stream=False)
        if main is not None:
            self.draft.add(KpuDownload, "kpu_download", input=fields["kpu_out"], out=main)
        return True

    def input(self, value: Value) -> Ref:
        """Inputs arrive in memories of their own; those of the KPU are uploaded by its first function."""
        self._wrote(value, copy=None)
        found = self.host_ref(value)
        if self.draft.spaces[found.buffer].pool.startswith("input") and value.parent is None:
            return found
        port = self._own(value, f"input{self.program.inputs.index(value.name)}")
        self.draft.step = "the input"
        self.copy(port, found)
        return port

    def output(self, value: Value) -> Ref:
        """What is an output and also something else is copied."""
        found = self.host_ref(value)
        if (self.draft.spaces[found.buffer].pool.startswith("output") and value.parent is None
                and found not in self.draft.outputs):
            return found
        port = self._own(value, f"output{len(self.draft.outputs)}")
        self.copy(found, port)
        return port

    def _own(self, value: Value, pool: str) -> Ref:
        port = Ref(self.draft.buffer(f"{value.name}@port", pool, value.nbytes), value.dtype, value.shape)
        self.draft.spaces[port.buffer].pinned = True
        return port

    def copy(self, source: Ref, target: Ref) -> None:
        self.draft.add(ops.Copy, "COPY", input=source.flat, out=target.flat)

    def joined(self, parts: list[Ref], out: Ref, axis: int) -> None:
        strides = dense_strides(out.shape)
        offset = out.offset
        for part in parts:
            there = Ref(out.buffer, out.dtype, part.shape, offset, strides)
            self.draft.add(ops.Copy, "COPY", input=part, out=there)
            offset += part.shape[axis] * strides[axis] * np.dtype(out.dtype).itemsize

    def unary(self, x: Ref, out: Ref, kind: str) -> None:
        self.draft.add(ops.Unary, "UNARY", input=x, out=out, op=kind)

    def binary(self, a: Ref, b: Ref, out: Ref, kind: str, clamp: tuple = NO_CLAMP) -> None:
        self.draft.add(ops.Binary, "BINARY", a=a, b=b, out=out, op=kind, clamp=tuple(np.float32(c) for c in clamp))

    def number(self, value: float) -> Ref:
        return super().number(value).shaped(1)

    def transposed(self, x: Ref, perm: tuple[int, ...], out: Ref) -> None:
        self.draft.add(ops.Transpose, "TRANSPOSE", input=x, out=out, perm=tuple(perm))

    def to_float(self, codes: Ref, out: Ref, scale: float, zero: int) -> None:
        self.draft.add(ops.Dequantize, "DEQUANTIZE", input=codes, out=out, scale=np.float32(scale),
                       bias=np.float32(-zero * np.float64(scale)))

    def to_codes(self, x: Ref, out: Ref, scale: float, zero: int) -> None:
        self.draft.add(ops.Quantize, "QUANTIZE", input=x, out=out, scale=np.float32(1 / np.float64(scale)),
                       bias=np.float32(zero))

    def product(self, a: Ref, b: Ref, out: Ref, bias: np.ndarray | None = None) -> None:
        bias = np.zeros(b.shape[1], "<f4") if bias is None else bias.astype("<f4").ravel()
        self.draft.add(ops.Matmul, "MATMUL", a=a, b=b, bias=self.draft.constant("bias", bias), out=out, clamp=NO_CLAMP)

    def reduced_windows(self, x: Ref, out: Ref, kind: str, shape: Window) -> None:
        self.draft.add(ops.ReduceWindow2d, "REDUCE_WINDOW2D", input=x, out=out, op=kind, window=shape,
                       init=LOWEST if kind == "max" else np.float32(0), clamp=NO_CLAMP)

    def convolved(self, x: Ref, out: Ref, weights: np.ndarray, bias: np.ndarray, groups: int, shape: Window) -> None:
        self.draft.add(ops.Conv2d, "CONV2D", input=x, weights=self.draft.constant("weights", weights),
                       bias=self.draft.constant("bias", bias), out=out, groups=groups, window=shape, clamp=NO_CLAMP)

    # Host steps

    def lookup(self, step: HostStep) -> None:
        table = self.draft.constant("table", np.asarray(step.attributes["table"], "u1"))
        self.draft.add(ops.Lut1d, "LUT1D", input=self.operand(step), table=table, out=self.result(step), min=0.0,
                       max=255.0)

    def slice(self, step: HostStep) -> None:
        self.draft.add(ops.Slice, "SLICE", input=self.operand(step), out=self.result(step),
                       starts=tuple(step.attributes["begin"]), steps=tuple(step.attributes["step"]))

    def pad(self, step: HostStep) -> None:
        """Cropping is a slice before the padding."""
        x, out = self.operand(step), self.result(step)
        pads = [tuple(p) for p in step.attributes["pads"]]
        if any(min(p) < 0 for p in pads):
            shape = [n + min(b, 0) + min(a, 0) for n, (b, a) in zip(x.shape, pads, strict=True)]
            cropped = out if all(max(p) <= 0 for p in pads) else self.draft.new(f"{step.name}/part", x.dtype, *shape)
            self.draft.add(ops.Slice, "SLICE", input=x, out=cropped, starts=tuple(max(-b, 0) for b, _ in pads),
                           steps=(1,) * len(pads))
            x = cropped
        if x is not out:
            self.padded(x, out, tuple((max(b, 0), max(a, 0), 0) for b, a in pads), step.attributes["value"])

    def padded(self, x: Ref, out: Ref, pads: tuple, value: float) -> None:
        self.draft.add(ops.Pad, "PAD", input=x, out=out, pads=pads, mode="constant",
                       value=np.dtype(x.dtype).type(value))

    def resize(self, step: HostStep) -> None:
        a = step.attributes
        self.draft.add(ops.ResizeImage, "RESIZE_IMAGE", input=self.operand(step), out=self.result(step),
                       mode=a["mode"], align_corners=bool(a["align_corners"]),
                       half_pixel_centers=bool(a["half_pixel"]))

    def unary_step(self, step: HostStep) -> None:
        x, out, kind = self.operand(step), self.result(step), step.attributes["kind"]
        if kind == "sigmoid":
            self.draft.add(ops.Sigmoid, "SIGMOID", input=x, out=out)
        elif kind in NATIVE_UNARY:
            self.unary(x, out, kind)
        else:
            raise self.refuse(f"unary {kind}")

    def softmax(self, step: HostStep) -> None:
        x = self.operand(step)
        self.draft.add(ops.Softmax, "SOFTMAX", input=x, out=self.result(step), beta=np.float32(1),
                       axis=step.attributes["axis"] % len(x.shape))

    def reduce(self, step: HostStep) -> None:
        x, out, kind = self.operand(step), self.result(step), step.attributes["kind"]
        axes = tuple(sorted({a % len(x.shape) for a in step.attributes["axes"]}))
        init = {"min": -LOWEST, "max": LOWEST}.get(kind, np.float32(0))
        kept = tuple(1 if d in axes else n for d, n in enumerate(x.shape))
        self.draft.add(ops.Reduce, "REDUCE", input=x, out=out.shaped(*kept), op=kind, axes=axes, keep_dims=True,
                       init=init)

    def conv2d_transpose(self, step: HostStep) -> None:
        """Zeros between the pixels, then a convolution with the kernel turned round: the StackVM has nothing else."""
        x, out, a = self.operand(step), self.result(step), step.attributes
        groups = a["groups"]
        weights = self.program.constant(step.inputs[1]).astype("<f4")
        i, o, *kernel = weights.shape
        turned = weights[:, :, ::-1, ::-1].reshape(groups, i // groups, o, *kernel).swapaxes(1, 2)
        pads, sizes = [(0, 0, 0), (0, 0, 0)], []
        for n, m, k, s, d, (before, _) in zip(x.shape[2:], out.shape[2:], kernel, a["stride"], a["dilation"],
                                              a["pads"], strict=True):
            first = (k - 1) * d - before
            last = m + (k - 1) * d - first - ((n - 1) * s + 1)
            if min(first, last) < 0:
                raise self.refuse(f"a transposed convolution padded by {a['pads']}")
            pads.append((first, last, s - 1))
            sizes.append(m + (k - 1) * d)
        spread = self.draft.new(f"{step.name}/part", "<f4", *x.shape[:2], *sizes)
        self.padded(x, spread, tuple(pads), 0)
        bias = self.program.constant(step.inputs[2]).astype("<f4").ravel()
        turned = np.ascontiguousarray(turned.reshape(o * groups, i // groups, *kernel))
        self.convolved(spread, out, turned, bias, groups,
                       Window((0, 0), (0, 0), tuple(kernel), (1, 1), tuple(a["dilation"])))

    HOST = HostLowering.HOST | {
        "lookup": lookup, "slice": slice, "pad": pad, "resize": resize, "unary": unary_step, "softmax": softmax,
        "reduce": reduce, "conv2d_transpose": conv2d_transpose}
