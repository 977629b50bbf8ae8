# SPDX-License-Identifier: Apache-2.0
"""The one interface between the driver and every back end.

The driver knows nothing but 64-bit registers, bus memory and an interrupt line
(spec/kpu-hardware.md section 1); functional model, Verilated RTL, cocotb and boards all stand behind it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class KpuConfig:
    """What a KPU can hold. Bytes unless said otherwise; ``tile_pixels``: pixels whose sums the array keeps at once."""

    name: str = "full"
    pes: int = 64
    lanes: int = 64
    airam_bytes: int = 2 << 20
    weight_bytes: int = 73728
    sram_bytes: int = 6 << 20
    tile_pixels: int = 1024
    has_16bit: bool = True


class Device(Protocol):
    """A KPU with its memories.

    Bus addresses are the chip's: main SRAM at 0x4000_0000, AI RAM at 0x4060_0000, KPU registers at 0x4080_0000.
    Every method raises ``openkpu.errors.DeviceError`` when the hardware does not answer in a bounded time.

    Threads may share a device: every method takes the reentrant ``lock``, so that calls happen one after another; who
    needs several in a row holds it meanwhile, as a session does for a whole run.
    """

    name: str
    config: KpuConfig

    @property
    def lock(self) -> AbstractContextManager:
        """The reentrant lock that every method takes."""

    def read64(self, address: int) -> int:
        """Read one 64-bit register at a bus address."""

    def write64(self, address: int, value: int) -> None:
        """Write one 64-bit register at a bus address."""

    def read_memory(self, address: int, size: int) -> bytes:
        """Read ``size`` bytes of main SRAM or AI RAM."""

    def write_memory(self, address: int, data: bytes) -> None:
        """Write bytes to main SRAM or AI RAM."""

    def peek_memory(self, address: int, size: int) -> bytes:
        """Read bytes for an observer: where the back end can, without clock cycles that would disturb what runs."""

    def read_stream(self, size: int) -> bytes:
        """Drain ``size`` bytes of ``fifo_data_out`` as the system DMA would, running the clock as needed."""

    def wait_interrupt(self, max_cycles: int) -> None:
        """Run until the interrupt line is high; DeviceError after ``max_cycles`` clock cycles."""

    def abandon(self) -> None:
        """Give up whatever runs and waits, at once; memories keep their content, and the next layer runs as usual."""

    def close(self) -> None:
        """Release simulator processes and memory; closing twice is harmless."""


@runtime_checkable
class Clocked(Protocol):
    """A device that counts clock cycles."""

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far."""


@runtime_checkable
class FlashDevice(Protocol):
    """A device with a flash chip."""

    def flash_write(self, offset: int, data: bytes) -> None:
        """Set the flash's content, as a programmer would."""


def one_at_a_time(method: Callable) -> Callable:
    """Let a device's method hold the device's lock."""
    @functools.wraps(method)
    def locked(self, *arguments, **options):
        with self.lock:
            return method(self, *arguments, **options)
    return locked
