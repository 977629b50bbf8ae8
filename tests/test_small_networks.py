"""The 105 networks that nncase 1.9 compiled for this project, against nncase's own simulator."""

import json
from pathlib import Path

import numpy as np
import pytest
from conformance import assert_same_output

from openkpu.devices.registry import open_device
from openkpu.kmodel import load
from openkpu.runtime import Session

FOLDER = Path(__file__).parent / "data" / "nncase_small"
INDEX = json.loads((FOLDER / "index.json").read_text())


@pytest.fixture(scope="module")
def device():
    opened = open_device("functional")
    yield opened
    opened.close()


@pytest.mark.parametrize("entry", INDEX, ids=[e["id"] for e in INDEX])
def test_small_network_gives_nncases_numbers(entry, device, record_property):
    data = np.load(FOLDER / f"{entry['id']}.npz")
    session = Session(load(FOLDER / f"{entry['id']}.kmodel"), device)
    inputs = sorted(key for key in data.files if key.startswith("x"))
    for key in inputs:
        outputs = session.run([data[key]])
        for k, output in enumerate(outputs):
            expected = data[f"y{key[1:]}_{k}"]
            assert_same_output(session.model, output, expected)
    record_property("small_network", len(inputs))
