# SPDX-License-Identifier: Apache-2.0
"""TFLite files: every operator against LiteRT, and files of integers, whose scales are kept."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tflite")
pytest.importorskip("ai_edge_litert")

from tflite_writer import File

from openkpu.compiler import CompileError, compile_network
from openkpu.compiler.importers import import_network
from openkpu.compiler.mapping import Network, map_network
from openkpu.compiler.mapping.evaluate import run
from openkpu.compiler.passes import normalise
from openkpu.compiler.reference import reference
from openkpu.devices.functional import FunctionalDevice
from openkpu.runtime import Session

SAME, VALID = 0, 1
RELU, RELU6 = 1, 3
RNG = np.random.default_rng(5)
SIZE = (1, 12, 16, 4)


def constant(f: File, array: np.ndarray) -> int:
    return f.tensor(array.shape, str(array.dtype), array)


def floats(f: File, *shape: int) -> int:
    return constant(f, RNG.normal(0, 0.4, shape).astype(np.float32))


def whole(f: File, *values) -> int:
    return constant(f, np.array(values, np.int32))


def conv(f: File, x: int, size, outs: int, kernel: int = 3, **options) -> int:
    n, h, w, c = size
    stride, padding = options.get("StrideH", 1), options.get("Padding", SAME)
    reach = (kernel - 1) * options.get("DilationHFactor", 1)
    high, wide = (-(-(s - (reach if padding == VALID else 0)) // stride) for s in (h, w))
    y = f.tensor((n, high, wide, outs))
    return f.op("CONV_2D", [x, floats(f, outs, kernel, kernel, c), floats(f, outs)], [y],
                **({"StrideH": 1, "StrideW": 1, "Padding": SAME} | options))


def depthwise(f: File, x: int) -> int:
    return f.op("DEPTHWISE_CONV_2D", [x, floats(f, 1, 3, 3, 4), floats(f, 4)], [f.tensor((1, 6, 8, 4))], StrideH=2,
                StrideW=2, Padding=SAME, DepthMultiplier=1, FusedActivationFunction=RELU6)


def halves(f: File, x: int) -> int:
    a, b = f.tensor((1, 12, 16, 2)), f.tensor((1, 12, 16, 2))
    f.op("SPLIT", [whole(f, 3), x], [a, b], NumSplits=2)
    return f.op("CONCATENATION", [b, a], [f.tensor(SIZE)], Axis=3)


def dense(f: File, x: int) -> int:
    mean = f.op("MEAN", [x, whole(f, 1, 2)], [f.tensor((1, 4))], KeepDims=False)
    y = f.op("FULLY_CONNECTED", [mean, floats(f, 6, 4), floats(f, 6)], [f.tensor((1, 6))])
    return f.op("SOFTMAX", [y], [f.tensor((1, 6))], Beta=1.0)


def half_weights(f: File, x: int) -> int:
    w = constant(f, RNG.normal(0, 0.4, (5, 1, 1, 4)).astype(np.float16))
    w = f.op("DEQUANTIZE", [w], [f.tensor((5, 1, 1, 4))])
    return f.op("CONV_2D", [x, w, floats(f, 5)], [f.tensor((1, 12, 16, 5))], StrideH=1, StrideW=1, Padding=SAME)


OPERATORS = {
    "conv": lambda f, x: conv(f, x, SIZE, 8),
    "conv with a stride": lambda f, x: conv(f, x, SIZE, 8, StrideH=2, StrideW=2, FusedActivationFunction=RELU),
    "conv without padding": lambda f, x: conv(f, x, SIZE, 8, Padding=VALID),
    "dilated conv": lambda f, x: conv(f, x, SIZE, 8, DilationHFactor=2, DilationWFactor=2),
    "half-precision weights": half_weights,
    "depthwise": depthwise,
    "add": lambda f, x: f.op("ADD", [x, conv(f, x, SIZE, 4)], [f.tensor(SIZE)], FusedActivationFunction=RELU),
    "mul": lambda f, x: f.op("MUL", [x, floats(f, 4)], [f.tensor(SIZE)]),
    "max pool": lambda f, x: f.op("MAX_POOL_2D", [x], [f.tensor((1, 6, 8, 4))], StrideH=2, StrideW=2, FilterHeight=2,
                                  FilterWidth=2),
    "mean pool": lambda f, x: f.op("AVERAGE_POOL_2D", [x], [f.tensor((1, 6, 8, 4))], StrideH=2, StrideW=2,
                                   FilterHeight=3, FilterWidth=3, Padding=SAME),
    "concat and split": halves,
    "fully connected": dense,
    "leaky": lambda f, x: f.op("LEAKY_RELU", [x], [f.tensor(SIZE)], Alpha=0.2),
    "hard swish": lambda f, x: f.op("HARD_SWISH", [x], [f.tensor(SIZE)]),
    "sigmoid": lambda f, x: f.op("LOGISTIC", [x], [f.tensor(SIZE)]),
    "prelu": lambda f, x: f.op("PRELU", [x, floats(f, 1, 1, 4)], [f.tensor(SIZE)]),
    "pad": lambda f, x: f.op("PAD", [x, whole(f, [0, 0], [1, 1], [2, 0], [0, 0])], [f.tensor((1, 14, 18, 4))]),
    "strided slice": lambda f, x: f.op("STRIDED_SLICE", [x, whole(f, 0, 1, 0, 0), whole(f, 1, 12, 16, 4),
                                                         whole(f, 1, 2, 2, 1)], [f.tensor((1, 6, 8, 4))]),
    "reshape": lambda f, x: f.op("RESHAPE", [x, whole(f, 1, 192, 4)], [f.tensor((1, 192, 4))]),
    "transpose": lambda f, x: f.op("TRANSPOSE", [x, whole(f, 0, 2, 1, 3)], [f.tensor((1, 16, 12, 4))]),
    "upsampling": lambda f, x: f.op("RESIZE_NEAREST_NEIGHBOR", [x, whole(f, 24, 32)], [f.tensor((1, 24, 32, 4))]),
    "bilinear": lambda f, x: f.op("RESIZE_BILINEAR", [x, whole(f, 18, 24)], [f.tensor((1, 18, 24, 4))],
                                  HalfPixelCenters=True),
}


def mapped(path: Path) -> Network:
    """The mapped network, which computes what LiteRT does."""
    graph = import_network(path)
    names = list(graph.outputs)
    (shape,) = (graph.shapes[n] for n in graph.inputs)
    x = np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)
    wanted = reference(path, graph.inputs, names, [[x]])[0]
    normalise(graph)
    network = map_network(graph)
    values = run(network, [x])
    for name, want in zip(network.outputs, wanted, strict=True):
        assert values[name].shape == want.shape
        np.testing.assert_allclose(values[name], want, rtol=1e-3, atol=1e-4)
    return network


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(tmp_path, name):
    f = File()
    y = OPERATORS[name](f, f.op("RELU", [f.input(SIZE)], [f.tensor(SIZE)]))
    (tmp_path / "net.tflite").write_bytes(f.bytes(y))
    mapped(tmp_path / "net.tflite")


def integers(dtype: str, channels: bool) -> bytes:
    """Two convolutions as TFLite's full-integer files have them."""
    middle = -128 if dtype == "int8" else 0
    f = File()
    x = f.input((1, 12, 16, 3), dtype, scale=1 / 128, zero=middle + 128)
    for outs, ins, scale, zero, fused in ((8, 3, 0.02, middle, RELU), (5, 8, 0.05, middle + 131, 0)):
        real = RNG.normal(0, 0.25, (outs, 3, 3, ins))
        steps = np.abs(real).max(axis=(1, 2, 3)) / 127 if channels else np.full(1, np.abs(real).max() / 127)
        spread = steps.reshape(-1, 1, 1, 1)
        offset = 0 if dtype == "int8" else 128
        w = f.tensor(real.shape, dtype, np.clip(np.rint(real / spread) + offset, offset - 127, offset + 127),
                     scale=steps, zero=offset)
        before = 1 / 128 if ins == 3 else 0.02
        b = f.tensor((outs,), "int32", np.rint(RNG.normal(0, 0.2, outs) / (before * steps)), scale=before * steps)
        y = f.tensor((1, 12, 16, outs), dtype, scale=scale, zero=zero)
        x = f.op("CONV_2D", [x, w, b], [y], StrideH=1, StrideW=1, Padding=SAME, FusedActivationFunction=fused)
    return f.bytes(x)


@pytest.mark.parametrize(("dtype", "channels"), [("int8", True), ("int8", False), ("uint8", False)])
def test_files_of_integers_keep_their_scales_and_take_their_own_codes(tmp_path, dtype, channels):
    path = tmp_path / "whole.tflite"
    path.write_bytes(integers(dtype, channels))
    data = [np.random.default_rng(i).integers(0, 256, (1, 3, 12, 16)).astype(np.uint8) for i in range(4)]
    result = compile_network(path, data)
    codes = [c for n, c in result.quantizer.codes.items() if n in result.network.codes]
    # The input's codes are the file's own: they come in as they are, and its scale is in the first layer's weights.
    assert sorted(float(c.scale[0]) for c in codes) == pytest.approx([0.02, 0.05, 1])
    assert sorted(c.zero for c in codes) == [0, 128, 131]
    (got,) = Session(result.compiled.model, FunctionalDevice()).run([data[0]])
    wanted = reference(path, ["t0"], [result.names[0]], [[(data[0].astype(np.float32) - 128) / 128]])[0][0]
    # TFLite rounds its products once more: one code of difference at most, in few places.
    steps = np.abs(np.asarray(got).reshape(wanted.shape) - wanted) / 0.05
    assert steps.max() < 1.01
    assert (steps > 0.5).mean() < 0.05


def test_damaged_and_dynamic_files_are_refused(tmp_path):
    f = File()
    y = conv(f, f.input((-1, 12, 16, 4)), SIZE, 8)
    path = tmp_path / "net.tflite"
    path.write_bytes(f.bytes(y))
    with pytest.raises(CompileError, match="fixed size"):
        import_network(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(CompileError, match=r"net\.tflite"):
        import_network(path)
