# SPDX-License-Identifier: Apache-2.0
"""Random ordinary networks give the bytes of nncase 1.9's simulator: stored ones always, fresh ones where nncase is."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numpy as np
import pytest

from openkpu.arithmetic import libm
from openkpu.devices.backends import open_device
from openkpu.errors import ModelError
from openkpu.kmodel import load
from openkpu.runtime import Session
from rtl import open_rtl
from tools import nncase_campaign as campaign

DATA = Path(__file__).parent / "data"
STORED = sorted((DATA / "nncase_networks").glob("*.kmodel"))
"""66 random networks, and 19 of the functions that those do not use."""
CASES = DATA / "nncase_cases"
"""Files on which earlier versions failed: nncase 1.0 (out_nhwc, w1000) and 1.9."""
EXACT_CASES = ["gap_7x7", "gru", "l2norm", "mlp_rank2", "out_nhwc", "r00110", "softmax_1000", "u_Tanh", "w1000"]
IN_RTL = ["attention", "detector", "embedding", "inverted", "mixture", "unet"]

CHUNKS, CHUNK = 8, 26
"""Fresh networks per run: 208, so that 200 remain of them when nncase itself refuses some."""
SEED = int(os.environ.get("OPENKPU_NNCASE_SEED", "0"))

# The stored numbers come from glibc 2.36; glibc 2.41 rounds some float functions otherwise, and other libms all.
SAME_LIBM = libm.IS_GLIBC and tuple(map(int, platform.libc_ver()[1].split(".")[:2])) < (2, 41)


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


def check(kmodel, device):
    """Bit for bit on the libm that made the numbers, nearly so on others."""
    found = campaign.differences(kmodel, device)
    if found and not SAME_LIBM:
        with np.load(kmodel.with_suffix(".npz")) as case:
            model = load(kmodel)
            for i, y in enumerate(Session(model, device).run([case["x0"]])):
                np.testing.assert_allclose(y, case[f"y{i}"], rtol=1e-5, atol=1e-6)
    else:
        assert not found


@pytest.mark.parametrize("kmodel", STORED, ids=[k.stem for k in STORED])
def test_stored_network_gives_nncases_bytes(kmodel, functional, record_property):
    check(kmodel, functional)
    record_property("stored_network", 1)


@pytest.mark.parametrize("name", EXACT_CASES)
def test_file_on_which_an_earlier_version_failed_gives_the_vendors_bytes(name, functional):
    check(CASES / f"{name}.kmodel", functional)


def likeness(kmodel, device, **options):
    """Correlation of the outputs with those that ONNX Runtime computes from the network itself."""
    with np.load(CASES / f"{kmodel}_meant.npz") as case:
        found = Session(load(CASES / f"{kmodel}.kmodel", **options), device).run([case["x"]])[0]
        return np.corrcoef(found.ravel(), case["y"].ravel())[0, 1]


def test_miscompiled_argument_is_computed_as_the_vendor_does_with_a_warning_or_as_it_was_meant(functional):
    as_vendor, strict = (load(CASES / "r00110.kmodel", strict_math=wanted) for wanted in (False, True))
    assert "layer 1 reads a tensor with the strides (1320, 1320, 33, 1)" in as_vendor.warnings[0]
    assert strict.warnings == () and likeness("r00110", functional, strict_math=True) > 0.99
    assert likeness("r00110", functional) < 0.5


def test_input_inside_an_input_is_refused_as_nncase_does_unless_strict_math_is_wanted(functional):
    with pytest.raises(ModelError, match="nncase's own runtimes refuse the file too"):
        load(CASES / "shuffle.kmodel")
    assert likeness("shuffle", functional, strict_math=True) > 0.99


@pytest.mark.rtl
@pytest.mark.parametrize("family", IN_RTL)
def test_stored_networks_give_nncases_bytes_in_the_rtl(family, rtl):
    check(next(k for k in STORED if k.stem.startswith(family)), rtl)


@pytest.mark.rtl
@pytest.mark.slow
def test_every_stored_network_gives_nncases_bytes_in_the_rtl(rtl):
    for kmodel in STORED:
        check(kmodel, rtl)


@pytest.mark.skipif(campaign.nncase_python() is None, reason=campaign.NO_NNCASE)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_fresh_random_networks_give_nncases_bytes(chunk, tmp_path, functional, record_property):
    seed = SEED or int.from_bytes(os.urandom(3))
    print(f"seed {seed}: python -m tools.nncase_campaign --count {CHUNK} --seed {seed} shows it again")
    said: list[str] = []
    result = campaign.run_campaign(seed, CHUNK, tmp_path, functional, said.append)
    assert not said, f"seed {seed}: {said}"
    assert result["equal"] >= CHUNK // 2 and result["refused by nncase"] <= CHUNK // 2
    record_property("fresh_network", result["equal"])
