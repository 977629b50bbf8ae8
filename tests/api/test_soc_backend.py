# SPDX-License-Identifier: Apache-2.0
"""Scripts on the simulated SoC: models come through the flash controller, ``load_flash`` leaves the weights there."""

from __future__ import annotations

import numpy as np
import pytest
from soc_board import open_board

from openkpu.api.errors import KPULoadError
from openkpu.api.maixpy import kpu
from openkpu.devices import backends

from .conftest import demo_image

PLAIN, SWAPPED = 0x40000, 0x80000


@pytest.fixture
def flashed(make_board, demo_v3, tmp_path, monkeypatch):
    """A board on the SoC with the demo model burnt twice; gives the functional back end's result."""
    data = demo_v3.read_bytes()
    swapped = np.frombuffer(data + b"0" * (-len(data) % 4), "<u4").byteswap().tobytes()
    (tmp_path / "be.bin").write_bytes(swapped)
    make_board(f"{demo_v3}@{PLAIN:#x}")
    expected = kpu.forward(kpu.load(PLAIN), demo_image())[:]
    monkeypatch.setattr(backends, "open_device", lambda name: open_board())
    board = make_board(f"{demo_v3}@{PLAIN:#x}", f"{tmp_path}/be.bin@{SWAPPED:#x}", backend="soc")
    yield board, expected
    board.close()


@pytest.mark.rtl
def test_models_run_from_ram_and_from_flash_with_equal_results(flashed, capsys):
    board, expected = flashed
    image = demo_image()
    assert kpu.forward(kpu.load(PLAIN), image)[:] == expected
    net = kpu.load_flash(SWAPPED, 1, 0x2000, 60_000_000)
    assert capsys.readouterr().out.endswith("SPI freq 57142857 Hz\n"), "400 MHz divided by 7"
    assert kpu.forward(net, image)[:] == expected
    with pytest.raises(KPULoadError) as error:
        kpu.load(0xC0000)
    assert error.value.code == 2002
    board.device.plug_flash(False)
    board._flash_controller = None
    with pytest.raises(KPULoadError) as error:
        kpu.load(PLAIN)
    assert error.value.code == 2001 and "all zeros or all ones" in error.value.hint
