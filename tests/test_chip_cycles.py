# SPDX-License-Identifier: Apache-2.0
"""The estimate of the real chip's cycles against its measured layers (spec/kpu-hardware.md 10.3)."""

import pytest

from openkpu.golden.layers import make_descriptor
from openkpu.schedule.chip import chip_cycles


@pytest.mark.parametrize("shape, channels, fields, milliseconds", [
    ((3, 240, 320), 16, {"kernel_type": 1, "pool_type": 1}, 0.206),
    ((16, 120, 160), 16, {"kernel_type": 1, "depth_wise_layer": 1}, 0.039),
    ((32, 60, 80), 64, {}, 0.680),
    ((64, 60, 80), 64, {"pool_type": 5}, 1.328),
    ((128, 15, 20), 256, {}, 0.781),
    ((256, 15, 20), 256, {"kernel_type": 1, "depth_wise_layer": 1}, 0.0255),
])
def test_estimate_is_near_the_measured_layers(shape, channels, fields, milliseconds):
    assert chip_cycles(make_descriptor(shape, channels, **fields)) == pytest.approx(milliseconds * 400_000, rel=0.05)
