# SPDX-License-Identifier: Apache-2.0
"""openkpu explore: points, their front, and what confirms them."""

import csv
from pathlib import Path

import pytest

from openkpu.cli import explore as command
from openkpu.cli.main import run_cli
from openkpu.explore.area import estimator, measured
from openkpu.explore.points import Point, explore, front, grid, refused
from openkpu.explore.rtl import count
from openkpu.hw.configs import CORES, CoreParameters
from openkpu.kmodel import load
from rtl import open_rtl

MNIST = Path(__file__).parent / "data" / "nncase_small" / "139_mini_mnist.kmodel"
DEMO = Path(__file__).resolve().parents[1] / "examples" / "demo" / "shapes.kmodel"


def test_rules_are_those_of_the_core():
    assert not any(refused(core) for core in CORES.values())
    good = CORES["tiny"].verilog()
    # as in tests/test_parameters.py, where the RTL refuses them
    for name, value in (("SEGS", 3), ("SEGS", 16), ("SEGLEN", 1), ("LPS", 3), ("LPS", 16), ("DEPTH", 100),
                        ("DEPTH", 32), ("AIRAM_ROWS", 65536), ("WEIGHT_ENTRIES", 1000), ("WEIGHT_ENTRIES", 128)):
        assert refused(CoreParameters(**{**good, name: value})).startswith(name)


def test_the_front_has_what_nothing_beats():
    def point(gates, cycles, reason="", rows=4096):
        return Point(CoreParameters(2, 2, 1, 64, rows, 512), reason, cycles, gates)

    a, b, c, d, e = point(10, 100), point(20, 50), point(20, 60), point(30, 50), point(5, 1, "unfit")
    small = point(10, 100, rows=1024)
    assert front([d, c, b, a, e]) == [a, b]
    assert front([a, small]) == [small]
    assert command.spread([1, 2, 3, 4, 5], 3) == [1, 3, 5] and command.spread([1, 2], 9) == [1, 2]
    assert command.spread([1, 2, 3], 1) == [3] and command.spread([1, 2, 3], 0) == []


def test_estimates_are_near_what_was_synthesized():
    known = measured()
    estimate = estimator()
    assert len(known) >= 4
    assert all(estimate(core) == gates for core, gates in known)
    small, large = (estimate(CoreParameters(s, s, 2, 128, 32768, 4096)) for s in (2, 8))
    assert 0 < small < large


def test_a_dozen_sizes_of_the_core_for_the_demo(tmp_path, capsys):
    pytest.importorskip("plotly", reason="the chart needs: pip install 'openkpu[report]'")
    out, plot = tmp_path / "e.csv", tmp_path / "e.html"
    assert run_cli(["explore", str(DEMO), "--segs", "2,4,8", "--seglen", "4,8", "--lanes", "1,4", "--rows", "512,32768",
                    "--csv", str(out), "--plot", str(plot)]) == 0
    rows = list(csv.DictReader(out.open()))
    assert len(rows) == 24
    unfit = [row for row in rows if row["reason"]]
    assert {row["AIRAM_ROWS"] for row in unfit} == {"512"} and len(unfit) == 12 and "layer" in unfit[0]["reason"]
    usable = [row for row in rows if not row["reason"]]
    best = sorted((row for row in usable if row["front"]), key=lambda row: int(row["gates"]))
    cycles = [int(row["cycles"]) for row in best]
    assert cycles == sorted(cycles, reverse=True) and min(int(row["cycles"]) for row in usable) == cycles[-1]
    assert "12 do not run it" in capsys.readouterr().out
    assert "<html>" in plot.read_text()[:100] and 'src="http' not in plot.read_text()


def test_the_rtl_confirms_a_point():
    open_rtl("tiny").close()
    model = load(MNIST)
    point = next(explore(model, grid([2], [2], [1], [64], [512], [4096])))
    point.rtl_cycles = count(model, point)
    assert point.core == CORES["tiny"] and abs(point.cycles - point.rtl_cycles) <= max(0.03 * point.rtl_cycles, 400)


@pytest.mark.parametrize("arguments, code", [
    (["--segs", "x"], 2), (["--segs", "3"], 2), (["--depth", ",".join(map(str, range(1, 30000)))], 2)])
def test_bad_lists_are_refused(tmp_path, arguments, code, capsys):
    assert run_cli(["explore", str(MNIST), *arguments, "--csv", str(tmp_path / "e.csv")]) == code
    assert capsys.readouterr().err and not (tmp_path / "e.csv").exists()
