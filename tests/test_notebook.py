# SPDX-License-Identifier: Apache-2.0
"""Objects that show themselves in a notebook, and the notebook in examples/."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from openkpu.devices.backends import open_device
from openkpu.hw.configs import CORES
from openkpu.kmodel import load
from openkpu.profiling.layers import predicted_profile
from openkpu.runtime import Session

ROOT = Path(__file__).resolve().parents[1]
RESIDUAL = Path(__file__).parent / "data" / "nncase_small" / "131_resblock2.kmodel"


class Checked(HTMLParser):
    """Elements that are opened and closed, and the text."""

    def __init__(self, html: str):
        super().__init__()
        self.open, self.tags, self.text = [], set(), ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_sessions_layers_models_and_profiles_show_themselves():
    model = load(RESIDUAL)
    config = CORES["full"].config("full")
    session = Session(model, open_device("functional"))
    assert "Session on 'functional'" in Checked(session._repr_html_()).text
    assert str(model.kpu_layers[0].descriptor.weight_bytes(True)) in Checked(model._repr_html_()).text.replace(",", "")
    for layer in model.layers:
        assert f"layer {layer.index}: {layer.name}" in Checked(layer._repr_html_()).text
    profile = predicted_profile(model, config, CORES["full"])
    assert f"{profile.totals()['cycles']:,}" in Checked(profile._repr_html_()).text


def test_names_of_files_are_no_html():
    shown = Checked(replace(load(RESIDUAL), source="<script>alert(1)</script>")._repr_html_())
    assert "script" not in shown.tags and "<script>alert(1)</script>" in shown.text


def test_the_notebook_runs():
    nbformat = pytest.importorskip("nbformat", reason="notebooks are run by: pip install nbclient ipykernel")
    nbclient = pytest.importorskip("nbclient", reason="notebooks are run by: pip install nbclient ipykernel")
    pytest.importorskip("ipykernel", reason="notebooks are run by: pip install nbclient ipykernel")
    notebook = nbformat.read(ROOT / "examples" / "inside.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3",
                            resources={"metadata": {"path": str(ROOT / "examples")}}).execute()
    shown = [set(output.data) for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output]
    assert sum("text/html" in kinds for kinds in shown) == 3 and sum("image/png" in kinds for kinds in shown) == 2
