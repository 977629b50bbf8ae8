# SPDX-License-Identifier: Apache-2.0
"""Integers of one layer: the golden model's, table fits, and random networks against onnxruntime."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("onnxruntime")

from networks import Net, pictures

from openkpu.compiler import Options, Preprocess, compile_network
from openkpu.compiler.functions import IDENTITY, SIGMOID
from openkpu.compiler.oracle import run_program
from openkpu.compiler.quantize import segments
from openkpu.compiler.reference import reference
from openkpu.devices.functional import FunctionalDevice
from openkpu.runtime import Session

SILU = SIGMOID.then("mul", SIGMOID, IDENTITY)
PREPROCESS = Preprocess(1, (127.0,), (64.0,))


@given(st.sampled_from([(0.0, 1.0), (1.0, 1.0), (0.1, 1.0), (0.3, 0.8)]), st.integers(0, 255), st.integers(8, 16))
def test_lines_are_exact(slopes, zero, bits):
    left, right = slopes
    table = segments.lines(left, right, zero if left else 0, bits)
    zero = zero if left else 0
    codes = np.arange(-300, 301)
    want = np.clip(np.where(codes < 0, left * codes, right * codes) + zero, 0, 255)
    got = table(codes.astype(np.int64) << bits).astype(float)
    assert np.abs(got - want).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("count", [1, 2, 3])
def test_functions_share_a_table_in_regions(count):
    scales = [0.03 / 3**i for i in range(count)]
    samples = np.random.default_rng(0).normal(0, 2, 4000)
    unit = 8 / 2.0**22
    curves = [segments.curve(SILU, unit, s, 30, -8.0, 255 * s, samples) for s in scales]
    table, middles, _ = segments.combine(curves, [1.0] * count)
    assert (np.diff(table.starts) >= 0).all()
    for scale, middle in zip(scales, middles, strict=True):
        x = samples[(samples > -8) & (samples < 220 * scale)]
        got = table(np.rint(x / unit).astype(np.int64) + middle).astype(float)
        want = np.clip(SILU(x) / scale + 30, 0, 255)
        assert np.sqrt(np.mean((got - want) ** 2)) < 1.5


@st.composite
def networks(draw) -> tuple[Net, str]:
    """A chain of a few layers of every kind, with a branch."""
    width, height = draw(st.integers(8, 40)), draw(st.integers(8, 24))
    net = Net((1, 3, height, width), draw(st.integers(0, 99)))
    channels, y = 3, "x"
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["conv", "depthwise", "grouped", "residual", "concat"]))
        outs = draw(st.sampled_from([4, 8, 12]))
        if kind == "conv":
            kernel = draw(st.sampled_from([1, 3, 5]))
            y = net.conv(y, channels, outs, kernel, pads=[kernel // 2] * 4, strides=[draw(st.sampled_from([1, 2]))] * 2)
        elif kind == "depthwise":
            outs = channels
            y = net.conv(y, channels, outs, 3, groups=channels, pads=draw(st.sampled_from([[1] * 4, [0, 0, 1, 1]])))
        elif kind == "grouped":
            y = net.conv(net.conv(y, channels, 8, 1), 8, outs, 3, groups=2, pads=[1] * 4)
        elif kind == "residual":
            a = net.node("Relu", net.conv(y, channels, outs, 1))
            y = net.node("Add", a, net.conv(a, outs, outs, 3, pads=[1] * 4))
        else:
            a, b = net.node("Relu", net.conv(y, channels, 5, 1)), net.node("Sigmoid", net.conv(y, channels, 3, 1))
            y = net.conv(net.node("Concat", a, b, axis=1), 8, outs, 1)
        f = draw(st.sampled_from(["Relu", "LeakyRelu", "Sigmoid", "HardSwish", ""]))
        y = net.node(f, y) if f else y
        channels = outs
    return net, net.conv(y, channels, 4, 1)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(networks())
def test_random_networks_come_near_the_float_network(drawn):
    net, y = drawn
    with TemporaryDirectory() as folder:
        path = net.save(Path(folder), y, opset=14)
        data = pictures(net.shape, 3)
        result = compile_network(path, data, Options(PREPROCESS))
        assert min(result.sqnr) > 20
        (got,) = Session(result.compiled.model, FunctionalDevice()).run([data[0]])
        (want,) = run_program(result.program, [data[0]])
        np.testing.assert_allclose(np.asarray(got).ravel(), want.ravel(), atol=1e-5)
        exact = reference(path, ["x"], [y], [[PREPROCESS.apply(data[0])]])[0][0]
        assert np.abs(want.reshape(exact.shape) - exact).max() < 0.5 * max(float(np.abs(exact).max()), 0.1)
