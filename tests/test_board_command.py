# SPDX-License-Identifier: Apache-2.0
"""openkpu board: what it builds, counts and refuses, with tools that only write what the real ones would."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from openkpu.cli.main import cli
from openkpu.errors import DeviceError
from openkpu.hw.ecp5 import module_cells

pytest.importorskip("litex")
from openkpu.boards import build as boards

MODULES = {
    "ulx3s": {"num_cells_by_type": {"kpu_core": 1, "LUT4": 10, "CCU2C": 5}},
    "\\kpu_core": {"num_cells_by_type": {  # its cells are of the kind kpu_core
        "$paramod$12ab\\kpu_pe": 2, "$paramod\\kpu_ram\\WIDTH=s32'1": 1, "TRELLIS_FF": 7}},
    "$paramod$12ab\\kpu_pe": {"num_cells_by_type": {"LUT4": 3, "MULT18X18D": 3, "$paramod\\kpu_ram\\WIDTH=s32'1": 1}},
    "$paramod\\kpu_ram\\WIDTH=s32'1": {"num_cells_by_type": {"DP16KD": 2, "TRELLIS_DPR16X4": 1}},
}
REPORT = {
    "fmax": {"sys": {"achieved": 48.0, "constraint": 50.0}, "fast": {"achieved": 150.0, "constraint": 100.0}},
    "utilization": {"DP16KD": {"used": 100, "available": 208}, "DCCA": {"used": 0, "available": 56}},
    "critical_paths": [
        {"from": "posedge fast", "to": "posedge fast", "path": []},
        {"from": "posedge sys", "to": "posedge sys", "path": [
            {"delay": 1.25, "type": "logic", "from": {"cell": "a"}, "to": {"cell": "b"}}]}],
}


def test_cells_count_in_every_module_that_holds_them():
    cells = module_cells(MODULES, "ulx3s")
    assert cells["kpu_ram"] == {"LUTs": 12, "flip-flops": 0, "18x18": 0, "block RAM": 6}
    assert cells["kpu_pe"] == {"LUTs": 14, "flip-flops": 0, "18x18": 6, "block RAM": 4}
    assert cells["kpu_core"] == {"LUTs": 18, "flip-flops": 7, "18x18": 6, "block RAM": 6}
    assert cells["ulx3s"] == {"LUTs": 38, "flip-flops": 7, "18x18": 6, "block RAM": 6}


def tools(calls):
    def run(name, arguments, log):
        calls.append((name, arguments))
        if name == "yosys":
            (log.parent / "modules.json").write_text(json.dumps({"modules": MODULES}))
        if name == "nextpnr-ecp5":
            (log.parent / "report.json").write_text(json.dumps(REPORT))
        return ""
    return run


def test_a_bitstream_is_built_of_the_boards_own_pins_and_chip(tmp_path, monkeypatch):
    calls: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(boards, "run_tool", tools(calls))
    result = CliRunner().invoke(cli, ["board", "build", "ulx3s", "--folder", str(tmp_path)])
    assert [name for name, _ in calls] == ["yosys", "nextpnr-ecp5", "ecppack"]
    placing = " ".join(calls[1][1])
    assert "--85k --package CABGA381 --speed 6" in placing and "--lpf ulx3s.lpf" in placing
    assert f"--seed {boards.target('ulx3s').seed} " in placing
    pins = (tmp_path / "ulx3s.lpf").read_text()
    assert 'LOCATE COMP "clk25" SITE "G2"' in pins and 'LOCATE COMP "sdram_clock" SITE "F19"' in pins
    script = (tmp_path / "synth.ys").read_text()
    assert "ecp5_arith.v" in script and (tmp_path / "kpu_core.v").is_file() and (tmp_path / "ecp5_arith.v").is_file()
    assert "sys: slower than asked for" in str(result.exception)
    for text in "kpu_pe", "DP16KD", "sys: 48.0 MHz (asked for 50.0)", "1.25 ns  logic    a -> b":
        assert text in result.output
    assert "DCCA" not in result.output, "nothing used"


def test_synthesis_alone_ends_before_placing(tmp_path, monkeypatch):
    calls: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(boards, "run_tool", tools(calls))
    result = CliRunner().invoke(cli, ["board", "build", "ulx3s", "--folder", str(tmp_path), "--synthesis-only"])
    assert result.exit_code == 0, result.output
    assert [name for name, _ in calls] == ["yosys"]


def test_what_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments, code, text in (
            (["build", "de10"], 2, "there is no board 'de10'"),
            (["build", "ulx3s", "--config", "huge"], 2, "no KPU configuration 'huge'"),
            (["load", "ulx3s"], 2, "there is no bitstream build/board/ulx3s/ulx3s.bit"),
            (["test", "lpt:1"], 2, "there is no link 'lpt'"),
            (["bench", "sim"], 2, "Missing argument")):
        result = CliRunner().invoke(cli, ["board", *arguments])
        assert text in result.output or text in str(result.exception), arguments
        assert result.exit_code == code or getattr(result.exception, "exit_code", 0) == code


def test_a_tool_that_fails_or_hangs_is_an_error(tmp_path, monkeypatch):
    program = tmp_path / "nextpnr-ecp5"
    program.write_text("#!/bin/sh\necho no room\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(DeviceError, match=r"nextpnr-ecp5 failed \(no room\)"):
        boards.run_tool("nextpnr-ecp5", [], tmp_path / "log")
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setenv("MINUTES", "0.01")
    with pytest.raises(DeviceError, match="stopped after 0.01 minutes"):
        boards.run_tool("nextpnr-ecp5", [], tmp_path / "log")
