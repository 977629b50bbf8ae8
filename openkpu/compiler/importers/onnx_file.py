# SPDX-License-Identifier: Apache-2.0
"""ONNX, opset 7 to the newest that the onnx package knows.

The onnx package reads and checks the file and infers shapes, onnxslim folds exporters' chains of constants; here is
only the translation of the operators that are left.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import CompileError
from ..functions import IDENTITY, Function, clamp, leaky
from ..graph import Graph, Node
from . import extra_missing


def import_onnx(data: bytes, source: str) -> Graph:
    """The graph of an ONNX file's bytes; CompileError names the file, the node and the way out."""
    model = _simplified(_read(data, source), source)
    return _Importer(model, source).graph


def _read(data: bytes, source: str) -> Any:
    try:
        import onnx
        import onnxslim  # noqa: F401
    except ImportError as error:
        raise extra_missing(error.name or "onnx") from error
    try:
        model = onnx.load_model_from_string(data)
        with contextlib.suppress(onnx.shape_inference.InferenceError):  # outputs may lack a shape
            model = onnx.shape_inference.infer_shapes(model)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf and the checker raise many kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CompileError(f"{source} is no intact ONNX file ({reason}); export the network again") from error
    if not model.graph.node:
        raise CompileError(f"{source} holds no operator; export the network again")
    constants = {t.name for t in model.graph.initializer}
    for value in [v for v in model.graph.input if v.name in constants]:
        model.graph.input.remove(value)
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        for i, dim in enumerate(dims):
            if dim.dim_value <= 0:
                if i:
                    raise CompileError(f"{source}: the input '{value.name}' has a dynamic dimension "
                                       f"{i} ('{dim.dim_param or '?'}'); export the network with a fixed size")
                dim.dim_value = 1
            elif i == 0 and len(dims) == 4 and dim.dim_value != 1:
                raise CompileError(f"{source}: the input '{value.name}' has a batch of {dim.dim_value}; export the "
                                   "network with a batch of 1 or a dynamic one")
    del model.graph.value_info[:]
    return model


def _simplified(model: Any, source: str) -> Any:
    import onnx
    import onnxslim

    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            slim = onnxslim.slim(model, skip_fusion_patterns=None)
    except Exception:  # the simplifier is a convenience; shape inference decides
        slim = model
    try:
        return onnx.shape_inference.infer_shapes(slim, data_prop=True)
    except Exception as error:
        raise CompileError(f"{source}: shapes cannot be inferred ({str(error).strip().splitlines()[0]}); export the "
                           "network with fixed shapes") from error


class _Importer:
    def __init__(self, model: Any, source: str):
        import onnx

        self.onnx, self.source = onnx, source
        self.opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
        if self.opset < 7:
            raise CompileError(f"{source} has opset {self.opset}; export it with opset 7 or newer")
        g = model.graph
        shapes = {}
        for value in (*g.input, *g.value_info, *g.output):
            dims = value.type.tensor_type.shape.dim
            if value.type.tensor_type.HasField("shape") and all(d.dim_value > 0 for d in dims):
                shapes[value.name] = tuple(d.dim_value for d in dims)
        constants = {t.name: onnx.numpy_helper.to_array(t) for t in g.initializer}
        for name, array in constants.items():
            shapes[name] = array.shape
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                user = next((n.name or n.op_type for n in g.node if name in n.input), name)
                if np.isnan(array).any():
                    raise CompileError(f"{source}: '{name}' of node '{user}' holds NaN; train or export the network "
                                       "again")
        self.graph = Graph([], shapes, constants, [v.name for v in g.input], [v.name for v in g.output])
        for node in g.node:
            self.node(node)
        for name in self.graph.outputs:
            if name in constants:
                raise CompileError(f"{source}: the output '{name}' is a constant; leave it out with --outputs")

    def fail(self, node: Any, reason: str) -> CompileError:
        return CompileError(f"{self.source}: node '{node.name or node.output[0]}' ({node.op_type}) {reason}")

    def node(self, node: Any) -> None:
        attrs = {a.name: self.onnx.helper.get_attribute_value(a) for a in node.attribute}
        attrs = {k: v.decode() if isinstance(v, bytes) else v for k, v in attrs.items()}
        if node.input and all(not i or i in self.graph.constants for i in node.input) or node.op_type == "Constant":
            return self.fold(node)
        handler: Callable[[Any, dict[str, Any]], None] | None = getattr(self, "op_" + node.op_type, None)
        if handler is None or node.domain not in ("", "ai.onnx"):
            raise self.fail(node, "is not supported; cut the network before it with --outputs, or write it with other "
                                  "operators")
        for name in node.output:
            if name and name not in self.graph.shapes and not (node.op_type in ("Dropout", "BatchNormalization")
                                                               and name != node.output[0]):
                raise self.fail(node, f"has a result '{name}' of unknown shape; export the network with fixed shapes")
        handler(node, attrs)

    def fold(self, node: Any) -> None:
        from onnx.reference import ReferenceEvaluator

        names = [i for i in dict.fromkeys(node.input) if i]
        helper = self.onnx.helper
        graph = helper.make_graph(
            [node], "fold", [helper.make_tensor_value_info(i, helper.np_dtype_to_tensor_dtype(
                self.graph.constants[i].dtype), self.graph.constants[i].shape) for i in names],
            [helper.make_empty_tensor_value_info(o) for o in node.output if o])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        try:
            results = ReferenceEvaluator(model).run(None, {i: self.graph.constants[i] for i in names})
        except Exception as error:
            raise self.fail(node, f"of constants cannot be worked out ({error}); simplify the network") from error
        for name, value in zip([o for o in node.output if o], results, strict=True):
            self.graph.constants[name] = np.asarray(value)
            self.graph.shapes[name] = np.asarray(value).shape

    # what handlers use

    def add(self, node: Any, op: str, inputs: list[str], **attrs: Any) -> None:
        self.graph.nodes.append(Node(op, inputs, [node.output[0]], attrs, node.name or node.output[0]))

    def constant(self, node: Any, index: int, what: str) -> np.ndarray | None:
        if index >= len(node.input) or not node.input[index]:
            return None
        if node.input[index] not in self.graph.constants:
            raise self.fail(node, f"has {what} that are computed at run time; make them constants")
        return self.graph.constants[node.input[index]]

    def shape(self, name: str) -> tuple[int, ...]:
        return self.graph.shapes[name]

    def ints(self, node: Any, attrs: dict[str, Any], name: str, index: int) -> list[int] | None:
        """A list that older opsets have as an attribute and newer ones as an input."""
        if name in attrs:
            value = attrs[name]
            return [int(v) for v in (value if isinstance(value, list | tuple) else [value])]
        array = self.constant(node, index, name)
        return None if array is None else [int(v) for v in array.ravel()]

    def scalar(self, node: Any, attrs: dict[str, Any], name: str, index: int, default: float) -> float:
        if name in attrs:
            return float(attrs[name])
        array = self.constant(node, index, name)
        return default if array is None or array.size == 0 else float(array.ravel()[0])

    def window(self, node: Any, attrs: dict[str, Any], kernel: tuple[int, int], out: tuple[int, ...],
               ) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
        """stride, dilation, pads of a sliding window in two dimensions."""
        rank = len(self.shape(node.input[0]))
        if rank != 4:
            raise self.fail(node, f"works on {rank - 2} dimensions; only two are supported")
        stride = tuple(attrs.get("strides", (1, 1)))
        dilation = tuple(attrs.get("dilations", (1, 1)))
        pads = tuple(attrs.get("pads", (0, 0, 0, 0)))
        auto = attrs.get("auto_pad", "NOTSET")
        if auto.startswith("SAME"):
            size = self.shape(node.input[0])[2:]
            total = [max(0, (out[i + 2] - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1 - size[i]) for i in (0, 1)]
            less = [t // 2 if auto == "SAME_UPPER" else t - t // 2 for t in total]
            pads = (*less, *(t - s for t, s in zip(total, less, strict=True)))
        elif auto == "VALID":
            pads = (0, 0, 0, 0)
        return stride, dilation, pads

    def elementwise(self, node: Any, function: Function) -> None:
        self.add(node, "act", [node.input[0]], function=function)

    # operators with weights

    def op_Conv(self, node: Any, attrs: dict[str, Any]) -> None:
        w = self.constant(node, 1, "weights")
        b = self.constant(node, 2, "biases")
        assert w is not None
        if w.ndim == 3 and len(self.shape(node.input[0])) == 3:
            raise self.fail(node, "is one-dimensional; write it as a two-dimensional convolution of height 1")
        stride, dilation, pads = self.window(node, attrs, w.shape[2:], self.shape(node.output[0]))
        self.add(node, "conv", [node.input[0]], w=w.astype(np.float32), b=_bias(b, len(w)), stride=stride,
                 dilation=dilation, pads=pads, groups=attrs.get("group", 1))

    def op_ConvTranspose(self, node: Any, attrs: dict[str, Any]) -> None:
        w = self.constant(node, 1, "weights")
        b = self.constant(node, 2, "biases")
        assert w is not None
        stride, dilation, pads = self.window(node, attrs, w.shape[2:], self.shape(node.output[0]))
        groups = attrs.get("group", 1)
        if attrs.get("auto_pad", "NOTSET") != "NOTSET" or any(attrs.get("output_padding", (0, 0))):
            raise self.fail(node, "has automatic or output padding; give explicit pads")
        self.add(node, "conv2d_transpose", [node.input[0]], w=w.astype(np.float32), b=_bias(b, w.shape[1] * groups),
                 stride=stride, dilation=dilation, pads=pads, groups=groups)

    def op_Gemm(self, node: Any, attrs: dict[str, Any]) -> None:
        w, c = self.constant(node, 1, "weights"), self.constant(node, 2, "biases")
        assert w is not None
        w = w if attrs.get("transB") else w.T
        if attrs.get("transA"):
            raise self.fail(node, "transposes its input; transpose the weights instead")
        b = np.zeros(len(w)) if c is None else attrs.get("beta", 1.0) * np.broadcast_to(c.ravel(), len(w))
        self.add(node, "matmul", [node.input[0]], w=(attrs.get("alpha", 1.0) * w.T).astype(np.float32),
                 b=b.astype(np.float32))

    def op_MatMul(self, node: Any, attrs: dict[str, Any]) -> None:
        w = self.graph.constants.get(node.input[1])
        if node.input[0] in self.graph.constants:
            raise self.fail(node, "multiplies a constant by a tensor; transpose the product")
        if w is None:
            return self.add(node, "matmul", list(node.input))
        if w.ndim != 2:
            raise self.fail(node, f"has weights of {w.ndim} dimensions; two are supported")
        return self.add(node, "matmul", [node.input[0]], w=w.astype(np.float32),
                        b=np.zeros(w.shape[1], np.float32))

    def op_BatchNormalization(self, node: Any, attrs: dict[str, Any]) -> None:
        found = [self.constant(node, i, "statistics") for i in (1, 2, 3, 4)]
        statistics = [f.astype(np.float64) for f in found if f is not None]
        if len(statistics) < len(found):
            raise self.fail(node, "lacks some of its statistics")
        gamma, beta, mean, var = statistics
        scale = gamma / np.sqrt(var + attrs.get("epsilon", 1e-5))
        self.add(node, "affine", [node.input[0]], scale=scale, shift=beta - mean * scale)

    # elementwise

    def op_PRelu(self, node: Any, attrs: dict[str, Any]) -> None:
        slope = self.constant(node, 1, "slopes")
        assert slope is not None
        if slope.size == 1:
            return self.elementwise(node, leaky(float(slope.ravel()[0])))
        channels = self.shape(node.input[0])[1]
        if slope.size != channels:
            raise self.fail(node, "has more than one slope per channel; use one")
        return self.add(node, "prelu", [node.input[0]], slope=slope.astype(np.float64).ravel())

    def op_Clip(self, node: Any, attrs: dict[str, Any]) -> None:
        self.elementwise(node, clamp(self.scalar(node, attrs, "min", 1, -math.inf),
                                     self.scalar(node, attrs, "max", 2, math.inf)))

    def op_Relu(self, node: Any, attrs: dict[str, Any]) -> None:
        self.elementwise(node, clamp(0, math.inf))

    def op_LeakyRelu(self, node: Any, attrs: dict[str, Any]) -> None:
        self.elementwise(node, leaky(attrs.get("alpha", 0.01)))

    def op_HardSigmoid(self, node: Any, attrs: dict[str, Any]) -> None:
        self.elementwise(node, hard_sigmoid(attrs.get("alpha", 0.2), attrs.get("beta", 0.5)))

    def op_HardSwish(self, node: Any, attrs: dict[str, Any]) -> None:
        f = hard_sigmoid(1 / 6, 0.5)
        self.elementwise(node, f.then("mul", f, IDENTITY))

    def op_Mish(self, node: Any, attrs: dict[str, Any]) -> None:
        f = IDENTITY.then("softplus", IDENTITY)
        f = f.then("tanh", f)
        self.elementwise(node, f.then("mul", f, IDENTITY))

    def op_Elu(self, node: Any, attrs: dict[str, Any]) -> None:
        low = IDENTITY.then("min", IDENTITY, 0.0)
        low = low.then("exp", low)
        low = low.then("sub", low, 1.0)
        low = low.then("mul", low, float(attrs.get("alpha", 1.0)))
        high = IDENTITY.then("max", IDENTITY, 0.0)
        self.elementwise(node, high.then("add", high, low))

    def op_Gelu(self, node: Any, attrs: dict[str, Any]) -> None:
        f = IDENTITY.then("mul", IDENTITY, math.sqrt(0.5))
        f = f.then("erf", f)
        f = f.then("add", f, 1.0)
        f = f.then("mul", f, 0.5)
        self.elementwise(node, f.then("mul", f, IDENTITY))

    def op_Swish(self, node: Any, attrs: dict[str, Any]) -> None:
        f = IDENTITY.then("mul", IDENTITY, float(attrs.get("alpha", 1.0)))
        f = f.then("sigmoid", f)
        self.elementwise(node, f.then("mul", f, IDENTITY))

    def op_Identity(self, node: Any, attrs: dict[str, Any]) -> None:
        self.elementwise(node, IDENTITY)

    op_Dropout = op_Identity

    def op_Cast(self, node: Any, attrs: dict[str, Any]) -> None:
        if attrs["to"] not in (1, 10, 11, 16):
            raise self.fail(node, "turns floats into another type; leave it out")
        self.elementwise(node, IDENTITY)

    def unary(self, node: Any, kind: str) -> None:
        self.elementwise(node, IDENTITY.then(kind, IDENTITY))

    def binary(self, node: Any, kind: str) -> None:
        self.add(node, "binary", list(node.input), kind=kind)

    def variadic(self, node: Any, kind: str) -> None:
        name = node.input[0]
        for i, other in enumerate(node.input[1:], 1):
            last = i == len(node.input) - 1
            out = node.output[0] if last else self.graph.fresh(f"{node.output[0]}.{i}")
            self.graph.shapes[out] = np.broadcast_shapes(self.shape(name), self.shape(other))
            self.graph.nodes.append(Node("binary", [name, other], [out], {"kind": kind}, node.name or node.output[0]))
            name = out

    # pools

    def pool(self, node: Any, attrs: dict[str, Any], kind: str) -> None:
        kernel = tuple(attrs["kernel_shape"])
        stride, dilation, pads = self.window(node, attrs, kernel, self.shape(node.output[0]))
        if dilation != (1, 1):
            raise self.fail(node, "is dilated; use a pool without dilation")
        self.add(node, "pool", [node.input[0]], kind=kind, kernel=kernel, stride=stride, pads=pads,
                 count_pad=bool(attrs.get("count_include_pad", 0)))

    def op_MaxPool(self, node: Any, attrs: dict[str, Any]) -> None:
        self.pool(node, attrs, "max")

    def op_AveragePool(self, node: Any, attrs: dict[str, Any]) -> None:
        self.pool(node, attrs, "mean")

    def reduce(self, node: Any, attrs: dict[str, Any], kind: str) -> None:
        rank = len(self.shape(node.input[0]))
        axes = self.ints(node, attrs, "axes", 1) or list(range(rank))
        self.add(node, "reduce", [node.input[0]], kind=kind, axes=tuple(sorted(a % rank for a in axes)))

    def op_GlobalAveragePool(self, node: Any, attrs: dict[str, Any]) -> None:
        self.add(node, "reduce", [node.input[0]], kind="mean", axes=(2, 3))

    def op_GlobalMaxPool(self, node: Any, attrs: dict[str, Any]) -> None:
        self.add(node, "reduce", [node.input[0]], kind="max", axes=(2, 3))

    def softmax(self, node: Any, attrs: dict[str, Any], log: bool = False) -> None:
        rank = len(self.shape(node.input[0]))
        axis = attrs.get("axis", -1 if self.opset >= 13 else 1) % rank
        shape = self.shape(node.input[0])
        if self.opset < 13 and math.prod(shape[axis + 1:]) != 1:
            raise self.fail(node, "runs over several dimensions at once; export it with opset 13 or newer")
        self.add(node, "softmax", [node.input[0]], axis=axis)

    op_Softmax = softmax

    # shapes

    def op_Reshape(self, node: Any, attrs: dict[str, Any]) -> None:
        self.add(node, "reshape", [node.input[0]])

    op_Flatten = op_Squeeze = op_Unsqueeze = op_Reshape

    def op_Transpose(self, node: Any, attrs: dict[str, Any]) -> None:
        rank = len(self.shape(node.input[0]))
        self.add(node, "transpose", [node.input[0]], perm=tuple(attrs.get("perm", range(rank)[::-1])))

    def op_Concat(self, node: Any, attrs: dict[str, Any]) -> None:
        self.add(node, "concat", list(node.input), axis=attrs["axis"] % len(self.shape(node.output[0])))

    def op_Slice(self, node: Any, attrs: dict[str, Any]) -> None:
        shape = self.shape(node.input[0])
        begin, end = self.ints(node, attrs, "starts", 1), self.ints(node, attrs, "ends", 2)
        assert begin is not None and end is not None
        axes = self.ints(node, attrs, "axes", 3) or list(range(len(begin)))
        step = self.ints(node, attrs, "steps", 4) or [1] * len(begin)
        ranges = [range(n) for n in shape]
        for b, e, a, s in zip(begin, end, axes, step, strict=True):
            if s < 0:
                raise self.fail(node, "runs backwards; only forward slices are supported")
            ranges[a] = ranges[a][b:e:s]
        self.add(node, "slice", [node.input[0]], begin=tuple(r.start for r in ranges),
                 end=tuple(r[-1] + 1 for r in ranges), step=tuple(r.step for r in ranges))

    def op_Split(self, node: Any, attrs: dict[str, Any]) -> None:
        shape = self.shape(node.input[0])
        axis, at = attrs.get("axis", 0) % len(shape), 0
        for name in node.output:
            size = self.shape(name)[axis]
            begin = tuple(at if i == axis else 0 for i in range(len(shape)))
            end = tuple(at + size if i == axis else n for i, n in enumerate(shape))
            self.graph.nodes.append(Node("slice", [node.input[0]], [name], {
                "begin": begin, "end": end, "step": (1,) * len(shape)}, node.name or name))
            at += size

    def op_Pad(self, node: Any, attrs: dict[str, Any]) -> None:
        pads = self.ints(node, attrs, "pads", 1)
        assert pads is not None
        if attrs.get("mode", "constant") != "constant":
            raise self.fail(node, f"pads by {attrs['mode']}; pad with a constant")
        rank = len(self.shape(node.input[0]))
        axes = self.ints(node, {}, "axes", 3) or list(range(rank))
        pairs = [(0, 0)] * rank
        for i, axis in enumerate(axes):
            pairs[axis] = pads[i], pads[i + len(axes)]
        self.add(node, "pad", [node.input[0]], pads=tuple(pairs), value=self.scalar(node, attrs, "value", 2, 0.0))

    def op_Resize(self, node: Any, attrs: dict[str, Any]) -> None:
        source, target = self.shape(node.input[0]), self.shape(node.output[0])
        mode = attrs.get("mode", "nearest")
        how = attrs.get("coordinate_transformation_mode", "half_pixel" if self.opset >= 11 else "asymmetric")
        if mode not in ("nearest", "linear") or len(source) != 4 or source[:2] != target[:2]:
            raise self.fail(node, f"resizes by {mode} in other than two dimensions; use nearest or linear")
        whole = all(t % s == 0 for s, t in zip(source, target, strict=True))
        rounding = attrs.get("nearest_mode", "round_prefer_floor" if self.opset >= 11 else "floor")
        halves = how in ("half_pixel", "pytorch_half_pixel")
        if mode == "nearest" and whole and (halves or (how == "asymmetric" and rounding == "floor")):
            return self.add(node, "upsample", [node.input[0]], factor=(target[2] // source[2], target[3] // source[3]))
        if mode == "nearest" and not (how == "asymmetric" and rounding == "floor"):
            raise self.fail(node, f"picks pixels by '{how}' and '{rounding}'; use 'asymmetric' and 'floor'")
        return self.add(node, "resize", [node.input[0]], mode="bilinear" if mode == "linear" else mode,
                        align_corners=how == "align_corners", half_pixel=halves)

    op_Upsample = op_Resize

    def op_DepthToSpace(self, node: Any, attrs: dict[str, Any]) -> None:
        n, c, h, w = self.shape(node.input[0])
        b = attrs["blocksize"]
        crd = attrs.get("mode", "DCR") == "CRD"
        self.rearrange(node, (n, c // b // b, b, b, h, w) if crd else (n, b, b, c // b // b, h, w),
                       (0, 1, 4, 2, 5, 3) if crd else (0, 3, 4, 1, 5, 2))

    def op_SpaceToDepth(self, node: Any, attrs: dict[str, Any]) -> None:
        n, c, h, w = self.shape(node.input[0])
        b = attrs["blocksize"]
        self.rearrange(node, (n, c, h // b, b, w // b, b), (0, 3, 5, 1, 2, 4))

    def rearrange(self, node: Any, shape: tuple[int, ...], perm: tuple[int, ...]) -> None:
        split, turned = (self.graph.fresh(f"{node.output[0]}.{s}") for s in ("split", "turned"))
        self.graph.shapes[split] = shape
        self.graph.shapes[turned] = tuple(shape[p] for p in perm)
        name = node.name or node.output[0]
        self.graph.nodes += [Node("reshape", [node.input[0]], [split], {}, name),
                             Node("transpose", [split], [turned], {"perm": perm}, name),
                             Node("reshape", [turned], [node.output[0]], {}, name)]


def hard_sigmoid(alpha: float, beta: float) -> Function:
    f = IDENTITY.then("mul", IDENTITY, float(alpha))
    f = f.then("add", f, float(beta))
    f = f.then("max", f, 0.0)
    return f.then("min", f, 1.0)


def _bias(b: np.ndarray | None, channels: int) -> np.ndarray:
    return np.zeros(channels, np.float32) if b is None else b.astype(np.float32).ravel()


def _define(table: dict[str, str], method: str) -> None:
    for onnx_name, kind in table.items():
        setattr(_Importer, f"op_{onnx_name}",
                lambda self, node, attrs, kind=kind: getattr(self, method)(node, kind))


_define({"Abs": "abs", "Ceil": "ceil", "Cos": "cos", "Exp": "exp", "Floor": "floor", "Log": "log", "Neg": "neg",
         "Sin": "sin", "Sqrt": "sqrt", "Tanh": "tanh", "Sigmoid": "sigmoid", "Round": "round", "Erf": "erf",
         "Softplus": "softplus", "Reciprocal": "reciprocal", "Sign": "sign"}, "unary")
_define({"Sub": "sub", "Mul": "mul", "Div": "div", "Pow": "pow", "Add": "add"}, "binary")
_define({"Min": "min", "Max": "max", "Sum": "add"}, "variadic")
for _name, _kind in {"ReduceMean": "mean", "ReduceMax": "max", "ReduceMin": "min", "ReduceSum": "sum"}.items():
    setattr(_Importer, f"op_{_name}", lambda self, node, attrs, kind=_kind: self.reduce(node, attrs, kind))
