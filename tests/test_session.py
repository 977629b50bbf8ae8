# SPDX-License-Identifier: Apache-2.0
"""The runtime: what a session promises besides right numbers."""

import zlib
from dataclasses import replace

import numpy as np
import pytest
from test_small_networks import FOLDER

from openkpu.devices.backends import open_device
from openkpu.errors import CapacityError, DeviceError, InputError, ModelError, UsageError
from openkpu.hw.device import KpuConfig
from openkpu.hw.fields import EXT_LOG_BASE, EXT_LOG_ENTRIES, EXT_LOG_STRIDE, REGS_BASE, register
from openkpu.kmodel import Layer, Model, Pool, Tensor, TensorSpec, load
from openkpu.kmodel.kernels import KERNELS
from openkpu.kmodel.model import KpuConv, KpuDownload, KpuUpload
from openkpu.kmodel.v3 import ops as ops_v3
from openkpu.kmodel.v4 import ops as ops_v4
from openkpu.kmodel.v5 import ops as ops_v5
from openkpu.runtime import Session

RESIDUAL = FOLDER / "131_resblock2.kmodel"
CONCAT = FOLDER / "132_concat2.kmodel"


class Recorder:
    def __init__(self):
        self.started, self.done = [], []

    def layer_started(self, layer):
        self.started.append(layer.index)

    def layer_done(self, result, output):
        self.done.append((result, output))


@pytest.fixture
def device():
    opened = open_device("functional")
    yield opened
    opened.close()


@pytest.fixture
def data():
    return np.load(FOLDER / "131_resblock2.npz")


def host_model(layer: Layer, source: Tensor, target: Tensor, size: int) -> Model:
    """A model of one host operator on the pool "main"."""
    return Model(source="one operator", version=5, image=b"", pools={"main": Pool("main", size)},
                 inputs=(TensorSpec(0, source),), outputs=(TensorSpec(0, target),), layers=(layer,))


def test_hooks_see_every_layer_with_its_output(device, data):
    model, recorder = load(RESIDUAL), Recorder()
    Session(model, device).run([data["x0"]], hooks=[recorder])
    assert recorder.started == list(range(len(model.layers))) == [r.index for r, _ in recorder.done]
    for (result, output), layer in zip(recorder.done, model.layers, strict=True):
        assert result.name == layer.name and result.where == layer.where
        assert result.seconds >= 0 and result.cycles is None
        if result.where == "kpu":
            assert output.dtype == np.uint8 and output.shape == result.out_shape
            assert result.crc32 == zlib.crc32(output.tobytes()) and result.macs == layer.descriptor.macs
        else:
            assert result.crc32 is None and result.macs == 0


def test_run_can_end_at_any_layer(device, data):
    model, recorder = load(RESIDUAL), Recorder()
    session = Session(model, device)
    session.run([data["x0"]], hooks=[recorder])
    for index, (_, output) in enumerate(recorder.done):
        stopped = Recorder()
        session.run([data["x0"]], hooks=[stopped], end_layer=index)
        assert stopped.started == list(range(index + 1))
        np.testing.assert_array_equal(session.layer_output(index).reshape(output.shape), output)


@pytest.mark.parametrize("index", [-1, 99])
def test_layer_that_does_not_exist_is_refused_before_running(device, data, index):
    recorder = Recorder()
    with pytest.raises(UsageError, match=r"layer .* does not exist.* 0 to 12"):
        Session(load(RESIDUAL), device).run([data["x0"]], hooks=[recorder], end_layer=index)
    assert recorder.started == []


def test_sessions_share_a_device(device, data):
    other = np.load(FOLDER / "132_concat2.npz")
    first, second = Session(load(RESIDUAL), device), Session(load(CONCAT), device)
    for _ in range(2):
        np.testing.assert_array_equal(first.run([data["x0"]])[0], data["y0_0"])
        np.testing.assert_array_equal(second.run([other["x0"]])[0], other["y0_0"])


def test_repeated_runs_give_the_same_and_keep_earlier_outputs(device, data):
    session = Session(load(RESIDUAL), device)
    (first,) = session.run([data["x0"]])
    kept = first.copy()
    session.run([data["x1"]])
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(session.run([data["x0"]])[0], kept)


@pytest.mark.parametrize("config, reason", [
    (KpuConfig(name="small", airam_bytes=32 << 10), "layer 3 .*AI RAM"),
    (KpuConfig(name="small", weight_bytes=256), "layer .*weight"),
    (KpuConfig(name="small", sram_bytes=2 << 10), "bytes of SRAM.*small"),
])
def test_model_that_does_not_fit_is_refused_before_anything_runs(config, reason):
    device = open_device("functional", config)
    pushed = []
    plain = device.write64
    device.write64 = lambda address, value: (pushed.append(address), plain(address, value))
    with pytest.raises(CapacityError, match=reason):
        Session(load(RESIDUAL), device)
    assert REGS_BASE + register("layer_argument_fifo").offset not in pushed


def test_hung_device_is_reported_with_the_layer(device, data, monkeypatch):
    def hang(max_cycles):
        assert 0 < max_cycles < 10**9
        raise DeviceError("no interrupt in time")

    monkeypatch.setattr(device, "wait_interrupt", hang)
    with pytest.raises(DeviceError, match=r"layer 1 \(kpu_conv2d\): no interrupt in time"):
        Session(load(RESIDUAL), device).run([data["x0"]])


def test_error_status_of_the_device_is_reported(device, data, monkeypatch):
    plain, status = device.read64, REGS_BASE + register("ext_error").offset
    monkeypatch.setattr(device, "read64", lambda address: 0b10000 if address == status else plain(address))
    with pytest.raises(DeviceError, match="layer 1 .*parameter fetch"):
        Session(load(RESIDUAL), device).run([data["x0"]])


def test_cycles_come_from_the_devices_log(device, data, monkeypatch):
    plain, log = device.read64, range(EXT_LOG_BASE, EXT_LOG_BASE + EXT_LOG_ENTRIES * EXT_LOG_STRIDE, EXT_LOG_STRIDE)
    monkeypatch.setattr(device, "read64", lambda address: 0x5678_0000_04D2 if address - REGS_BASE in log
                        else plain(address))
    recorder = Recorder()
    Session(load(RESIDUAL), device).run([data["x0"]], hooks=[recorder])
    assert {r.cycles for r, _ in recorder.done if r.where == "kpu"} == {1234}


@pytest.mark.parametrize("inputs, text", [
    ([], "takes 1 inputs, not 0"), ([np.zeros((1, 3, 28, 27), np.uint8)], "shape"),
    ([np.zeros((1, 3, 28, 28), np.float64)], "astype"),
])
def test_unsuitable_input_is_refused(device, inputs, text):
    with pytest.raises(InputError, match=text):
        Session(load(RESIDUAL), device).run(inputs)


def test_input_may_lack_dimensions_of_one(device, data):
    session = Session(load(RESIDUAL), device)
    np.testing.assert_array_equal(session.run([data["x0"][0]])[0], data["y0_0"])


def test_every_operator_has_a_kernel():
    known = {KpuConv, KpuUpload, KpuDownload}
    for module in (ops_v3, ops_v4, ops_v5):
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, Layer) and kind.__module__.startswith(module.__package__):
                assert kind in KERNELS or kind in known, kind


def test_operator_may_overwrite_its_own_input(device):
    source, target = Tensor("main", 0, "<f4", (8,)), Tensor("main", 4, "<f4", (8,))
    layer = ops_v5.Copy(index=0, name="COPY", offset=0, size=0, input=source, out=target)
    x = np.arange(8, dtype=np.float32)
    np.testing.assert_array_equal(Session(host_model(layer, source, target, 36), device).run([x])[0], x)


def test_strided_and_unaligned_tensors_are_read_and_written_in_place(device):
    source = Tensor("main", 1, "<f4", (2, 3), (5, 1))
    target = Tensor("main", 101, "<f4", (3, 2), (1, 4))
    layer = ops_v5.Transpose(index=0, name="TRANSPOSE", offset=0, size=0, input=source, out=target, perm=(1, 0))
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(Session(host_model(layer, source, target, 160), device).run([x])[0], x.T)


def test_index_outside_the_table_is_a_model_error(device):
    source, target = Tensor("main", 0, "<i4", (2,)), Tensor("main", 64, "<f4", (2,))
    layer = ops_v5.Gather(index=3, name="GATHER", offset=0, size=0, input=Tensor("main", 32, "<f4", (4,)),
                          indices=source, out=target, axis=0)
    session = Session(host_model(layer, source, target, 96), device)
    session.run([np.array([0, 3], np.int32)])
    for bad in (4, -1):
        with pytest.raises(ModelError, match=r"layer 3 \(GATHER\)"):
            session.run([np.array([0, bad], np.int32)])


@pytest.mark.parametrize("chip, expected", [(False, [1, 2, 3]), (True, [0, 2, 3])])
def test_ties_round_as_the_simulator_or_as_the_chip(device, chip, expected):
    source, target = Tensor("main", 0, "<f4", (3,)), Tensor("main", 16, "u1", (3,))
    layer = ops_v4.Quantize(index=0, name="quantize", offset=0, size=0, input=source, out=target, zero_point=0,
                            scale=np.float32(1))
    session = Session(host_model(layer, source, target, 32), device, chip_rounding=chip)
    assert session.run([np.array([0.5, 1.5, 2.5], np.float32)])[0].tolist() == expected


def test_16_bit_weights_run_where_the_configuration_has_them(data):
    model = load(RESIDUAL)
    wide = tuple(replace(layer, eight_bit=False, weights=layer.weights.astype("<u2").view(np.uint8),
                         descriptor=replace(layer.descriptor, para_size=2 * layer.descriptor.para_size))
                 if isinstance(layer, KpuConv) else layer for layer in model.layers)
    device = open_device("functional")
    outputs = Session(replace(model, layers=wide, eight_bit=False), device).run([data["x0"]])
    np.testing.assert_array_equal(outputs[0], data["y0_0"])
    with pytest.raises(CapacityError, match="16-bit"):
        Session(replace(model, layers=wide, eight_bit=False), open_device("functional", KpuConfig(has_16bit=False)))
