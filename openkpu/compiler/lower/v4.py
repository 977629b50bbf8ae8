# SPDX-License-Identifier: Apache-2.0
"""Layers of kmodel v4 (spec/kmodel-format.md 4.4, 4.5): what nncase 0.2's runtime in MaixPy and CanMV executes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...kmodel.model import KpuConv
from ...kmodel.v4 import ops
from ..draft import Ref
from ..program import HostStep
from . import dims
from .host import LOWEST, NO_CLAMP, HostLowering, window

NATIVE_UNARY = frozenset(ops.UNARY_OPS)


class LoweringV4(HostLowering):
    """Host operators with the fewest passes over memory, in operators that files of nncase 0.2 hold."""

    VERSION = 4
    ALTERNATIVES = "v5 (--format v5)"

    def conv(self, fields: dict[str, Any], main: Ref | None) -> bool:
        if not fields["eight_bit"]:
            raise self.sixteen_bits()
        fields["descriptor"] = replace(fields["descriptor"], send_data_out=int(main is not None))
        self.draft.add(KpuConv, "kpu_conv2d", **fields, main_out=main, stream=False)
        return True

    def copy(self, source: Ref, target: Ref) -> None:
        self.joined([source], target, 0)

    def joined(self, parts: list[Ref], out: Ref, axis: int) -> None:
        outer = int(np.prod(out.shape[:axis]))
        rows = tuple(p.shaped(outer, p.nbytes // outer, dtype="u1") for p in parts)
        self.draft.add(ops.Concat, "concat", parts=rows, out=out.shaped(outer, out.nbytes // outer, dtype="u1"))

    def unary(self, x: Ref, out: Ref, kind: str) -> None:
        self.draft.add(ops.Unary, "unary", input=x.flat, out=out.flat, op=kind)

    def binary(self, a: Ref, b: Ref, out: Ref, kind: str, clamp: tuple = NO_CLAMP) -> None:
        shapes = dims.broadcast(a.shape, b.shape, out.shape)
        if shapes is None:
            raise self.ranks(f"{kind} of {a.shape} and {b.shape}")
        self.draft.add(ops.Binary, "binary", a=a.shaped(*shapes[0]), b=b.shaped(*shapes[1]), out=out.shaped(*shapes[2]),
                       op=kind, clamp=tuple(np.float32(c) for c in clamp))

    def transposed(self, x: Ref, perm: tuple[int, ...], out: Ref) -> None:
        found = dims.transpose(x.shape, perm)
        if found is None:
            raise self.ranks(f"transpose of {x.shape} by {perm}")
        shape, order = found
        if order == tuple(range(4)):
            self.move(x, out)
        else:
            self.draft.add(ops.Transpose, "transpose", input=x.shaped(*shape), perm=order,
                           out=out.shaped(*(shape[p] for p in order)))

    def to_float(self, codes: Ref, out: Ref, scale: float, zero: int) -> None:
        self.draft.add(ops.Dequantize, "dequantize", input=codes.flat, out=out.flat, zero_point=zero,
                       scale=np.float32(1 / np.float64(scale)))

    def to_codes(self, x: Ref, out: Ref, scale: float, zero: int) -> None:
        self.draft.add(ops.Quantize, "quantize", input=x.flat, out=out.flat, zero_point=zero,
                       scale=np.float32(1 / np.float64(scale)))

    def product(self, a: Ref, b: Ref, out: Ref, bias: np.ndarray | None = None) -> None:
        bias = np.zeros(b.shape[1], "<f4") if bias is None else bias.astype("<f4").ravel()
        self.draft.add(ops.Matmul, "matmul", a=a, b=b, out=out, clamp=NO_CLAMP, bias=bias)

    def reduced_windows(self, x: Ref, out: Ref, kind: str, shape: ops.Window) -> None:
        self.draft.add(ops.ReduceWindow2d, "reduce_window2d", input=x, out=out, op=kind, window=shape,
                       init=LOWEST if kind == "max" else np.float32(0), clamp=NO_CLAMP)

    def convolved(self, x: Ref, out: Ref, weights: np.ndarray, bias: np.ndarray, groups: int,
                  shape: ops.Window) -> None:
        self.draft.add(ops.Conv2d, "conv2d", input=x, out=out, groups=groups, window=shape, clamp=NO_CLAMP,
                       weights=weights, bias=bias)

    def ranks(self, what: str) -> Exception:
        return self.refuse(f"{what}: its operators have at most four dimensions")

    # Host steps

    def lookup(self, step: HostStep) -> None:
        table = self.draft.constant("table", np.asarray(step.attributes["table"], "u1"))
        self.draft.add(ops.TableLookup1d, "table_lookup1d", input=self.operand(step).flat, table=table,
                       out=self.result(step).flat)

    def slice(self, step: HostStep) -> None:
        x, out = self.operand(step), self.result(step)
        begin, end, stride = (tuple(step.attributes[n]) for n in ("begin", "end", "step"))
        whole = [(b, e, s) == (0, n, 1) for b, e, s, n in zip(begin, end, stride, x.shape, strict=True)]
        groups = dims.merged(x.shape, [True if w else None for w in whole])
        shape = dims.padded(dims.grouped(x.shape, groups), 1)
        if shape is None:
            raise self.ranks(f"slice of {x.shape}")
        bounds = []
        for group in groups:
            n = int(np.prod([x.shape[d] for d in group]))
            bounds.append((0, n, 1) if whole[group[0]] else (begin[group[0]], min(end[group[0]], n), stride[group[0]]))
        bounds = [(0, 1, 1)] * (4 - len(bounds)) + bounds
        target = tuple(len(range(*b)) for b in bounds)
        self.draft.add(ops.StridedSlice, "strided_slice", input=x.shaped(*shape), out=out.shaped(*target),
                       begin=tuple(b[0] for b in bounds), end=tuple(b[1] for b in bounds),
                       strides=tuple(b[2] for b in bounds))

    def pad(self, step: HostStep) -> None:
        x, out = self.operand(step), self.result(step)
        pads = [tuple(p) for p in step.attributes["pads"]]
        sizes = [max(n, m) for n, m in zip(x.shape, out.shape, strict=True)]
        groups = dims.merged(sizes, [True if p == (0, 0) else None for p in pads])
        shape, target = (dims.padded(dims.grouped(r.shape, groups), 1) for r in (x, out))
        if shape is None or target is None:
            raise self.ranks(f"pad of {x.shape}")
        found = [(0, 0)] * (4 - len(groups)) + [pads[g[0]] for g in groups]
        self.draft.add(ops.Pad, "pad", input=x.shaped(*shape), out=out.shaped(*target), pads=tuple(found),
                       value=np.dtype(x.dtype).type(step.attributes["value"]))

    def resize(self, step: HostStep) -> None:
        """As the format does it where that is the same; otherwise two products with constant matrices."""
        x, out = self.operand(step), self.result(step)
        mode, align, half = (step.attributes[n] for n in ("mode", "align_corners", "half_pixel"))
        factors = [o / i for o, i in zip(out.shape[2:], x.shape[2:], strict=True)]
        doubled = all(f == int(f) for f in factors)
        native = (not align and (not half or doubled)) if mode == "nearest" else not half and x.dtype != "u1"
        if native:
            self.draft.add(ops.ResizeImage, "resize_image", input=x, out=out, mode=mode, align_corners=bool(align))
            return
        source, target = x, out
        if x.dtype == "u1":
            source, target = self.scratch(x), self.scratch(out)
            self.to_float(x, source, 1, 0)
        self._resized(source, target, mode, align, half)
        if x.dtype == "u1":
            self.to_codes(target, out, 1, 0)

    def _resized(self, x: Ref, out: Ref, mode: str, align: bool, half: bool) -> None:
        n, c, h, w = x.shape
        oh, ow = out.shape[2:]
        across, down = (interpolation(i, o, mode, align, half) for i, o in ((w, ow), (h, oh)))
        wide = self.scratch(out, n * c * h, ow)
        self.product(x.shaped(n * c * h, w), self.draft.constant("columns", across.T), wide)
        turned = self.scratch(out, n * c * ow, h)
        self.transposed(wide.shaped(n * c, h, ow), (0, 2, 1), turned.shaped(n * c, ow, h))
        tall = self.scratch(out, n * c * ow, oh)
        self.product(turned, self.draft.constant("rows", down.T), tall)
        self.transposed(tall.shaped(n * c, ow, oh), (0, 2, 1), out.shaped(n * c, oh, ow))

    def unary_step(self, step: HostStep) -> None:
        x, out, kind = self.operand(step), self.result(step), step.attributes["kind"]
        one = self.number(1)
        if kind in NATIVE_UNARY:
            self.unary(x, out, kind)
        elif kind == "sqrt":  # x * rsqrt(x) would be NaN at 0
            root = self.scratch(x)
            self.unary(x, root, "rsqrt")
            self.binary(one, root, out, "div")
        elif kind in ("sigmoid", "tanh"):
            self._sigmoid(x, out, 1 if kind == "sigmoid" else 2)
        else:
            raise self.refuse(f"unary {kind}")

    def _sigmoid(self, x: Ref, out: Ref, factor: int) -> None:
        """1/(1+exp(-x)); tanh(x) is 2/(1+exp(-2x)) - 1."""
        power, sum_ = self.scratch(x), self.scratch(x)
        inner = self.scratch(x)
        self.binary(x, self.number(-factor), inner, "mul")
        self.unary(inner, power, "exp")
        self.binary(power, self.number(1), sum_, "add")
        if factor == 1:
            self.binary(self.number(1), sum_, out, "div")
            return
        quotient = self.scratch(x)
        self.binary(self.number(2), sum_, quotient, "div")
        self.binary(quotient, self.number(1), out, "sub")

    def softmax(self, step: HostStep) -> None:
        x, out = self.operand(step), self.result(step)
        axis = step.attributes["axis"] % len(x.shape)
        inner = int(np.prod(x.shape[axis + 1:]))
        outer, size = x.count // x.shape[axis] // inner, x.shape[axis]
        rows = (outer * inner, size)
        if inner == 1:
            self.draft.add(ops.Softmax, "softmax", input=x.shaped(*rows), out=out.shaped(*rows), beta=np.float32(1))
            return
        turned, done = self.scratch(x, *rows), self.scratch(x, *rows)
        self.transposed(x.shaped(outer, size, inner), (0, 2, 1), turned.shaped(outer, inner, size))
        self.draft.add(ops.Softmax, "softmax", input=turned, out=done, beta=np.float32(1))
        self.transposed(done.shaped(outer, inner, size), (0, 2, 1), out.shaped(outer, size, inner))

    def reduce(self, step: HostStep) -> None:
        x, out, kind = self.operand(step), self.result(step), step.attributes["kind"]
        axes = {a % len(x.shape) for a in step.attributes["axes"]}
        groups = dims.merged(x.shape, [d in axes for d in range(len(x.shape))])
        shape = dims.padded(dims.grouped(x.shape, groups), 1)
        kept = dims.padded([1 if g[0] in axes else n for g, n in zip(groups, dims.grouped(x.shape, groups),
                                                                     strict=True)], 1)
        if shape is None or kept is None:
            raise self.ranks(f"reduce of {x.shape}")
        init = {"min": -LOWEST, "max": LOWEST}.get(kind, np.float32(0))
        self.draft.add(ops.Reduce, "reduce", input=x.shaped(*shape), out=out.shaped(*kept), op=kind, init=init)

    def conv2d_transpose(self, step: HostStep) -> None:
        """The runtime never adds the bias (4.5), so an operator behind it does."""
        x, out, groups = self.operand(step), self.result(step), step.attributes["groups"]
        weights = self.program.constant(step.inputs[1]).astype("<f4")
        bias = self.program.constant(step.inputs[2]).astype("<f4").ravel()
        i, o, kh, kw = weights.shape
        arranged = np.ascontiguousarray(weights.reshape(groups, i // groups, o, kh, kw).transpose(0, 2, 1, 3, 4))
        target = self.scratch(out) if bias.any() else out
        self.draft.add(ops.Conv2dTranspose, "conv2d_transpose", input=x, out=target, groups=groups,
                       window=window(step, (kh, kw)), clamp=NO_CLAMP, weights=arranged, bias=bias)
        if target is not out:
            self.binary(target, self.per_channel("bias", bias, out), out, "add")

    HOST = HostLowering.HOST | {
        "lookup": lookup, "slice": slice, "pad": pad, "resize": resize, "unary": unary_step, "softmax": softmax,
        "reduce": reduce, "conv2d_transpose": conv2d_transpose}


def interpolation(size: int, target: int, mode: str, align: bool, half: bool) -> np.ndarray:
    """(target, size) float32: how much of each input pixel is in each output pixel, as ONNX's Resize defines it."""
    i = np.arange(target)
    if align:
        at = i * ((size - 1) / (target - 1)) if target > 1 else i * 0.0
    else:
        at = (i + 0.5) * (size / target) - 0.5 if half else i * (size / target)
    matrix = np.zeros((target, size))
    if mode == "nearest":
        index = np.floor(at + 0.5) if align else np.floor((i + 0.5) * (size / target)) if half else np.floor(at)
        matrix[i, np.clip(index, 0, size - 1).astype(int)] = 1
        return matrix.astype("<f4")
    at = np.clip(at, 0, size - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, size - 1)
    np.add.at(matrix, (i, low), 1 - (at - low))
    np.add.at(matrix, (i, high), at - low)
    return matrix.astype("<f4")
