# SPDX-License-Identifier: Apache-2.0
"""Single layers in the RTL: the vendor's raw_layers and random ones, in all configurations."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from openkpu.golden.layers import Layer, layers, load_raw_layer, make_descriptor
from openkpu.golden.on_device import check_layer
from openkpu.golden.parameters import BN_FIELDS, pack_activation, pack_fields
from openkpu.hw.check import descriptor_errors
from openkpu.hw.configs import CORES, config_named
from rtl import open_rtl

RAW = sorted((Path(__file__).parent / "data" / "raw_layers").glob("*.npz"))
# A layer takes too long in the smaller configurations when it has more multiplications than this.
SMALL_MACS = 3_000_000


@pytest.fixture(scope="module", params=CORES)
def device(request):
    opened = open_rtl(request.param)
    yield opened
    opened.close()


def moved_down(layer):
    """The layer with its maps at the bottom of the AI RAM, so that the smaller configurations can hold them."""
    source = replace(layer.source_layout, base=0)
    return replace(layer, descriptor=replace(layer.descriptor, image_src_addr=0, image_dst_addr=source.end, int_en=1))


def test_raw_layers(device, record_property):
    """All 200 in ``full``; in the others those that fit and are small."""
    small = device.config.name != "full"
    ran = 0
    for path in RAW:
        layer = load_raw_layer(path)
        layer = moved_down(layer) if small else replace(layer, descriptor=replace(layer.descriptor, int_en=1))
        if descriptor_errors(layer.descriptor, device.config, layer.eight_bit) or (
                small and layer.descriptor.macs > SMALL_MACS):
            continue
        check_layer(device, layer)
        ran += 1
    assert ran == len(RAW) == 200 or (small and ran >= 100)
    record_property("raw_layers", ran)


def plain_layer(in_shape, out_channels, **fields):
    """A layer with random weights and tables that use all of the output range."""
    rng = np.random.default_rng(out_channels)
    taps = 9 if fields.get("kernel_type") == 1 else 1
    d = make_descriptor(in_shape, out_channels, arg_x=-128, arg_w=-100, arg_add=taps * 12800, **fields)
    bn = pack_fields(BN_FIELDS, norm_mul=rng.integers(1, 2000, out_channels),
                     norm_add=rng.integers(-1000, 1000, out_channels), norm_shift=np.full(out_channels, 15))
    act = pack_activation([-2**35, *sorted(rng.integers(-20000, 20000, 15).tolist())],
                          rng.integers(-500, 500, 16).tolist(), [15] * 16, rng.integers(0, 255, 16).tolist())
    weights = rng.integers(0, 256, d.para_size * d.load_time, np.uint8)
    return Layer(f"{in_shape}->{out_channels}", d, True, weights, bn, act, rng.integers(0, 256, in_shape, np.uint8))


# Layers that were wrong once (docs/bugs.md).
@pytest.mark.parametrize("layer", [
    plain_layer((3, 17, 1), 845), plain_layer((7, 19, 2), 207, pool_type=5),
    plain_layer((1, 1, 129), 1, kernel_type=1, pool_type=8, pad_value=166),
    plain_layer((1, 17, 100), 1, kernel_type=1, pool_type=6, depth_wise_layer=1),
], ids=lambda layer: layer.name)
def test_layer_that_was_wrong_once(layer):
    with closing(open_rtl("full")) as device:
        check_layer(device, layer)


@pytest.mark.parametrize("config, examples", [("full", 120), ("fpga", 40), ("compact", 20), ("tiny", 40)])
def test_random_layers(config, examples):
    """A failing layer is shrunk and printed; it comes again in the next run."""
    with_limits = layers(config_named(config), max_macs=300_000 if config == "full" else 60_000)
    device = open_rtl(config)

    @settings(max_examples=examples, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck),
              phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink))
    @given(layer=with_limits)
    def check(layer):
        check_layer(device, layer)

    check()
    device.close()
