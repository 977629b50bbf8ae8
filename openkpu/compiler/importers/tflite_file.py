# SPDX-License-Identifier: Apache-2.0
"""TFLite: float32 files, and int8/uint8 full-integer files, whose own scales are kept.

TFLite's maps are (N, H, W, C); here they become (N, C, H, W), with transpositions where an operator looks at the order
of the elements, and at outputs, which keep the file's order.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import CompileError
from ..functions import IDENTITY, Function, clamp, leaky
from ..graph import Graph, Node, Shape
from . import extra_missing

TO_PLANES, TO_PIXELS = (0, 3, 1, 2), (0, 2, 3, 1)
DTYPES = {0: np.float32, 1: np.float16, 2: np.int32, 3: np.uint8, 4: np.int64, 6: np.bool_, 7: np.int16, 9: np.int8}
FUSED = {0: IDENTITY, 1: clamp(0, math.inf), 2: clamp(-1, 1), 3: clamp(0, 6), 4: IDENTITY.then("tanh", IDENTITY)}
BINARY = {"ADD": "add", "SUB": "sub", "MUL": "mul", "DIV": "div", "MINIMUM": "min", "MAXIMUM": "max", "POW": "pow"}
UNARY = {"LOGISTIC": "sigmoid", "TANH": "tanh", "EXP": "exp", "LOG": "log", "SQRT": "sqrt", "RSQRT": "rsqrt",
         "NEG": "neg", "ABS": "abs", "FLOOR": "floor", "CEIL": "ceil", "ROUND": "round", "SIN": "sin", "COS": "cos",
         "SQUARE": "square"}
REDUCE = {"MEAN": "mean", "SUM": "sum", "REDUCE_MAX": "max", "REDUCE_MIN": "min"}


def import_tflite(data: bytes, source: str) -> Graph:
    """The graph of a TFLite file's bytes; CompileError names the file, the operator and the way out."""
    try:
        import tflite
    except ImportError as error:
        raise extra_missing("tflite") from error
    try:
        model = tflite.Model.GetRootAsModel(data, 0)
        if model.SubgraphsLength() != 1:
            raise CompileError(f"{source} has {model.SubgraphsLength()} subgraphs; convert it without control flow")
        return _Importer(tflite, model, source).graph
    except CompileError:
        raise
    except Exception as error:  # flatbuffers reads wherever a damaged offset points
        raise CompileError(f"{source} is no intact TFLite file ({type(error).__name__}: {error}); convert the network "
                           "again") from error


def run_tflite(data: bytes, source: str, outputs: Sequence[str],
               feeds: Sequence[Sequence[np.ndarray]]) -> list[list[np.ndarray]]:
    """The outputs, in floats, for feeds of float planes."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise extra_missing("ai-edge-litert") from error
    try:
        with warnings.catch_warnings():  # that keeping all tensors costs memory
            warnings.simplefilter("ignore")
            runtime = Interpreter(model_content=data, experimental_preserve_all_tensors=True, num_threads=1)
        runtime.allocate_tensors()
        places = {d["name"]: d for d in runtime.get_tensor_details()}
        results = []
        for feed in feeds:
            for d, x in zip(runtime.get_input_details(), feed, strict=True):
                x = x.transpose(TO_PIXELS) if x.ndim == 4 else x
                scale, zero = d["quantization"]
                if scale:
                    info = np.iinfo(d["dtype"])
                    x = np.clip(np.rint(x / scale) + zero, info.min, info.max)
                runtime.set_tensor(d["index"], x.astype(d["dtype"]))
            runtime.invoke()
            results.append([_real(runtime.get_tensor(places[n]["index"]), places[n]["quantization"]) for n in outputs])
        return results
    except Exception as error:
        raise CompileError(f"{source}: LiteRT cannot run the network ({str(error).splitlines()[0]}); convert it "
                           "again") from error


def _real(array: np.ndarray, quantization: tuple[float, int]) -> np.ndarray:
    scale, zero = quantization
    return (array.astype(np.float32) - zero) * np.float32(scale) if scale else array


class _Importer:
    def __init__(self, tflite: Any, model: Any, source: str):
        self.tflite, self.model, self.source = tflite, model, source
        self.sub = model.Subgraphs(0)
        self.names: dict[int, str] = {}
        self.graph = Graph([], {}, {}, [], [])
        codes = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
        for i in range(self.sub.TensorsLength()):
            self.tensor(i)
        self.graph.inputs = [self.names[i] for i in self.sub.InputsAsNumpy()]
        for name in self.graph.inputs:
            shape = self.graph.shapes[name]
            if any(n < 1 for n in shape) or (len(shape) == 4 and shape[0] != 1):
                raise CompileError(f"{source}: the input '{name}' has the shape {list(shape)}; convert the network "
                                   "with a fixed size and a batch of 1")
        for i in range(self.sub.OperatorsLength()):
            op = self.sub.Operators(i)
            code = self.model.OperatorCodes(op.OpcodeIndex())
            number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            self.operator(codes.get(number, str(number)), op)
        for i in self.sub.OutputsAsNumpy():
            self.output(int(i))

    # tensors

    def tensor(self, i: int) -> None:
        t = self.sub.Tensors(i)
        name = t.Name().decode() if t.Name() else f"tensor{i}"
        while name in self.graph.shapes:
            name += "_"
        self.names[i] = name
        shape = tuple(int(n) for n in t.ShapeAsNumpy()) if t.ShapeLength() else ()
        buffer = self.model.Buffers(t.Buffer())
        if t.Type() not in DTYPES:
            raise CompileError(f"{self.source}: the tensor '{name}' has a type that no kmodel has; convert to float32 "
                               "or int8")
        if buffer.DataLength():
            array: np.ndarray = np.frombuffer(buffer.DataAsNumpy().tobytes(), DTYPES[t.Type()]).reshape(shape)
            array = self.dequantized(t, array)
            if array.dtype.kind == "f" and np.isnan(array).any():
                raise CompileError(f"{self.source}: '{name}' holds NaN; train or convert the network again")
            self.graph.constants[name] = array
            self.graph.shapes[name] = array.shape
            return
        self.graph.shapes[name] = tuple(shape[p] for p in TO_PLANES) if len(shape) == 4 else shape
        scales, zeros = self.quantization(t)
        if len(scales) == 1 and t.Type() in (3, 9):
            self.graph.codes[name] = float(scales[0]), int(zeros[0]) + (128 if t.Type() == 9 else 0)

    @staticmethod
    def quantization(t: Any) -> tuple[np.ndarray, np.ndarray]:
        q = t.Quantization()
        if q is None or not q.ScaleLength():
            return np.zeros(0), np.zeros(0)
        zeros = q.ZeroPointAsNumpy() if q.ZeroPointLength() else np.zeros(q.ScaleLength())
        return q.ScaleAsNumpy().astype(np.float64), np.asarray(zeros, np.float64)

    def dequantized(self, t: Any, array: np.ndarray) -> np.ndarray:
        scales, zeros = self.quantization(t)
        if not len(scales) or array.dtype.kind not in "iu":
            return array
        axis = t.Quantization().QuantizedDimension() if len(scales) > 1 else 0
        spread = [-1 if i == axis and len(scales) > 1 else 1 for i in range(array.ndim)] or [1]
        return ((array - zeros.reshape(spread)) * scales.reshape(spread)).astype(np.float32)

    def output(self, i: int) -> None:
        name = self.names[i]
        shape = self.graph.shapes[name]
        if len(shape) != 4:
            self.graph.outputs.append(name)
            return
        # The file's own order of the elements; the value's name stays with what leaves the network.
        inner = self.graph.fresh(f"{name}.planes")
        self.graph.shapes[inner] = shape
        self.graph.replace_value(name, inner)
        for node in self.graph.nodes:
            node.outputs = [inner if o == name else o for o in node.outputs]
        self.graph.shapes[name] = tuple(shape[p] for p in TO_PIXELS)
        self.graph.nodes.append(Node("transpose", [inner], [name], {"perm": TO_PIXELS}, name))
        self.graph.outputs.append(name)

    # operators

    def operator(self, kind: str, op: Any) -> None:
        ins = [self.names[i] if i >= 0 else "" for i in op.InputsAsNumpy()]
        outs = [self.names[i] for i in op.OutputsAsNumpy()]
        handler = getattr(self, f"op_{kind}", None)
        self.kind = kind
        if kind in BINARY:
            self.binary(ins, outs, BINARY[kind], self.options(op, {"ADD": "AddOptions", "SUB": "SubOptions",
                                                                   "MUL": "MulOptions", "DIV": "DivOptions"}.get(kind)))
        elif kind in UNARY:
            self.function(ins[0], outs[0], IDENTITY.then(UNARY[kind], IDENTITY))
        elif kind in REDUCE:
            self.reduce(ins, outs, REDUCE[kind], op)
        elif handler is None:
            raise self.fail(outs[0], "is not supported; cut the network before it with --outputs, or write it with "
                                     "other operators")
        else:
            handler(ins, outs, op)

    def fail(self, name: str, reason: str) -> CompileError:
        return CompileError(f"{self.source}: the operator '{name}' ({self.kind}) {reason}")

    def options(self, op: Any, kind: str | None) -> Any:
        if kind is None or op.BuiltinOptions() is None:
            return None
        options = getattr(self.tflite, kind)()
        options.Init(op.BuiltinOptions().Bytes, op.BuiltinOptions().Pos)
        return options

    def add(self, op: str, inputs: list[str], output: str, **attrs: Any) -> None:
        self.graph.nodes.append(Node(op, inputs, [output], attrs, output.removesuffix(".sums")))

    def before(self, output: str, fused: int) -> str:
        """The value in front of a fused function, which is appended by the caller through :meth:`after`."""
        if not FUSED.get(fused, IDENTITY).steps:
            return output
        name = self.graph.fresh(f"{output}.sums")
        self.graph.shapes[name] = self.graph.shapes[output]
        return name

    def after(self, inner: str, output: str, fused: int) -> None:
        if fused not in FUSED:
            raise self.fail(output, "has a fused function that is not supported")
        if inner != output:
            self.add("act", [inner], output, function=FUSED[fused])

    def constant(self, name: str, what: str) -> np.ndarray:
        if name not in self.graph.constants:
            raise self.fail(name, f"has {what} that are computed at run time; make them constants")
        return self.graph.constants[name]

    def function(self, source: str, output: str, f: Function) -> None:
        self.add("act", [source], output, function=f)

    @staticmethod
    def same(size: Sequence[int], out: Sequence[int], kernel: Sequence[int], stride: Sequence[int],
             dilation: Sequence[int], padding: int) -> tuple[int, int, int, int]:
        """TFLite's padding: 0 is "same", with the odd pixel behind."""
        if padding == 1:
            return 0, 0, 0, 0
        total = [max(0, (o - 1) * s + (k - 1) * d + 1 - n)
                 for n, o, k, s, d in zip(size, out, kernel, stride, dilation, strict=True)]
        return total[0] // 2, total[1] // 2, total[0] - total[0] // 2, total[1] - total[1] // 2

    def convolution(self, ins: list[str], output: str, w: np.ndarray, o: Any, groups: int) -> None:
        stride, dilation = (o.StrideH(), o.StrideW()), (max(1, o.DilationHFactor()), max(1, o.DilationWFactor()))
        b = self.constant(ins[2], "biases") if len(ins) > 2 and ins[2] else np.zeros(len(w), np.float32)
        fused = o.FusedActivationFunction()
        inner = self.before(output, fused)
        self.add("conv", [ins[0]], inner, w=np.ascontiguousarray(w, np.float32), b=b.astype(np.float32), stride=stride,
                 dilation=dilation, groups=groups,
                 pads=self.same(self.graph.shapes[ins[0]][2:], self.graph.shapes[output][2:], w.shape[2:], stride,
                                dilation, o.Padding()))
        self.after(inner, output, fused)

    def op_CONV_2D(self, ins: list[str], outs: list[str], op: Any) -> None:
        w = self.constant(ins[1], "weights").transpose(0, 3, 1, 2)
        self.convolution(ins, outs[0], w, self.options(op, "Conv2DOptions"), self.graph.shapes[ins[0]][1] // w.shape[1])

    def op_DEPTHWISE_CONV_2D(self, ins: list[str], outs: list[str], op: Any) -> None:
        w = self.constant(ins[1], "weights").transpose(3, 0, 1, 2)
        self.convolution(ins, outs[0], w, self.options(op, "DepthwiseConv2DOptions"), self.graph.shapes[ins[0]][1])

    def op_FULLY_CONNECTED(self, ins: list[str], outs: list[str], op: Any) -> None:
        o = self.options(op, "FullyConnectedOptions")
        w = self.constant(ins[1], "weights")
        b = self.constant(ins[2], "biases") if len(ins) > 2 and ins[2] else np.zeros(len(w))
        source = self.pixels(ins[0])
        inner = self.before(outs[0], o.FusedActivationFunction())
        flat = self.graph.fresh(f"{outs[0]}.flat")
        count = math.prod(self.graph.shapes[source]) // w.shape[1]
        self.graph.shapes[flat] = (count, w.shape[1])
        self.add("reshape", [source], flat)
        self.add("matmul", [flat], inner, w=w.T.astype(np.float32), b=b.astype(np.float32))
        self.after(inner, outs[0], o.FusedActivationFunction())

    def pool(self, ins: list[str], outs: list[str], op: Any, kind: str) -> None:
        o = self.options(op, "Pool2DOptions")
        kernel, stride = (o.FilterHeight(), o.FilterWidth()), (o.StrideH(), o.StrideW())
        inner = self.before(outs[0], o.FusedActivationFunction())
        self.add("pool", [ins[0]], inner, kind=kind, kernel=kernel, stride=stride, count_pad=False,
                 pads=self.same(self.graph.shapes[ins[0]][2:], self.graph.shapes[outs[0]][2:], kernel, stride, (1, 1),
                                o.Padding()))
        self.after(inner, outs[0], o.FusedActivationFunction())

    def op_MAX_POOL_2D(self, ins: list[str], outs: list[str], op: Any) -> None:
        self.pool(ins, outs, op, "max")

    def op_AVERAGE_POOL_2D(self, ins: list[str], outs: list[str], op: Any) -> None:
        self.pool(ins, outs, op, "mean")

    def binary(self, ins: list[str], outs: list[str], kind: str, options: Any) -> None:
        names = []
        for name in ins:
            array = self.graph.constants.get(name)
            if array is not None and len(self.graph.shapes[outs[0]]) == 4 and array.ndim:
                array = array.reshape((1,) * (4 - array.ndim) + array.shape).transpose(TO_PLANES)
                name = self.graph.fresh(f"{name}.planes")
                self.graph.constants[name], self.graph.shapes[name] = array, array.shape
            names.append(name)
        fused = options.FusedActivationFunction() if options else 0
        inner = self.before(outs[0], fused)
        self.add("binary", names, inner, kind=kind)
        self.after(inner, outs[0], fused)

    def op_RELU(self, ins: list[str], outs: list[str], op: Any) -> None:
        self.function(ins[0], outs[0], clamp(0, math.inf))

    def op_RELU6(self, ins: list[str], outs: list[str], op: Any) -> None:
        self.function(ins[0], outs[0], clamp(0, 6))

    def op_RELU_N1_TO_1(self, ins: list[str], outs: list[str], op: Any) -> None:
        self.function(ins[0], outs[0], clamp(-1, 1))

    def op_LEAKY_RELU(self, ins: list[str], outs: list[str], op: Any) -> None:
        self.function(ins[0], outs[0], leaky(self.options(op, "LeakyReluOptions").Alpha()))

    def op_HARD_SWISH(self, ins: list[str], outs: list[str], op: Any) -> None:
        f = IDENTITY.then("add", IDENTITY, 3.0)
        f = f.then("max", f, 0.0)
        f = f.then("min", f, 6.0)
        f = f.then("mul", f, 1 / 6)
        self.function(ins[0], outs[0], f.then("mul", f, IDENTITY))

    def op_ELU(self, ins: list[str], outs: list[str], op: Any) -> None:
        low = IDENTITY.then("min", IDENTITY, 0.0)
        low = low.then("exp", low)
        low = low.then("sub", low, 1.0)
        high = IDENTITY.then("max", IDENTITY, 0.0)
        self.function(ins[0], outs[0], high.then("add", high, low))

    def op_PRELU(self, ins: list[str], outs: list[str], op: Any) -> None:
        slope = self.constant(ins[1], "slopes").astype(np.float64)
        channels = self.graph.shapes[ins[0]][1]
        if slope.size not in (1, channels):
            raise self.fail(outs[0], "has more than one slope per channel; use shared_axes=[1, 2]")
        self.add("prelu", [ins[0]], outs[0], slope=np.broadcast_to(slope.ravel(), channels).copy())

    def op_QUANTIZE(self, ins: list[str], outs: list[str], op: Any) -> None:
        if ins[0] in self.graph.constants:  # weights in half precision
            self.graph.constants[outs[0]] = self.graph.constants[ins[0]].astype(np.float32)
        else:
            self.function(ins[0], outs[0], IDENTITY)

    op_DEQUANTIZE = op_CAST = op_QUANTIZE

    def op_SOFTMAX(self, ins: list[str], outs: list[str], op: Any) -> None:
        beta = self.options(op, "SoftmaxOptions").Beta()
        if beta != 1:
            raise self.fail(outs[0], "has a beta other than 1; scale the layer before it")
        rank = len(self.graph.shapes[ins[0]])
        self.add("softmax", [ins[0]], outs[0], axis=1 if rank == 4 else rank - 1)

    # shapes

    def pixels(self, name: str) -> str:
        """The value in TFLite's order of elements."""
        shape = self.graph.shapes[name]
        if len(shape) != 4 or name in self.graph.constants:
            return name
        turned = self.graph.fresh(f"{name}.pixels")
        self.graph.shapes[turned] = tuple(shape[p] for p in TO_PIXELS)
        self.add("transpose", [name], turned, perm=TO_PIXELS)
        return turned

    def planes(self, output: str, make: Any) -> None:
        """Let ``make`` write a value in TFLite's order, and turn it into planes."""
        shape = self.graph.shapes[output]
        if len(shape) != 4:
            return make(output)
        name = self.graph.fresh(f"{output}.pixels")
        self.graph.shapes[name] = tuple(shape[p] for p in TO_PIXELS)
        make(name)
        return self.add("transpose", [name], output, perm=TO_PLANES)

    def op_RESHAPE(self, ins: list[str], outs: list[str], op: Any) -> None:
        source = self.pixels(ins[0])
        self.planes(outs[0], lambda name: self.add("reshape", [source], name))

    op_SQUEEZE = op_EXPAND_DIMS = op_RESHAPE

    def op_TRANSPOSE(self, ins: list[str], outs: list[str], op: Any) -> None:
        source, perm = self.pixels(ins[0]), tuple(int(p) for p in self.constant(ins[1], "axes"))
        self.planes(outs[0], lambda name: self.add("transpose", [source], name, perm=perm))

    def axis(self, axis: int, rank: int) -> int:
        axis %= rank
        return TO_PLANES.index(axis) if rank == 4 else axis

    def op_CONCATENATION(self, ins: list[str], outs: list[str], op: Any) -> None:
        o = self.options(op, "ConcatenationOptions")
        inner = self.before(outs[0], o.FusedActivationFunction())
        self.add("concat", ins, inner, axis=self.axis(o.Axis(), len(self.graph.shapes[outs[0]])))
        self.after(inner, outs[0], o.FusedActivationFunction())

    def op_PAD(self, ins: list[str], outs: list[str], op: Any) -> None:
        pads = [(int(a), int(b)) for a, b in self.constant(ins[1], "pads")]
        if len(pads) == 4:
            pads = [pads[p] for p in TO_PLANES]
        value = float(self.constant(ins[2], "a value").ravel()[0]) if len(ins) > 2 else 0.0
        self.add("pad", [ins[0]], outs[0], pads=tuple(pads), value=value)

    op_PADV2 = op_PAD

    def slice(self, source: str, output: str, begin: Sequence[int], end: Sequence[int], step: Sequence[int]) -> None:
        order = TO_PLANES if len(begin) == 4 else range(len(begin))
        self.add("slice", [source], output, begin=tuple(begin[p] for p in order), end=tuple(end[p] for p in order),
                 step=tuple(step[p] for p in order))

    def tflite_shape(self, name: str) -> Shape:
        shape = self.graph.shapes[name]
        return tuple(shape[p] for p in TO_PIXELS) if len(shape) == 4 else shape

    def op_SLICE(self, ins: list[str], outs: list[str], op: Any) -> None:
        begin, size = (self.constant(n, "bounds") for n in ins[1:3])
        shape = self.tflite_shape(ins[0])
        end = [int(b) + (int(s) if s >= 0 else n - int(b)) for b, s, n in zip(begin, size, shape, strict=True)]
        self.slice(ins[0], outs[0], [int(b) for b in begin], end, [1] * len(end))

    def op_STRIDED_SLICE(self, ins: list[str], outs: list[str], op: Any) -> None:
        o = self.options(op, "StridedSliceOptions")
        begin, end, step = (self.constant(n, "bounds") for n in ins[1:4])
        shape = self.tflite_shape(ins[0])
        if o.EllipsisMask() or o.NewAxisMask() or o.ShrinkAxisMask() or (step < 1).any() or len(begin) != len(shape):
            raise self.fail(outs[0], "does more than cut a range out of every dimension")
        ranges = [range(n)[slice(None if o.BeginMask() >> i & 1 else int(b),
                                 None if o.EndMask() >> i & 1 else int(e), int(s))]
                  for i, (n, b, e, s) in enumerate(zip(shape, begin, end, step, strict=True))]
        self.slice(ins[0], outs[0], [r.start for r in ranges], [r[-1] + 1 for r in ranges], [r.step for r in ranges])

    def op_SPLIT(self, ins: list[str], outs: list[str], op: Any) -> None:
        axis = int(self.constant(ins[0], "an axis").ravel()[0])
        shape = list(self.tflite_shape(ins[1]))
        axis %= len(shape)
        size = shape[axis] // len(outs)
        for i, name in enumerate(outs):
            begin, end = [0] * len(shape), list(shape)
            begin[axis], end[axis] = i * size, (i + 1) * size
            self.slice(ins[1], name, begin, end, [1] * len(shape))

    def reduce(self, ins: list[str], outs: list[str], kind: str, op: Any) -> None:
        rank = len(self.graph.shapes[ins[0]])
        axes = [self.axis(int(a), rank) for a in self.constant(ins[1], "axes").ravel()]
        self.add("reduce", [ins[0]], outs[0], kind=kind, axes=tuple(sorted(axes)))

    def resize(self, ins: list[str], outs: list[str], o: Any, mode: str) -> None:
        source, target = self.graph.shapes[ins[0]][2:], self.graph.shapes[outs[0]][2:]
        corners, halves = bool(o.AlignCorners()), bool(o.HalfPixelCenters())
        if mode == "nearest" and not corners and all(t % s == 0 for s, t in zip(source, target, strict=True)):
            self.add("upsample", [ins[0]], outs[0], factor=(target[0] // source[0], target[1] // source[1]))
            return
        self.add("resize", [ins[0]], outs[0], mode=mode, align_corners=corners, half_pixel=halves)

    def op_RESIZE_NEAREST_NEIGHBOR(self, ins: list[str], outs: list[str], op: Any) -> None:
        self.resize(ins, outs, self.options(op, "ResizeNearestNeighborOptions"), "nearest")

    def op_RESIZE_BILINEAR(self, ins: list[str], outs: list[str], op: Any) -> None:
        self.resize(ins, outs, self.options(op, "ResizeBilinearOptions"), "bilinear")
