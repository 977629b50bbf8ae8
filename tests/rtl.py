# SPDX-License-Identifier: Apache-2.0
"""Opens simulated hardware for a test."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from openkpu.devices.native import NativeDevice
from openkpu.errors import DeviceError
from openkpu.hw.configs import config_named


@contextmanager
def skip_without_tools() -> Iterator[None]:
    """Skip the calling test when the simulator's tools are not installed."""
    try:
        yield
    except DeviceError as error:
        if "install" in str(error):
            pytest.skip(str(error))
        raise


def open_rtl(config: str = "full", **options) -> NativeDevice:
    """The Verilated core; the calling test is skipped when the simulator's tools are not installed."""
    with skip_without_tools():
        return NativeDevice(config_named(config), **options)
