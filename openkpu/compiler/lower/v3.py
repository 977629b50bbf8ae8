# SPDX-License-Identifier: Apache-2.0
"""Layers of kmodel v3 (spec/kmodel-format.md 3.3 to 3.5): what the SDK's own runtime executes.

The format knows few host operators. A layer either leaves its result in the AI RAM or streams it to the main memory,
never both, so what both need is uploaded again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...kmodel.model import KpuConv, KpuUpload
from ...kmodel.v3 import ops
from ...kmodel.v3.operators.movement import MAX_CONCAT
from ..draft import Draft, Ref
from ..errors import CompileError
from ..limits import Chip
from ..program import HostStep, KpuStep, Program, Step, Value
from . import dims
from .host import NO_CLAMP, HostLowering

FILLER = -2
"""An index that no run can continue."""
FC_MAP = 4
"""Side of the maps that carry single pixels (K210_ADD_PADDING)."""


class LoweringV3(HostLowering):
    """The operators that the runtime executes; everything else is refused by name."""

    VERSION = 3
    ALTERNATIVES = "v4 (--format v4)"

    def __init__(self, program: Program, chip: Chip, spills: dict[str, list[int]] | None = None):
        wide = any(s.weight_bits == 16 for s in program.kpu_steps())
        steps = tuple(replace(s, weights=s.weights.astype(np.uint16)) if wide and isinstance(s, KpuStep) else s
                      for s in program.steps)
        super().__init__(_affine_at_once(replace(program, steps=steps)), chip, spills)

    def run(self) -> Draft:
        if len(self.program.inputs) != 1:
            raise CompileError(f"kmodel v3 has one input, the network has {len(self.program.inputs)}; compile for "
                               f"{self.ALTERNATIVES}")
        draft = super().run()
        first, given = draft.layers[0] if draft.layers else None, draft.inputs[0]
        if (first is None or first.cls not in (KpuConv, ops.FullyConnected)
                or first.fields["input"].count != given.count):
            raise CompileError("kmodel v3 takes its input with the first layer, which must be a convolution on the "
                               f"KPU or fully connected, not {first.step if first else 'nothing'}; compile for "
                               f"{self.ALTERNATIVES}")
        return draft

    def conv(self, fields: dict[str, Any], main: Ref | None) -> bool:
        self.draft.add(KpuConv, "KL_K210_CONV", **fields, main_out=main, stream=main is not None)
        return main is None

    def upload(self, source: Ref, target: Ref) -> None:
        self.draft.add(KpuUpload, "KL_K210_UPLOAD", input=source, out=target)

    def output(self, value: Value) -> Ref:
        if value.dtype != "f4":
            raise CompileError(f"the output {value.name!r} holds codes, and kmodel v3 gives float32; compile for "
                               f"{self.ALTERNATIVES}")
        return self.host_ref(value)

    def host_ref(self, value: Value | str) -> Ref:
        found = self.program[value] if isinstance(value, str) else value
        if found.data is not None:
            raise self.refuse(f"the constant {found.name!r}")
        return super().host_ref(found)

    def copy(self, source: Ref, target: Ref) -> None:
        self.joined([source], target, 0)

    def joined(self, parts: list[Ref], out: Ref, axis: int) -> None:
        """The format's concatenation lists any byte ranges, so rows side by side are ranges of their own."""
        outer = int(np.prod(out.shape[:axis]))
        rows = []
        for row in range(outer):
            for part in parts:
                size = part.nbytes // outer
                rows.append(replace(part.shaped(size, dtype="u1"), offset=part.offset + row * size))
        self._ranges(rows, out)

    def _ranges(self, parts: list[Ref], out: Ref) -> None:
        if len(parts) > MAX_CONCAT:
            raise self.refuse(f"moving {len(parts)} pieces to {out.shape}")
        name = "KL_CONCAT" if out.dtype == "f4" else "KL_QUANTIZED_CONCAT"
        self.draft.add(ops.Concat, name, parts=tuple(parts), out=out.as_bytes)

    def _gathered(self, x: Ref, out: Ref, index: np.ndarray, filler: Ref | None = None) -> None:
        """out = x at the flat ``index``, runs of which are byte ranges; ``FILLER`` takes from ``filler``."""
        index, size = index.ravel(), np.dtype(x.dtype).itemsize
        ends = np.flatnonzero(np.where(index[1:] < 0, index[:-1] >= 0, index[1:] != index[:-1] + 1)) + 1
        parts = []
        for first, last in zip((0, *ends), (*ends, len(index)), strict=True):
            source, start = (x, index[first]) if index[first] >= 0 else (filler, 0)
            assert source is not None
            parts.append(replace(source.shaped((last - first) * size, dtype="u1"),
                                 offset=source.offset + int(start) * size))
        self._ranges(parts, out)

    def binary(self, a: Ref, b: Ref, out: Ref, kind: str, clamp: tuple = NO_CLAMP) -> None:
        if kind != "add" or a.count != out.count or b.count != out.count or tuple(clamp) != NO_CLAMP:
            raise self.refuse(f"binary {kind} of {a.shape} and {b.shape}")
        self.draft.add(ops.Add, "KL_ADD", a=a.flat, b=b.flat, out=out.flat)

    def transposed(self, x: Ref, perm: tuple[int, ...], out: Ref) -> None:
        """The one that moves the first of three dimensions to the end; codes go through float32, unchanged."""
        found = dims.transpose(x.shape, perm, 2)
        if found is None:
            raise self.refuse(f"the transposition of {x.shape} by {perm}")
        (rows, columns), order = found
        if order == (0, 1):
            self.move(x, out)
            return
        source, target = (x, out) if x.dtype == "f4" else (self.scratch(x), self.scratch(out))
        if x.dtype == "u1":
            self.to_float(x, source, 1, 0)
        self.draft.add(ops.TensorflowFlatten, "KL_TENSORFLOW_FLATTEN", input=source.shaped(rows, 1, columns),
                       out=target.shaped(1, columns, rows))
        if x.dtype == "u1":
            self.to_codes(target, out, 1, 0)

    def to_float(self, codes: Ref, out: Ref, scale: float, zero: int) -> None:
        self.draft.add(ops.Dequantize, "KL_DEQUANTIZE", input=codes.flat, out=out.flat, scale=np.float32(scale),
                       bias=np.float32(-zero * np.float64(scale)))

    def to_codes(self, x: Ref, out: Ref, scale: float, zero: int) -> None:
        self.draft.add(ops.Quantize, "KL_QUANTIZE", input=x.flat, out=out.flat, scale=np.float32(scale),
                       bias=np.float32(-zero * np.float64(scale)))

    def dequantize(self, step: HostStep) -> None:
        """By ``factors`` and ``summands`` of the step, if it has them: of every element, or so many that differ."""
        value = self.program[step.inputs[0]]
        if "factors" not in step.attributes and all(len(np.unique(n)) == 1 for n in value.affine):
            super().dequantize(step)
            return
        factors, summands = _affine(value)
        if "factors" in step.attributes:
            factors, summands = step.attributes["factors"], step.attributes["summands"]
        self._elements(self.operand(step), self.result(step), factors.reshape(value.shape),
                       summands.reshape(value.shape))

    def _elements(self, codes: Ref, out: Ref, factors: np.ndarray, summands: np.ndarray) -> None:
        """out = codes * factors + summands, with as few pairs as differ."""
        for channels in (int(np.prod(codes.shape[:d])) for d in range(len(codes.shape) + 1)):
            scale, bias = (a.reshape(channels, -1) for a in (factors, summands))
            if (scale == scale[:, :1]).all() and (bias == bias[:, :1]).all():
                break
        rows = channels, codes.count // channels
        self.draft.add(ops.ChannelwiseDequantize, "KL_CHANNELWISE_DEQUANTIZE", input=codes.shaped(*rows),
                       out=out.shaped(*rows), scale=scale[:, 0].astype("<f4"), bias=bias[:, 0].astype("<f4"))

    def lookup(self, step: HostStep) -> None:
        self.draft.add(ops.Requantize, "KL_REQUANTIZE", input=self.operand(step).flat, out=self.result(step).flat,
                       table=np.asarray(step.attributes["table"], "u1"))

    def resize(self, step: HostStep) -> None:
        x, out, a = self.operand(step), self.result(step), step.attributes
        whole = all(o % i == 0 for o, i in zip(out.shape[2:], x.shape[2:], strict=True))
        if a["mode"] != "nearest" or a["align_corners"] or (a["half_pixel"] and not whole):
            raise self.refuse(f"a resize ({a['mode']}, align_corners {a['align_corners']}, half_pixel "
                              f"{a['half_pixel']})")
        name = "KL_RESIZE_NEAREST_NEIGHBOR" if x.dtype == "f4" else "KL_QUANTIZED_RESIZE_NEAREST_NEIGHBOR"
        source, target = ((t.shape[0] * t.shape[1], *t.shape[2:]) for t in (x, out))
        self.draft.add(ops.ResizeNearestNeighbor, name, input=x.shaped(*source), out=out.shaped(*target))

    def unary_step(self, step: HostStep) -> None:
        if step.attributes["kind"] != "sigmoid":
            raise self.refuse(f"unary {step.attributes['kind']}")
        self.draft.add(ops.Logistic, "KL_LOGISTIC", input=self.operand(step).flat, out=self.result(step).flat)

    def softmax(self, step: HostStep) -> None:
        """Of the whole tensor; or of pairs that a dequantize has made, by the logistic function of their difference."""
        if step.attributes.get("pairs"):
            self._softmax_of_pairs(step)
            return
        x = self.operand(step)
        if x.shape[step.attributes["axis"]] != x.count:
            raise self.refuse(f"softmax over axis {step.attributes['axis']} of {x.shape}")
        self.draft.add(ops.Softmax, "KL_SOFTMAX", input=x.flat, out=self.result(step).flat)

    def _softmax_of_pairs(self, step: HostStep) -> None:
        """1/(1+exp(b-a)) and 1/(1+exp(a-b)); first all a, then all b, because rows that short are too many to swap."""
        x, out, rows = self.operand(step), self.result(step), self.operand(step).count // 2
        factors, summands = (step.attributes[n].reshape(rows, 2).T for n in ("factors", "summands"))
        planar, swapped = (self.draft.new(f"{step.name}/{n}", "u1", 2, rows) for n in ("planar", "swapped"))
        self.transposed(x.shaped(rows, 2), (1, 0), planar)
        half = replace(planar.shaped(rows), offset=planar.offset + rows)
        self._ranges([half, planar.shaped(rows)], swapped)
        kept, negated, difference, share = (self.scratch(out, 2, rows) for _ in range(4))
        for codes, target, f, s in ((planar, kept, factors, summands),
                                    (swapped, negated, -factors[::-1], -summands[::-1])):
            self._elements(codes, target, f, s)
        self.draft.add(ops.Add, "KL_ADD", a=kept.flat, b=negated.flat, out=difference.flat)
        self.draft.add(ops.Logistic, "KL_LOGISTIC", input=difference.flat, out=share.flat)
        self.transposed(share, (1, 0), out.shaped(rows, 2))

    def reduce(self, step: HostStep) -> None:
        x, kind = self.operand(step), step.attributes["kind"]
        axes = {a % len(x.shape) for a in step.attributes["axes"]}
        groups = dims.merged(x.shape, [d in axes for d in range(len(x.shape))])
        sizes = dims.grouped(x.shape, groups)
        kept = [g[0] not in axes for g in groups]
        if kind != "mean" or kept not in ([True, False], [False]):
            raise self.refuse(f"reduce {kind} of {x.shape} over {sorted(axes)}")
        rows = sizes if len(sizes) == 2 else (1, *sizes)
        self.draft.add(ops.GlobalAveragePool2d, "KL_GLOBAL_AVERAGE_POOL2D", input=x.shaped(*rows),
                       out=self.result(step).shaped(rows[0]))

    def matmul(self, step: HostStep) -> None:
        b, bias = (self.program[n].data for n in (*step.inputs[1:], step.inputs[1])[:2])
        x, out = self.operand(step), self.result(step)
        if b is None or bias is None or x.count != b.shape[0]:
            raise self.refuse(f"matmul of {x.shape} with {self.program[step.inputs[1]].shape} that is not a constant "
                              "for one row")
        bias = bias.astype("<f4").ravel() if len(step.inputs) > 2 else np.zeros(b.shape[1], "<f4")
        self.draft.add(ops.FullyConnected, "KL_FULLY_CONNECTED", input=x.flat, out=out.flat, act=0,
                       weights=np.ascontiguousarray(b.T, "<f4"), bias=bias)

    def pool(self, step: HostStep) -> None:
        x, out, a = self.operand(step), self.result(step), step.attributes
        (top, _), (left, _) = a["pads"]
        kind = a["kind"], x.dtype
        if x.shape[0] != 1 or tuple(a["dilation"]) != (1, 1) or kind not in (("max", "u1"), ("mean", "f4")):
            raise self.refuse(f"a {kind[0]} pool of {'codes' if kind[1] == 'u1' else 'float32'}")
        fields = {"kernel_w": a["kernel"][1], "kernel_h": a["kernel"][0], "stride_w": a["stride"][1],
                  "stride_h": a["stride"][0], "pad_w": left, "pad_h": top}
        maps = {"input": x.shaped(*x.shape[1:]), "out": out.shaped(*out.shape[1:])}
        if kind[0] == "max":
            self.draft.add(ops.QuantizedMaxPool2d, "KL_QUANTIZED_MAX_POOL2D", **maps, **fields)
        else:
            self.draft.add(ops.AveragePool2d, "KL_AVERAGE_POOL2D", **maps, **fields, act=0)

    def pad(self, step: HostStep) -> None:
        """Single pixels become the corners of maps for a fully connected layer on the KPU; else byte ranges are joined
        with ranges of a buffer that holds nothing but the value."""
        x, out, value = self.operand(step), self.result(step), self.program[step.output]
        pads = [tuple(p) for p in step.attributes["pads"]]
        if (x.dtype == "u1" and value.shape == (1, x.count, FC_MAP, FC_MAP) and not any(p[0] for p in pads)
                and not self._reads(self._host_reads, value)):
            copy = self._copy_number(value)
            self.draft.add(ops.AddPadding, "KL_K210_ADD_PADDING", input=x.flat, out=self.kpu_ref(value, copy))
            self._pieces[self.program.interval(value.name)[0]][-1].copy = copy
            return
        index = np.arange(x.count).reshape(x.shape)
        index = index[tuple(slice(max(-b, 0), n - max(-a, 0)) for n, (b, a) in zip(x.shape, pads, strict=True))]
        index = np.pad(index, [(max(b, 0), max(a, 0)) for b, a in pads], constant_values=FILLER)
        filler = self._filled(x.dtype, int((index < 0).sum()), step.attributes["value"]) if (index < 0).any() else None
        self._gathered(x, out, index, filler)

    def _filled(self, dtype: str, count: int, value: float) -> Ref:
        """A buffer of equal elements: a table, or a scale of zero, makes them of any bytes."""
        anything = self.draft.new(f"{self.draft.step}/any", "u1", count)
        filled = self.draft.new(f"{self.draft.step}/filled", dtype, count)
        if dtype == "u1":
            self.draft.add(ops.Requantize, "KL_REQUANTIZE", input=anything, out=filled,
                           table=np.full(256, value, "u1"))
        else:
            self.draft.add(ops.Dequantize, "KL_DEQUANTIZE", input=anything, out=filled, scale=np.float32(0),
                           bias=np.float32(value))
        return filled

    def slice(self, step: HostStep) -> None:
        """The corners of maps of 4x4 pixels, or byte ranges."""
        x, out = self.operand(step), self.result(step)
        if x.dtype == "u1" and x.shape == (1, out.count, FC_MAP, FC_MAP) and not any(step.attributes["begin"]):
            self.draft.add(ops.RemovePadding, "KL_K210_REMOVE_PADDING", input=x.shaped(*x.shape[1:]), out=out.flat)
            return
        bounds = zip(*(step.attributes[n] for n in ("begin", "end", "step")), strict=True)
        self._gathered(x, out, np.arange(x.count).reshape(x.shape)[tuple(slice(*b) for b in bounds)])

    HOST = {"quantize": HostLowering.quantize, "dequantize": dequantize, "reshape": HostLowering.reshape,
            "transpose": HostLowering.transpose, "concat": HostLowering.concat, "binary": HostLowering.binary_step,
            "lookup": lookup, "resize": resize, "unary": unary_step, "softmax": softmax, "reduce": reduce,
            "matmul": matmul, "pool": pool, "pad": pad, "slice": slice}


def _affine(value: Value) -> tuple[np.ndarray, np.ndarray]:
    """Factor and summand that make a real number of each code, float64, of the value's shape."""
    spread = (1, -1, *(1,) * (len(value.shape) - 2)) if len(value.shape) > 1 else (-1,)
    scale, zero = (np.asarray(v, np.float64).ravel() for v in value.affine)
    factor, summand = (np.broadcast_to(a if a.size == 1 else a.reshape(spread), value.shape)
                       for a in (scale, -zero * scale))
    return factor, summand


def _affine_at_once(program: Program) -> Program:
    """What follows a dequantize and the format lacks becomes part of it: products with and sums of constants, and the
    softmax of pairs."""
    reads: dict[str, int] = {}
    for name in (*(n for s in program.steps for n in s.inputs), *program.outputs):
        reads[name] = reads.get(name, 0) + 1
    steps: list[Step] = []
    for step in program.steps:
        found = _absorbed(program, step, steps, reads)
        if found is None:
            steps.append(step)
        else:
            steps[found[0]] = found[1]
    return replace(program, steps=tuple(steps))


def _absorbed(program: Program, step: Step, before: list[Step], reads: dict[str, int]) -> tuple[int, HostStep] | None:
    """(place of a dequantize, what it becomes) if ``step`` can be a part of it."""
    if not isinstance(step, HostStep) or step.op not in ("binary", "softmax"):
        return None
    for name in step.inputs:
        made = [i for i, s in enumerate(before) if isinstance(s, HostStep) and s.op == "dequantize"
                and s.output == name]
        if not made or reads[name] > 1 or program[step.output].count != program[name].count:
            continue
        source, shape = before[made[0]], program[name].shape
        assert isinstance(source, HostStep)
        factors, summands = (source.attributes.get(n) for n in ("factors", "summands"))
        if factors is None or summands is None:
            factors, summands = _affine(program[source.inputs[0]])
        combined = _combined(program, step, name, factors.reshape(shape), summands.reshape(shape))
        if combined is not None:
            attributes = {n: np.broadcast_to(a, shape) for n, a in zip(("factors", "summands"), combined, strict=True)}
            if step.op == "softmax":
                source, attributes = step, step.attributes | attributes | {"pairs": True}
            return made[0], replace(source, inputs=before[made[0]].inputs, outputs=step.outputs, attributes=attributes)
    return None


def _combined(program: Program, step: HostStep, name: str, factors: np.ndarray,
              summands: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Factors and summands after ``step``, of the pairs' members for a softmax; None if it is not of that kind."""
    if step.op == "softmax":
        last = step.attributes["axis"] in (-1, factors.ndim - 1) and factors.shape[-1] == 2 and factors.size > 2
        return (factors, summands) if last else None
    kind, first = step.attributes["kind"], name == step.inputs[0]
    constant = program[step.inputs[first]].data
    if constant is None or kind not in ("add", "sub", "mul"):
        return None
    if kind == "mul":
        return factors * constant, summands * constant
    if kind == "add" or first:
        return factors, summands + (constant if kind == "add" else -constant)
    return -factors, constant - summands
