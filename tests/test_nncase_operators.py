"""Every StackVM operator that nncase 1.9 can be made to emit gives the numbers of nncase's simulator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from openkpu.devices.functional import FunctionalDevice
from openkpu.kmodel import load
from openkpu.runtime.session import Session

DATA = Path(__file__).parent.parent / "build" / "nncase_ops"
# Finished sets only: the generator writes the last model's numbers last.
NAMES = sorted(p.stem for p in DATA.glob("*.npz"))
pytestmark = pytest.mark.skipif(not NAMES, reason="no models compiled by nncase 1.9; make them with: make nncase-ops")

# Operators whose vendor code uses another library for exp, log and the like, or another order of summation.
ROUNDED = {"cos", "erf", "exp", "instancenormalization", "log", "logsoftmax", "pow", "reducemean_keepdims", "sigmoid",
           "sin", "softmax", "tanh", "acos", "asin", "concat_axis1", "concat_axis3", "matmul", "gemm", "conv",
           "lpnormalization"}


def test_there_is_a_case_for_every_operator_that_can_be_compiled():
    operators = {layer.name for name in NAMES for layer in load(DATA / f"{name}.kmodel").layers}
    assert operators == {
        "BINARY", "BROADCAST", "COMPARE", "CONV2D", "CONVERT", "COPY", "CUMSUM", "GATHER", "HARDMAX", "MATMUL",
        "ONEHOT",
        "PAD", "REDUCE", "REDUCE_ARG", "REDUCE_PROD", "REDUCE_WINDOW2D", "RESIZE_IMAGE", "SIGMOID", "SLICE", "SOFTMAX",
        "TERNARY", "TOPK", "TRANSPOSE", "UNARY"}


@pytest.mark.parametrize("name", NAMES)
def test_operator_agrees_with_nncase(name):
    model = load(DATA / f"{name}.kmodel")
    with np.load(DATA / f"{name}.npz") as case:
        expected = [case[f"y{i}"] for i in range(len(model.outputs))]
        outputs = Session(model, FunctionalDevice()).run([case["x0"]])
    assert "1.8-1.9" in model.operator_table
    for found, wanted in zip(outputs, expected, strict=True):
        assert found.dtype == wanted.dtype and found.shape == wanted.shape
        if name in ROUNDED:
            assert np.abs(found - wanted).max() <= 2e-5 * np.abs(wanted).max()
        else:
            assert np.array_equal(found, wanted)
