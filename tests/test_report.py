# SPDX-License-Identifier: Apache-2.0
"""openkpu profile --html and its comparison of two profiles."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from browser import open_page

from openkpu.cli.main import run_cli
from openkpu.hw.configs import CORES
from openkpu.kmodel import KpuConv, load
from openkpu.profiling.compare import pairs
from openkpu.profiling.layers import predicted_profile
from openkpu.report.facts import collect
from openkpu.report.graph import INPUT, places, producers
from openkpu.report.maps import summary
from openkpu.report.traffic import traffic

ROOT = Path(__file__).resolve().parents[1]
SMALL = Path(__file__).parent / "data" / "nncase_small"
MNIST = SMALL / "139_mini_mnist.kmodel"
RESIDUAL = SMALL / "131_resblock2.kmodel"
DEMO = ROOT / "examples" / "demo" / "shapes.kmodel"


def facts_of(path: Path, core: str = "full"):
    model = load(path)
    config = CORES[core].config(core)
    return model, collect(model, config, CORES[core], predicted_profile(model, config, CORES[core]), False)


def test_every_byte_that_a_layer_reads_has_its_last_writer():
    for path in (RESIDUAL, DEMO, SMALL / "139_mini_mnist.kmodel"):
        model = load(path)
        edges = producers(model)
        assert len(edges) == len(model.layers) + len(model.outputs)
        for index, sources in enumerate(edges):
            assert all(INPUT <= s < index for s in sources)
        assert edges[0] == [INPUT] and edges[-1] == [len(model.layers) - 1]
    assert max(len(sources) for sources in producers(load(RESIDUAL))) == 2  # the sum of a residual block


def test_layers_stand_below_what_they_read():
    edges = producers(load(RESIDUAL))[:-1]
    found = places(edges)
    assert len({(p.rank, p.column) for p in found}) == len(found)
    assert all(found[s].rank < found[i].rank for i, sources in enumerate(edges) for s in sources if s >= 0)


def test_cycles_of_a_layer_are_those_of_its_parts_and_memory_holds_no_two_maps_in_one_place():
    _, facts = facts_of(DEMO)
    for row in facts["rows"]:
        parts = [row[name] for name in ("busy", "wait_param", "wait_feature", "wait_writeback", "rest")]
        assert sum(parts) == row["cycles"] and min(parts) >= 0
        assert row["cycles"] >= row["effective_macs"] / facts["peak"]["macs"]
    lives = facts["lives"]
    for i, a in enumerate(lives):
        for b in lives[:i]:
            apart_in_time = a["begin"] >= b["end"] or b["begin"] >= a["end"]
            apart_in_rows = a["row"] >= b["row"] + b["rows"] or b["row"] >= a["row"] + a["rows"]
            assert apart_in_time or apart_in_rows, (a, b)
    json.dumps(facts, allow_nan=False)


@pytest.mark.parametrize("core", ["full", "tiny"])
def test_traffic_fits_the_cycles_that_the_buses_have(core):
    model, facts = facts_of(MNIST if core == "tiny" else DEMO, core)
    for layer, row in zip(model.kpu_layers, facts["rows"], strict=True):
        moved = traffic(layer, CORES[core])
        assert moved["weight_bytes"] == layer.weights.size <= moved["fetched_bytes"]
        assert row["rows_read"] <= row["cycles"]


def test_pictures_of_maps_are_small_and_say_what_they_leave_out():
    told = summary(np.arange(200 * 9 * 7).reshape(1, 200, 9, 7).astype(np.float32))
    assert (told["shown"], told["channels"], told["low"], told["high"]) == (64, 200, 0, 200 * 63 - 1)
    assert told["picture"].startswith("data:image/webp;base64,")
    assert summary(np.array([np.nan, 1, np.inf], np.float32))["high"] == 1
    assert summary(np.zeros((1, 0), np.float32))["picture"] == ""


def test_layers_of_two_profiles_are_matched():
    def row(kind, cycles):
        return {"kind": kind, "pool": "", "in_shape": [1], "out_shape": [2], "cycles": cycles}

    a, b = [row("a", 1), row("b", 2), row("c", 3)], [row("a", 1), row("x", 5), row("b", 2), row("d", 7)]
    assert pairs(a, b) == [(0, 0), (None, 1), (1, 2), (2, 3)]
    assert pairs([], b[:1]) == [(None, 0)] and pairs(a[:1], []) == [(0, None)]


def test_a_profile_is_compared_with_a_model_and_with_an_earlier_one(tmp_path, capsys):
    old = tmp_path / "old.json"
    assert run_cli(["profile", str(MNIST), "--predicted", "--config", "tiny", "--json", str(old)]) == 0
    capsys.readouterr()
    assert run_cli(["profile", str(MNIST), str(old), "--predicted"]) == 0
    printed = capsys.readouterr().out
    assert "A: " in printed and "'full', by the cycle model" in printed and "'tiny', by the cycle model" in printed
    assert run_cli(["profile", str(old), str(MNIST), "--predicted"]) == 0
    assert run_cli(["profile", str(old), str(old)]) == 0
    assert "+0.0 %" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"layers": [{}], "totals": {"cycles": 1}, "model": "m"}'])
def test_a_file_that_is_no_profile_is_named(tmp_path, capsys, text):
    (tmp_path / "p.json").write_text(text)
    assert run_cli(["profile", str(MNIST), str(tmp_path / "p.json"), "--predicted"]) == 4
    assert "p.json: " in capsys.readouterr().err


def test_without_plotly_one_sentence_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    assert run_cli(["profile", str(MNIST), "--predicted", "--html", str(tmp_path / "r.html")]) == 2
    assert "pip install 'openkpu[report]'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    pytest.importorskip("plotly", reason="reports need: pip install 'openkpu[report]'")
    folder = tmp_path_factory.mktemp("report")
    picture = ROOT / "examples" / "demo" / "pictures" / "heldout_006.png"
    assert run_cli(["profile", str(DEMO), str(picture), str(MNIST), "--predicted", "--html",
                    str(folder / "r.html")]) == 0
    return folder / "r.html"


def test_report_loads_sorts_and_selects_without_a_network(report, tmp_path):
    model = load(DEMO)
    with open_page(report.as_uri(), tmp_path) as watched:
        page = watched.page
        page.wait_for_selector("body[data-ready]")
        assert page.locator(".chart .main-svg").count() >= 7
        assert page.locator("#table tbody tr").count() == len(model.layers)
        page.get_by_role("button", name="cycles", exact=True).click()
        cells = page.locator("#table tbody tr td:nth-child(7)").all_inner_texts()
        cycles = [int(text.replace(",", "")) for text in cells if text]
        assert cycles == sorted(cycles, reverse=True) and len(cycles) == len(model.kpu_layers)
        page.locator("#table tbody tr").first.click()
        first = page.locator("#table tbody tr.picked td").first.inner_text()
        assert page.locator("#choice").input_value() == first and page.locator("#graph g.node.picked").count() == 1
        other = next(layer.index for layer in model.layers if isinstance(layer, KpuConv) and str(layer.index) != first)
        page.locator(f"#graph g.node[data-layer='{other}']").click()
        assert page.locator("#choice").input_value() == str(other)
        assert page.locator("#layer img").evaluate("image => image.naturalWidth") > 50
        before = page.locator(".card b").first.inner_text()
        page.locator("#mhz").fill("50")
        assert float(page.locator(".card b").first.inner_text().split()[0]) == pytest.approx(
            2 * float(before.split()[0]), rel=0.02)
        assert page.locator("#comparison").is_visible() and page.locator("#pairs-table tbody tr").count() >= 17
        assert watched.overflow(390) == 0 and watched.overflow(320) == 0
        assert not watched.errors and not watched.foreign
        assert json.loads(page.locator("#data").text_content())["a"]["model"] == str(DEMO)
