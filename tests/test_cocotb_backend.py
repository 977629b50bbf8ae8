# SPDX-License-Identifier: Apache-2.0
"""The cocotb back end: the same device interface over cocotbext-axi's masters and memory."""

from __future__ import annotations

import numpy as np
import pytest

from openkpu.devices import cocotb_device
from openkpu.devices.cocotb_device import CocotbDevice
from openkpu.errors import DeviceError
from openkpu.golden.layers import random_layer
from openkpu.golden.on_device import address, check_layer
from openkpu.hw.configs import CORES
from openkpu.hw.fields import KPU_ID_MAGIC
from rtl import skip_without_tools
from tb.bench import SIMULATORS

TINY = CORES["tiny"].config("tiny")
LAYERS = {"icarus": 2, "verilator": 8}
# A layer must be small enough for some thousand cycles per second.
SMALL = {"max_macs": 3_000, "max_pixels": 400}


def open_core(simulator: str, **options) -> CocotbDevice:
    with skip_without_tools():
        return CocotbDevice(TINY, simulator=simulator, **options)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_random_layers_with_random_stalls_and_initial_state(simulator):
    device = open_core(simulator, stall=0.3, seed=3)
    try:
        assert device.read64(address("ext_id")) & 0xFFFF_FFFF == KPU_ID_MAGIC
        for n in range(LAYERS[simulator]):
            check_layer(device, random_layer(np.random.default_rng(1000 + n), TINY, **SMALL))
    finally:
        device.close()


def test_what_cannot_work_is_an_error_and_no_hang():
    device = open_core("verilator")
    try:
        with pytest.raises(DeviceError, match="no interrupt within 300"):
            device.wait_interrupt(300)
        with pytest.raises(DeviceError, match="ran dry"):
            device.read_stream(16)
        with pytest.raises(DeviceError, match="neither in the SRAM"):
            device.read_memory(0x4FFF_0000, 8)
    finally:
        device.close()
    device.close()
    with pytest.raises(DeviceError, match="closed"):
        device.read64(address("ext_id"))


def test_another_environment_builds_its_own_simulator(monkeypatch):
    """The simulator loads its environment's cocotb, which may be gone by the time another environment uses it."""
    before = cocotb_device._build_folder("verilator", "tiny")
    assert cocotb_device._build_folder("verilator", "tiny") == before
    monkeypatch.setattr("sys.prefix", "/another/environment")
    assert cocotb_device._build_folder("verilator", "tiny") != before
