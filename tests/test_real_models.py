# SPDX-License-Identifier: Apache-2.0
"""Every real model and case of the shared vectors, under the comparison rules of their README."""

import json
import zlib
from contextlib import closing

import numpy as np
import pytest
from conformance import assert_same_output
from shared_data import NO_SHARED, SHARED

from openkpu.devices.backends import open_device
from openkpu.kmodel import load
from openkpu.kmodel.model import KpuConv
from openkpu.runtime import Session
from rtl import open_rtl

MODELS = sorted(p.name for p in (SHARED / "vectors" / "models").glob("*/"))
REQUANTIZED = "v4_mb-0.25"


class CrcHook:
    """CRC-32 of every KPU execution, and the number of the first one behind a float convolution."""

    def __init__(self):
        self.crcs = []
        self.exact = None

    def layer_started(self, layer):
        if layer.name == "conv2d" and self.exact is None:
            self.exact = len(self.crcs)

    def layer_done(self, result, output):
        if result.where == "kpu":
            assert result.crc32 == zlib.crc32(output.tobytes())
            self.crcs.append(result.crc32)


def assert_close_after_requantizing(got, expected):
    cosine = got @ expected / np.linalg.norm(got) / np.linalg.norm(expected)
    assert cosine >= 0.9995
    np.testing.assert_allclose(got, expected, rtol=0, atol=0.03 * np.abs(expected).max())


def check_model(name, device, cases=None):
    """Run a model's cases on a fresh device and compare everything; the number of cases."""
    folder = SHARED / "vectors" / "models" / name
    meta = json.loads((folder / "meta.json").read_text())
    model = load(SHARED / meta["kmodel"])
    assert sum(layer.batches for layer in model.layers if isinstance(layer, KpuConv)) == meta["kpu_layers"]
    assert sum(layer.descriptor.macs * layer.batches for layer in model.kpu_layers) == meta["kpu_macs"]
    session = Session(model, device)
    chosen = list(meta["cases"].items())[:cases]
    for case, facts in chosen:
        hook = CrcHook()
        outputs = session.run([np.load(folder / f"in_{case}.npy")], hooks=[hook])
        exact = hook.exact if name == REQUANTIZED else None
        assert hook.crcs[:exact] == facts["kpu_layer_crc32"][:exact]
        assert len(hook.crcs) == len(facts["kpu_layer_crc32"])
        assert len(outputs) == len(meta["outputs"])
        for k, output in enumerate(outputs):
            expected = np.load(folder / f"out_{case}_{k}.npy")
            if name == REQUANTIZED:
                assert_close_after_requantizing(output, expected)
            else:
                assert_same_output(model, output, expected)
    return len(chosen)


@pytest.mark.skipif(not MODELS, reason=NO_SHARED)
@pytest.mark.parametrize("name", MODELS or ["none"])
def test_real_model_gives_the_vendor_simulators_numbers(name, record_property):
    with closing(open_device("functional")) as device:
        record_property("real_model", check_model(name, device))


@pytest.mark.skipif(not MODELS, reason=NO_SHARED)
@pytest.mark.parametrize("name", [name for name in MODELS if not name.endswith("iris")] or ["none"])
def test_real_model_gives_the_vendor_simulators_numbers_in_the_rtl(name, record_property):
    with closing(open_rtl()) as device:
        record_property("rtl_model", check_model(name, device, cases=1))
