# SPDX-License-Identifier: Apache-2.0
"""The simulated board: the LiteX SoC with LiteDRAM before its model of the SDRAM, over LiteX's own link."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from shared_data import SHARED

from openkpu.cli.main import cli
from openkpu.devices.board import BoardDevice
from openkpu.devices.functional import FunctionalDevice
from openkpu.hw.board import CSR_BASE, PAGE_REGISTERS, page_address, sdram_address
from openkpu.hw.configs import CORES, config_named
from openkpu.hw.fields import REGS_BASE, register
from openkpu.kmodel import load
from openkpu.runtime import Session

pytest.importorskip("litex")
DEMO = Path(__file__).resolve().parents[1] / "examples" / "demo"


def simulation_soc(config):
    from openkpu.boards.simulation import simulation_soc

    soc = simulation_soc(config)
    soc.finalize()
    return soc


def test_the_soc_has_everything_where_the_host_looks_for_it():
    soc = simulation_soc("board")
    page = soc.csr.regions["kpu"]
    assert page.origin == page_address("magic")
    assert [register.name for register in page.obj] == list(PAGE_REGISTERS)
    sdram = soc.csr.regions["sdram"]
    assert [r.name for r in sdram.obj[:5]] == ["dfii_control", "dfii_pi0_command", "dfii_pi0_command_issue",
                                               "dfii_pi0_address", "dfii_pi0_baddress"]
    assert sdram.origin == sdram_address(0)
    assert soc.bus.regions["csr"].origin == CSR_BASE


@pytest.mark.parametrize("config", CORES)
def test_parameters_of_the_core_are_plain_numbers(config, tmp_path):
    """Sized constants would make products of them as narrow as they are."""
    from openkpu.boards.simulation import write_verilog

    text = write_verilog(simulation_soc(config), tmp_path).read_text()
    instance = text[text.index("kpu_core #("):]
    for name, value in CORES[config].verilog().items():
        assert re.search(rf"\.{name} +\({value}\)", instance), name


@pytest.mark.slow
@pytest.mark.rtl
def test_the_boards_own_test_passes_on_the_simulation():
    result = CliRunner().invoke(cli, ["board", "test", "sim", "--quick"])
    assert result.exit_code == 0, result.output
    assert "all equal to the golden model" in result.output
    assert "2048 lines, written back and read again" in result.output


@pytest.mark.slow
@pytest.mark.rtl
def test_run_gives_the_demos_boxes(tmp_path):
    outputs = []
    for backend in "board:sim", "functional":
        folder = tmp_path / backend.partition(":")[0]
        result = CliRunner().invoke(cli, [
            "run", str(DEMO / "shapes.kmodel"), str(DEMO / "pictures" / "heldout_005.png"), "--yolo2",
            str(DEMO / "anchors.txt"), "--backend", backend, "--out", str(folder)])
        assert result.exit_code == 0, result.output
        outputs.append(np.load(folder / "out_0.npy"))
    np.testing.assert_array_equal(*outputs)


@pytest.mark.slow
@pytest.mark.rtl
def test_a_face_detector_gives_the_same_numbers():
    file = SHARED / "kmodels" / "v3_yolo_face_detect.kmodel"
    if not file.is_file():
        pytest.skip(f"{file} is not there")
    model = load(file)
    rng = np.random.default_rng(5)
    inputs = [rng.integers(0, 256, spec.shape).astype(spec.dtype) for spec in model.inputs]
    expected = Session(model, FunctionalDevice(config_named("board"))).run(inputs)
    with closing(BoardDevice("sim")) as device:
        session = Session(model, device)
        for mine, golden in zip(session.run(inputs), expected, strict=True):
            np.testing.assert_array_equal(mine, golden)
        misses = device.read64(REGS_BASE + register("ext_cache_misses").offset)
    assert misses > 2048, "more rows than the cache has lines were in use"


@pytest.mark.slow
@pytest.mark.rtl
def test_a_run_that_was_given_up_does_not_disturb_the_next_one():
    model = load(DEMO / "shapes.kmodel")
    rng = np.random.default_rng(5)
    inputs = [rng.integers(0, 256, spec.shape).astype(spec.dtype) for spec in model.inputs]

    class Enough(Exception):
        pass

    class Hook:
        def __init__(self):
            self.left = 5

        def layer_started(self, layer):
            self.left -= 1
            if not self.left:
                raise Enough

        def layer_done(self, result, output):
            pass

    with closing(BoardDevice("sim")) as device:
        session = Session(model, device)
        with pytest.raises(Enough):
            session.run(inputs, hooks=(Hook(),))
        outputs = session.run(inputs)
    for mine, golden in zip(outputs, Session(model, FunctionalDevice(config_named("board"))).run(inputs), strict=True):
        np.testing.assert_array_equal(mine, golden)
