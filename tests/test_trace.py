# SPDX-License-Identifier: Apache-2.0
"""openkpu trace: a waveform whose signals carry the names of the bus tables."""

import re
from pathlib import Path

import pytest

from openkpu.cli.main import run_cli
from openkpu.devices.build import trace_format
from openkpu.hw.names import STATES, state_names
from openkpu.kmodel import load
from openkpu.tracing.lists import TOP, groups
from rtl import open_rtl

MNIST = Path(__file__).parent / "data" / "nncase_small" / "139_mini_mnist.kmodel"
LAYER = load(MNIST).kpu_layers[1]


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """The folder with one layer's files."""
    open_rtl("tiny").close()
    folder = tmp_path_factory.mktemp("trace")
    assert run_cli(["trace", str(MNIST), "--layer", str(LAYER.index), "--config", "tiny", "--out", str(folder)]) == 0
    return folder


def test_every_state_has_a_name():
    for module in STATES:
        width, names = state_names(module)
        assert len(names) > 3 and max(names.values()) < 1 << width


def test_files_for_both_viewers_list_the_same_signals(traced):
    save, commands = ((traced / f"layer_{LAYER.index}.{end}").read_text() for end in ("gtkw", "sucl"))
    listed = [re.sub(r"\[.*", "", line) for line in save.splitlines() if line.startswith(TOP)]
    assert listed == [line.split()[1] for line in commands.splitlines() if line.startswith("variable_add")]
    assert f'[dumpfile] "layer_{LAYER.index}.{trace_format()}"' in save
    assert not list(traced.glob(".*"))


def test_signals_exist_have_their_width_and_the_plan_is_the_layers(traced):
    wellen = pytest.importorskip("pywellen", reason="waveforms are read by: pip install pywellen")
    wave = wellen.Waveform(str(traced / f"layer_{LAYER.index}.{trace_format()}"))
    found = {variable.full_name: variable for variable in wave.all_vars()}
    for group in groups():
        for wire in group.wires:
            assert found[wire.full].bitwidth == wire.width
            if wire.named and trace_format() == "fst":
                assert found[wire.full].enum_type, wire.full

    def last(name):
        return list(found[f"{TOP}.{name}"].signal)[-1][1]

    d = LAYER.descriptor
    assert [last(f"executing.{name}") for name in ("IC", "OC", "OW", "OH")] == [d.i_ch_num, d.o_ch_num, d.o_row_wid,
                                                                               d.o_col_high]


@pytest.mark.parametrize("layer, reason", [("99", "does not exist"), ("host", "runs on the host")])
def test_layers_that_cannot_be_traced_are_named(layer, reason, tmp_path, capsys):
    host = next(step.index for step in load(MNIST).layers if step.where == "host")
    number = str(host) if layer == "host" else layer
    assert run_cli(["trace", str(MNIST), "--layer", number, "--out", str(tmp_path)]) == 2
    assert reason in capsys.readouterr().err
