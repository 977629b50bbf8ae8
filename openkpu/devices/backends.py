# SPDX-License-Identifier: Apache-2.0
"""The back ends by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from ..errors import UsageError
from ..hw.device import Device, KpuConfig

# name -> (module, factory taking a KpuConfig, one line of help). Modules are imported on use: a simulator that is not
# installed must not cost anything, nor get in the way of the others.
BACKENDS: dict[str, tuple[str, str, str]] = {
    "functional": ("openkpu.devices.functional", "FunctionalDevice", "bit-exact model in numpy, no clock"),
    "rtl": ("openkpu.devices.native", "NativeDevice", "the Verilog design, simulated cycle by cycle"),
    "soc": ("openkpu.devices.soc", "SocDevice", "the same with flash, DMA and SRAM around it; slower"),
    "board": ("openkpu.devices.board", "BoardDevice",
              "board:uart:PORT, board:udp:HOST, board:tcp:HOST[:PORT] an FPGA board, board:sim a simulated one"),
    "cocotb": ("openkpu.devices.cocotb_device", "CocotbDevice", "kpu_core in a cocotb bench; very slow"),
}

# Those that simulate a flash chip with its controller; they have ``flash_write``.
WITH_FLASH = ("soc",)
# Those whose name goes on with a place, ``board:sim``; they know their configuration themselves.
WITH_PLACE = ("board",)


def open_device(name: str, config: KpuConfig | None = None) -> Device:
    """Open the back end called ``name``; the caller closes it.

    Raises
    ------
    UsageError
        There is no such back end.
    DeviceError
        Its simulator is missing or does not start; the message names the command that installs it.
    """
    kind, _, place = name.partition(":")
    if kind not in BACKENDS or bool(place) != (kind in WITH_PLACE):
        raise UsageError(f"there is no back end '{name}'; choose one of {', '.join(_shown(name) for name in BACKENDS)}")
    module, factory, _ = BACKENDS[kind]
    make: Callable[..., Device] = getattr(import_module(module), factory)
    return make(place) if place else make(config or KpuConfig())


def _shown(name: str) -> str:
    return f"{name}:..." if name in WITH_PLACE else name
