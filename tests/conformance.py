# SPDX-License-Identifier: Apache-2.0
"""The comparison rules of the test vectors."""

import numpy as np

from openkpu.kmodel.model import KpuConv, KpuDownload, KpuUpload, Model
from openkpu.kmodel.v3 import ops as v3
from openkpu.kmodel.v4 import ops as v4
from openkpu.kmodel.v5 import ops as v5

# Operators whose float results do not depend on the order of a summation: anything made of them must be equal.
EXACT = (KpuConv, KpuUpload, KpuDownload, v3.Quantize, v3.Dequantize, v3.ChannelwiseDequantize, v3.AddPadding,
         v3.RemovePadding, v3.QuantizedMaxPool2d, v3.TensorflowFlatten, v4.Quantize, v4.Dequantize, v4.Concat, v4.Pad,
         v4.MemoryCopy, v4.Transpose, v5.Quantize, v5.Dequantize, v5.Copy, v5.Slice, v5.Transpose, v5.Pad)


def assert_same_output(model: Model, got: np.ndarray, expected: np.ndarray) -> None:
    """Equal bit for bit, or within 2e-5 of the largest magnitude where the model has float operators."""
    assert got.dtype == expected.dtype and got.shape == expected.shape
    if all(isinstance(layer, EXACT) for layer in model.layers):
        np.testing.assert_array_equal(got.view(np.uint8), expected.view(np.uint8))
    else:
        np.testing.assert_allclose(got, expected, rtol=0, atol=2e-5 * np.abs(expected).max())
