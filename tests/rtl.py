"""Opens the Verilated RTL for a test."""

import pytest

from openkpu.devices.native import NativeDevice
from openkpu.errors import DeviceError
from openkpu.hw.configs import config_named


def open_rtl(config: str = "full", **options) -> NativeDevice:
    """The device; the calling test is skipped when the simulator's tools are not installed."""
    try:
        return NativeDevice(config_named(config), **options)
    except DeviceError as error:
        if "install" in str(error):
            pytest.skip(str(error))
        raise
