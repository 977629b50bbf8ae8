# SPDX-License-Identifier: Apache-2.0
"""Content of the flash behind ``flash_pins.v``, whichever of the two models it is."""

from __future__ import annotations

import ctypes
from pathlib import Path

from cocotb.utils import get_sim_time
from cocotbext.qspi import verilog_dir

from tb.bench import ROOT
from tb.clocked import runs_on


class WitnessFlash:
    """cocotbext-qspi's model; runs on Icarus."""

    def __init__(self, pins, size: int):
        self.flash, self.size = pins.flash, size

    def write(self, content: bytes) -> None:
        for i, byte in enumerate(content):
            self.flash.memory[i].value = byte

    def read(self) -> bytes:
        return bytes(int(self.flash.memory[i].value) for i in range(self.size))

    def cut_power(self) -> None:
        # A command half received is forgotten.
        self.flash.cmd.value = 0
        self.flash.wel.value = 0


class NativeFlash:
    """The C++ model of the native back end, linked into the Verilated simulation."""

    def __init__(self, pins, size: int):
        self.library, self.size = ctypes.CDLL(None), size

    def write(self, content: bytes) -> None:
        self.library.flash_poke(0, bytes(content), len(content))

    def read(self) -> bytes:
        content = ctypes.create_string_buffer(self.size)
        self.library.flash_peek(0, content, self.size)
        return content.raw

    def watch_cuts(self, first: int, end: int) -> None:
        """From now on try a power cut before every change on the pins; see ``flash_dpi.cpp``."""
        self.library.flash_watch_cuts(first, end)

    def watched_cuts(self) -> tuple[int, str]:
        """End that: the number of cuts tried, and what the first one that did harm did."""
        failure = ctypes.create_string_buffer(200)
        return self.library.flash_watched_cuts(failure, 200), failure.value.decode()

    def cut_power(self) -> None:
        self.library.flash_power_cut(ctypes.c_uint64(int(get_sim_time("ns"))))


def flash_on(pins, size: int) -> WitnessFlash | NativeFlash:
    """The model inside the instance ``pins`` of flash_pins."""
    return (NativeFlash if runs_on("verilator") else WitnessFlash)(pins, size)


def flash_sources(simulator: str) -> list[Path]:
    """What to compile besides the design."""
    folder = ROOT / "tb/flash"
    if simulator == "verilator":
        return [ROOT / "sim/flash_model.cpp", folder / "flash_dpi.cpp", folder / "flash_pins.v"]
    return [verilog_dir() / "qspi_flash.v", folder / "flash_pins.v"]
