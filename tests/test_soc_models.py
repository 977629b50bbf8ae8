# SPDX-License-Identifier: Apache-2.0
"""Real and large models on the SoC with the full core: minutes each, so only on request (``make check-flash``)."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
from conformance import assert_same_output
from large_model import large_model

from openkpu.devices.functional import FunctionalDevice
from openkpu.devices.soc import SocDevice, soc_config
from openkpu.drivers.flash import FlashDriver
from openkpu.errors import CapacityError
from openkpu.kmodel import load, load_kfpkg, model_size
from openkpu.runtime import Session
from openkpu.runtime.streaming import FlashSession
from rtl import skip_without_tools

pytestmark = pytest.mark.slow

SMALL_SRAM, CHIP_SRAM = 256 << 10, 6 << 20
MODES = ({"dual": False, "batch_size": 0}, {"dual": True, "batch_size": 0x8000})


def soc(sram_bytes: int, **flash) -> closing[SocDevice]:
    """The full core with so much SRAM; skips the test when no simulator can be built."""
    with skip_without_tools():
        return closing(SocDevice(soc_config("full", sram_bytes), **flash))


def check(session: Session, folder, case: str) -> None:
    """Run one of the vendor's cases; the output must be the vendor's, bit for bit."""
    (output,) = session.run([np.load(folder / f"in_{case}.npy")])
    assert_same_output(session.model, output, np.load(folder / f"out_{case}_0.npy"))


def test_the_face_model_burnt_through_the_controller_runs_from_flash_in_both_buffer_modes(shared):
    (entry,) = load_kfpkg((shared / "kmodels/face_model_at_0x300000.kfpkg").read_bytes()).entries
    assert entry.address == 0x300000
    with soc(SMALL_SRAM, program_cycles=300, erase_cycles=2000) as device:
        around = np.random.default_rng(1).bytes(8192)
        end = entry.address + len(entry.data)
        device.flash_write(entry.address - 8192, around)
        device.flash_write(end, around)
        FlashDriver(device).burn(entry.address, entry.data)
        assert device.flash_read(entry.address - 8192, 8192) == around and device.flash_read(end, 8192) == around
        # As after power on: a new driver finds the model where it was burnt.
        device.reset()
        flash = FlashDriver(device)
        head = flash.read(entry.address, 4096)
        model = load(flash.read(entry.address, model_size(head)))
        assert model.image == entry.data
        for mode in MODES:
            check(FlashSession(model, device, flash, entry.address, **mode), shared / "vectors/models/v3_facedetect",
                  "face")


def test_256_kb_of_sram_run_a_model_of_1_3_mb_from_flash(shared):
    model = load(shared / "kmodels/v3_yolo20.kmodel")
    assert len(model.image) > 5 * SMALL_SRAM
    with soc(SMALL_SRAM) as device:
        with pytest.raises(CapacityError, match="more than the 253952 bytes of SRAM"):
            Session(model, device)
        device.flash_write(0x100000, model.image)
        for mode in MODES:
            check(FlashSession(model, device, FlashDriver(device), 0x100000, **mode),
                  shared / "vectors/models/v3_yolo20", "dog")


def test_a_model_of_5_9_mib_runs_from_6_mib_of_sram():
    model = load(large_model())
    assert round(len(model.image) / 2**20, 1) == 5.9
    inputs = [np.random.default_rng(3).integers(0, 256, model.inputs[0].shape, np.uint8)]
    (expected,) = Session(model, FunctionalDevice()).run(inputs)
    assert len(np.unique(expected)) > 200, "a model whose results hardly differ proves little"
    with soc(CHIP_SRAM) as device:
        (output,) = Session(model, device).run(inputs)
    np.testing.assert_array_equal(output, expected)
