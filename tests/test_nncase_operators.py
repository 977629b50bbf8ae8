# SPDX-License-Identifier: Apache-2.0
"""Every StackVM operator that nncase 1.9 can be made to emit gives the numbers of nncase's simulator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from openkpu.arithmetic import libm
from openkpu.devices.functional import FunctionalDevice
from openkpu.kmodel import load
from openkpu.runtime.session import Session

DATA = Path(__file__).parent.parent / "build" / "nncase_ops"
# Finished sets only: the generator writes the last model's numbers last.
NAMES = sorted(p.stem for p in DATA.glob("*.npz"))
pytestmark = pytest.mark.skipif(not NAMES, reason="no models compiled by nncase 1.9; make them with: make nncase-ops")

def test_there_is_a_case_for_every_operator_that_can_be_compiled():
    operators = {layer.name for name in NAMES for layer in load(DATA / f"{name}.kmodel").layers}
    assert operators == {
        "BINARY", "BROADCAST", "COMPARE", "COMPRESS", "CONV2D", "CONVERT", "COPY", "CUMSUM", "GATHER",
        "GATHER_ELEMENTS", "GRU", "HARDMAX", "LAYER_NORMALIZATION", "MATMUL", "ONEHOT", "PAD", "RANDOM_NORMAL",
        "RANDOM_UNIFORM", "REDUCE", "REDUCE_ARG", "REDUCE_PROD", "REDUCE_WINDOW2D", "RESIZE_IMAGE", "ROI_ALIGN",
        "SIGMOID", "SLICE", "SOFTMAX", "TERNARY", "TOPK", "TRANSPOSE", "UNARY"}


@pytest.mark.parametrize("name", NAMES)
def test_operator_agrees_with_nncase(name):
    model = load(DATA / f"{name}.kmodel")
    with np.load(DATA / f"{name}.npz") as case:
        expected = [case[f"y{i}"] for i in range(len(model.outputs))]
        outputs = Session(model, FunctionalDevice()).run([case["x0"]])
    assert "1.8-1.9" in model.operator_table
    for found, wanted in zip(outputs, expected, strict=True):
        assert found.dtype == wanted.dtype and found.shape == wanted.shape
        assert np.array_equal(found, wanted) if libm.IS_GLIBC else np.allclose(found, wanted, 1e-5, 1e-6)
