# SPDX-License-Identifier: Apache-2.0
"""openkpu compare and openkpu profile."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from openkpu.cli import compare
from openkpu.cli.main import run_cli
from openkpu.devices.build import trace_format
from openkpu.devices.native import NativeDevice
from openkpu.errors import DeviceError
from openkpu.hw.fields import SRAM_BASE
from openkpu.kmodel import load
from openkpu.profiling.layers import COLUMNS
from rtl import open_rtl

SMALL = Path(__file__).parent / "data" / "nncase_small"
MNIST = SMALL / "139_mini_mnist.kmodel"


@pytest.fixture(scope="module", autouse=True)
def simulator():
    """Builds it once; skips the tests when something that it needs is not installed."""
    open_rtl("tiny").close()


@pytest.fixture
def digit(tmp_path):
    file = tmp_path / "in.npy"
    spec = load(MNIST).inputs[0]
    np.save(file, np.random.default_rng(3).integers(0, 255, spec.shape).astype(spec.dtype))
    return file


def test_compare_finds_rtl_and_golden_model_equal(digit, capsys):
    assert run_cli(["compare", str(MNIST), str(digit), "--config", "tiny"]) == 0
    assert "RTL ('tiny') and golden model agree in" in capsys.readouterr().out


def test_compare_names_the_first_wrong_value(digit, capsys, monkeypatch):
    write = NativeDevice.write_memory

    def broken(self, address, data):
        if address == SRAM_BASE + 512:  # the first layer's weights: activation and batch-norm tables come before
            data = bytes([data[0] ^ 0x40]) + data[1:]
        write(self, address, data)

    monkeypatch.setattr(NativeDevice, "write_memory", broken)
    assert run_cli(["compare", str(MNIST), str(digit), "--config", "tiny"]) == 5
    message = capsys.readouterr().err
    first = load(MNIST).kpu_layers[0].index
    assert f"layer {first} (" in message
    for word in ("channel 0", "row", "column", "on the RTL", "in the golden model"):
        assert word in message


def test_compare_finds_a_byte_written_outside_the_map(digit, capsys, monkeypatch):
    peek = NativeDevice.peek_memory

    def broken(self, address, size):
        data = bytearray(peek(self, address, size))
        if size == self.config.airam_bytes:
            data[-5] ^= 1
        return bytes(data)

    monkeypatch.setattr(NativeDevice, "peek_memory", broken)
    assert run_cli(["compare", str(MNIST), str(digit), "--config", "tiny"]) == 5
    message = capsys.readouterr().err
    assert "outside the output map differ: 1 bytes, the first is byte 59 of row" in message


def test_compare_writes_a_waveform_of_one_layer(digit, tmp_path, capsys):
    index = load(MNIST).kpu_layers[1].index
    arguments = ["compare", str(MNIST), str(digit), "--config", "tiny", "--out", str(tmp_path), "--trace", str(index)]
    assert run_cli(arguments) == 0
    file = tmp_path / f"layer_{index}.{trace_format()}"
    assert file.stat().st_size > 1000 and str(file) in capsys.readouterr().out
    assert run_cli([*arguments[:-1], "99"]) == 2


def test_difference_reports_place_and_values():
    a = np.zeros((2, 3, 4), np.uint8)
    b = a.copy()
    b[1, 2, 3] = 7
    with pytest.raises(DeviceError, match="x: 1 of 24 values differ; the first is channel 1, row 2, column 3: "
                                          "0 on the RTL, 7 in the golden model"):
        compare.difference("x", a, b)
    compare.difference("nan", np.array([np.nan, 1]), np.array([np.nan, 1]))


def test_profile_accounts_for_every_cycle_of_every_layer(tmp_path, capsys):
    json_file, csv_file = tmp_path / "p.json", tmp_path / "p.csv"
    assert run_cli(["profile", str(MNIST), "--config", "tiny", "--json", str(json_file), "--csv", str(csv_file)]) == 0
    report = json.loads(json_file.read_text())
    model = load(MNIST)
    assert [row["layer"] for row in report["layers"]] == [layer.index for layer in model.kpu_layers]
    for row in report["layers"]:
        waits = sum(row[name] for name in ("busy", "wait_param", "wait_feature", "wait_writeback"))
        assert 0 < waits <= row["cycles"]
        assert abs(row["predicted"] - row["cycles"]) <= max(200, 0.03 * row["cycles"])
        assert 0 < row["effective_macs"] <= row["macs"] and row["utilisation_percent"] <= 100
        assert row["limit"] in ("array", "parameters", "features", "write-back", "start and end")
    totals = report["totals"]
    assert totals["cycles"] == sum(row["cycles"] for row in report["layers"])
    assert totals["macs"] == sum(layer.descriptor.macs for layer in model.kpu_layers)
    rows = list(csv.DictReader(csv_file.open()))
    assert tuple(rows[0]) == COLUMNS and len(rows) == len(report["layers"])
    assert f"{totals['cycles']:,}" in capsys.readouterr().out
