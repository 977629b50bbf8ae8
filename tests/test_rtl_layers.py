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


def test_raw_layers(device, record_property):
    """All 200 in ``full``; in the others those that fit and are small."""
    ran = 0
    for path in RAW:
        layer = load_raw_layer(path)
        # Alone on the chip; int_en is what the driver sets at run time.
        layer = replace(layer, descriptor=replace(layer.descriptor, int_en=1))
        fits = not descriptor_errors(layer.descriptor, device.config, layer.eight_bit)
        if fits and (device.config.name == "full" or layer.descriptor.macs <= SMALL_MACS):
            check_layer(device, layer)
            ran += 1
    assert ran == 200 if device.config.name == "full" else ran >= 50
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
