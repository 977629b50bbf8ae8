# SPDX-License-Identifier: Apache-2.0
"""The 105 networks that nncase 1.9 compiled for this project, against nncase's own simulator."""

import json
from pathlib import Path

import numpy as np
import pytest
from conformance import assert_same_output

from openkpu.devices.backends import open_device
from openkpu.kmodel import load
from openkpu.runtime import Session
from rtl import open_rtl

FOLDER = Path(__file__).parent / "data" / "nncase_small"
INDEX = json.loads((FOLDER / "index.json").read_text())


@pytest.fixture(scope="module")
def functional():
    opened = open_device("functional")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def rtl():
    opened = open_rtl()
    yield opened
    opened.close()


def check_network(entry, device):
    """Run a network on all its inputs; their number."""
    data = np.load(FOLDER / f"{entry['id']}.npz")
    session = Session(load(FOLDER / f"{entry['id']}.kmodel"), device)
    inputs = sorted(key for key in data.files if key.startswith("x"))
    for key in inputs:
        outputs = session.run([data[key]])
        for k, output in enumerate(outputs):
            expected = data[f"y{key[1:]}_{k}"]
            assert_same_output(session.model, output, expected)
    return len(inputs)


@pytest.mark.parametrize("entry", INDEX, ids=[e["id"] for e in INDEX])
def test_small_network_gives_nncases_numbers(entry, functional, record_property):
    record_property("small_network", check_network(entry, functional))


def test_small_networks_give_nncases_numbers_in_the_rtl(rtl, record_property):
    for entry in INDEX:
        check_network(entry, rtl)
    record_property("rtl_networks", len(INDEX))
