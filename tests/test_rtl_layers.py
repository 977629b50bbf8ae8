"""Single layers in the RTL: the vendor's raw_layers and random ones, in all configurations."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from openkpu.golden.layers import layers, load_raw_layer
from openkpu.hw.check import descriptor_errors
from openkpu.hw.configs import CORES, config_named
from rtl import open_rtl
from tb.on_device import check_layer

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


@pytest.mark.parametrize("config, examples", [("full", 120), ("fpga", 40), ("tiny", 40)])
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
