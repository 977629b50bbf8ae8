# SPDX-License-Identifier: Apache-2.0
"""Every rewrite of the mapping, alone, against onnxruntime's float result."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from networks import Net

from openkpu.compiler.importers import import_network
from openkpu.compiler.mapping import KpuLayer, Network, map_network
from openkpu.compiler.mapping.evaluate import run
from openkpu.compiler.passes import normalise
from openkpu.compiler.reference import reference


def mapped(net: Net, folder: Path, *outputs: str, **options) -> Network:
    """The network mapped, after checking that it still computes the same."""
    path = net.save(folder, *outputs, **options)
    graph = import_network(path)
    names = list(graph.outputs)
    x = net.rng.normal(0, 1, net.shape).astype(np.float32)
    wanted = reference(path, graph.inputs, names, [[x]])[0]
    normalise(graph)
    network = map_network(graph)
    values = run(network, [x])
    for name, want in zip(network.outputs, wanted, strict=True):
        got = values[name].reshape(want.shape)
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4 * max(1, float(np.abs(want).max())))
    return network


def all_kpu(network: Network) -> bool:
    return all(isinstance(step, KpuLayer) or step.op in ("slice", "concat") for step in network.steps)


@pytest.mark.parametrize("size", [(12, 16), (11, 13), (8, 35)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("pads", [(1, 1, 1, 1), (0, 0, 1, 1), (1, 1, 0, 0), (0, 0, 0, 0), (2, 1, 2, 1)])
def test_convolutions_of_any_padding_run_on_the_kpu(tmp_path, size, stride, pads):
    net = Net((1, 3, *size))
    network = mapped(net, tmp_path, net.conv("x", 3, 8, strides=[stride, stride], pads=list(pads)))
    assert sum(isinstance(s, KpuLayer) for s in network.steps)


@pytest.mark.parametrize("size", [(12, 16), (11, 13)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("pads", [(1, 1, 1, 1), (0, 0, 1, 1), (0, 0, 0, 0)])
@pytest.mark.parametrize("behind", ["conv", "pool", "nothing", "relu"])
def test_depthwise_layers_with_strides_and_pools(tmp_path, size, stride, pads, behind):
    net = Net((1, 4, *size))
    y = net.conv("x", 4, 4, groups=4, strides=[stride, stride], pads=list(pads))
    if behind == "conv":
        y = net.conv(net.node("Relu", y), 4, 8, 1)
    if behind == "pool":
        y = net.node("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    if behind == "relu":
        y = net.node("Relu", y)
    mapped(net, tmp_path, y)


@pytest.mark.parametrize(("kernel", "dilation", "stride"), [(5, 1, 1), (3, 2, 1), (3, 3, 1), (5, 1, 2), (7, 1, 1),
                                                            (4, 1, 2), (2, 1, 2), (2, 1, 1), (6, 1, 2)])
@pytest.mark.parametrize("groups", [1, 4])
def test_large_and_dilated_kernels_run_on_the_kpu(tmp_path, kernel, dilation, stride, groups):
    net = Net((1, 4, 20, 24))
    pad = dilation * (kernel - 1) // 2
    network = mapped(net, tmp_path, net.conv("x", 4, 8, kernel, groups, dilations=[dilation] * 2,
                                             strides=[stride] * 2, pads=[pad] * 4))
    assert all_kpu(network)


@pytest.mark.parametrize(("size", "dilation", "most"), [((30, 40), 5, 17), ((30, 40), 2, 11), ((28, 28), 4, 15),
                                                         ((21, 12), 3, 13), ((23, 40), 3, 25)])
def test_maps_move_by_several_rows_in_one_layer(tmp_path, size, dilation, most):
    net = Net((1, 4, *size))
    network = mapped(net, tmp_path, net.conv("x", 4, 8, dilations=[dilation] * 2, pads=[dilation] * 4))
    assert len(network.steps) <= most


def test_a_function_of_a_concatenation_is_left_to_the_layers_before_it(tmp_path):
    net = Net((1, 8, 12, 12))
    a, b = net.conv("x", 8, 8, 1), net.conv("x", 8, 4, 1)
    network = mapped(net, tmp_path, net.conv(net.node("Relu", net.node("Concat", a, b, axis=1)), 12, 4, 1))
    assert [len(step.function.steps) > 0 for step in network.kpu()] == [True, True, False]


def test_every_second_pixel_of_an_input_is_taken_by_the_host_which_has_it(tmp_path):
    net = Net((1, 3, 16, 16))
    rows = (net.constant(np.array(v, np.int64)) for v in ([1, 0], [16, 16], [2, 3], [2, 2]))
    network = mapped(net, tmp_path, net.conv(net.node("Slice", "x", *rows), 3, 8, pads=[1] * 4))
    assert [step.op for step in network.host()] == ["slice"]
    assert len(list(network.kpu())) == 1


def test_grouped_convolutions_run_on_the_kpu(tmp_path):
    net = Net((1, 16, 12, 12))
    assert all_kpu(mapped(net, tmp_path, net.node("Relu", net.conv("x", 16, 32, 3, 4, pads=[1] * 4))))


@pytest.mark.parametrize("pads", [[1, 1, 1, 1], [0, 0, 1, 1]])
@pytest.mark.parametrize("size", [(12, 16), (13, 17), (9, 40)])
def test_maximum_pools_of_3x3(tmp_path, size, pads):
    net = Net((1, 4, *size))
    y = net.node("Relu", net.conv("x", 4, 8, pads=[1] * 4))
    mapped(net, tmp_path, net.node("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2], pads=pads))


@pytest.mark.parametrize(("kernel", "stride", "pad"), [
    (2, 2, 0), (4, 4, 0), (3, 2, 0), (3, 1, 0), (2, 1, 0), (3, 2, 1)])
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_pools(tmp_path, op, kernel, stride, pad):
    net = Net((1, 4, 16, 20))
    y = net.conv("x", 4, 8, pads=[1] * 4)
    mapped(net, tmp_path, net.node(op, y, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4))


def test_a_residual_addition_is_part_of_the_convolution(tmp_path):
    net = Net((1, 8, 12, 12))
    a = net.node("Relu", net.conv("x", 8, 8, pads=[1] * 4))
    b = net.conv(net.node("Relu", net.conv(a, 8, 8, pads=[1] * 4)), 8, 8, pads=[1] * 4)
    network = mapped(net, tmp_path, net.node("Relu", net.node("Add", a, b)))
    assert len(list(network.kpu())) == 3
    assert all_kpu(network)


def test_additions_and_concatenations_are_left_to_their_readers(tmp_path):
    net = Net((1, 8, 12, 12))
    a = net.node("Relu", net.conv("x", 8, 8, pads=[1] * 4))
    b = net.node("Sigmoid", net.conv(a, 8, 8, pads=[1] * 4))
    total = net.node("Add", a, b)
    y = net.conv(net.node("Concat", total, b, axis=1), 16, 4, 1)
    network = mapped(net, tmp_path, y)
    assert len(list(network.kpu())) == 3


def test_a_fully_connected_layer_behind_a_global_pool(tmp_path):
    net = Net((1, 8, 12, 12))
    y = net.node("GlobalAveragePool", net.node("Relu", net.conv("x", 8, 16, pads=[1] * 4)))
    y = net.node("Flatten", y)
    w = net.constant(net.rng.normal(0, 1, (10, 16)).astype(np.float32))
    b = net.constant(net.rng.normal(0, 1, 10).astype(np.float32))
    network = mapped(net, tmp_path, net.node("Softmax", net.node("Gemm", y, w, b, transB=1)))
    assert len(list(network.kpu())) == 2


def _silu(net: Net, y: str) -> str:
    return net.node("Mul", y, net.node("Sigmoid", y))


def _hard_swish(net: Net, y: str) -> str:
    three, six, zero = (net.constant(np.float32(v)) for v in (3, 6, 0))
    return net.node("Div", net.node("Mul", y, net.node("Clip", net.node("Add", y, three), zero, six)), six)


def _mish(net: Net, y: str) -> str:
    return net.node("Mul", y, net.node("Tanh", net.node("Softplus", y)))


def _leaky(net: Net, y: str) -> str:
    return net.node("Max", y, net.node("Mul", y, net.constant(np.float32(0.1))))


FUNCTIONS = {"silu": _silu, "hard swish": _hard_swish, "mish": _mish, "leaky": _leaky,
             "relu": lambda n, y: n.node("Relu", y), "leaky op": lambda n, y: n.node("LeakyRelu", y, alpha=0.2),
             "tanh": lambda n, y: n.node("Tanh", y), "sigmoid": lambda n, y: n.node("Sigmoid", y),
             "elu": lambda n, y: n.node("Elu", y), "hard sigmoid": lambda n, y: n.node("HardSigmoid", y)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_recognised_however_they_are_written(tmp_path, name):
    net = Net((1, 3, 12, 12))
    network = mapped(net, tmp_path, FUNCTIONS[name](net, net.conv("x", 3, 8, pads=[1] * 4)))
    assert len(network.steps) == 1


def test_batch_norm_and_channel_slices_and_focus(tmp_path):
    net = Net((1, 3, 16, 16))
    halves = []
    for y in (0, 1):
        for x in (0, 1):
            cut = net.node("Slice", "x", *(net.constant(np.array(v, np.int64)) for v in
                                           ([y, x], [16, 16], [2, 3], [2, 2])))
            halves.append(cut)
    y = net.conv(net.node("Concat", *halves, axis=1), 12, 8, pads=[1] * 4)
    stats = [net.constant(np.abs(net.rng.normal(1, 0.2, 8)).astype(np.float32)) for _ in range(4)]
    y = net.node("Relu", net.node("BatchNormalization", y, *stats))
    part = net.node("Slice", y, *(net.constant(np.array([v], np.int64)) for v in (2, 6, 1)))
    assert all_kpu(mapped(net, tmp_path, net.conv(part, 4, 5, 1)))


@pytest.mark.parametrize("stride", [1, 2])
def test_maps_that_are_too_large_are_computed_in_strips(tmp_path, stride):
    net = Net((1, 3, 20, 600))
    y = net.node("Relu", net.conv("x", 3, 4, pads=[1] * 4, strides=[stride] * 2))
    network = mapped(net, tmp_path, net.conv(y, 4, 2, 1))
    assert len(list(network.kpu())) >= 2
    assert all_kpu(network)
