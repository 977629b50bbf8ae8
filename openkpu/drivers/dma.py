# SPDX-License-Identifier: Apache-2.0
"""Driver of the SoC's DMA engine (registers: ``openkpu.hw.fields.DMA_CHANNEL_REGISTERS``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import DeviceError
from ..hw.device import Device
from ..hw.dma import DESCRIPTOR_BYTES, DmaDescriptor, chain
from ..hw.fields import (
    DMA_CHANNEL_BASE,
    DMA_CHANNEL_REGISTERS,
    DMA_CHANNEL_STRIDE,
    DMA_CHANNELS,
    DMA_REGS_BASE,
    register,
)

ALL_EVENTS = 0x7F
# Slowest burst: 128 bytes from flash on one lane at the slowest SPI clock is 261 120 cycles.
IDLE_CYCLES = 1_000_000
ABORT_POLLS = 50_000


class DmaDriver:
    """One DMA channel.

    Parameters
    ----------
    device : a back end with the DMA engine.
    number : of the channel.
    memory : bus address of SRAM for the descriptors, a multiple of 64.
    memory_bytes : how much may be used there.
    idle_cycles : clock cycles without progress that count as an error.
    """

    def __init__(self, device: Device, number: int, memory: int, memory_bytes: int, idle_cycles: int = IDLE_CYCLES):
        if not 0 <= number < DMA_CHANNELS:
            raise DeviceError(f"there is no DMA channel {number}; choose 0 to {DMA_CHANNELS - 1}")
        self.device = device
        self.number = number
        self.memory = memory
        self.capacity = memory_bytes // DESCRIPTOR_BYTES
        base = DMA_REGS_BASE + DMA_CHANNEL_BASE + number * DMA_CHANNEL_STRIDE
        self._address = {r.name: base + r.offset for r in DMA_CHANNEL_REGISTERS}
        self._events = [f for f in register("dma_status").fields if f.lsb < 15]
        self.device.write64(self._address["dma_clear"], ALL_EVENTS)
        self.device.write64(self._address["dma_timeout"], idle_cycles)
        enable = DMA_REGS_BASE + register("dma_irq_enable").offset
        self.device.write64(enable, self.device.read64(enable) | 1 << number)

    def allow(self, *windows: tuple[int, int]) -> None:
        """Let the channel write to at most two windows (first byte, first byte behind) and nowhere else."""
        for name, (base, end) in zip(("dma_window0", "dma_window1"), [*windows, (0, 0)][:2], strict=True):
            self.device.write64(self._address[name], end << 32 | base)

    def start(self, descriptors: Sequence[DmaDescriptor]) -> None:
        """Put a chain into memory and run it; DeviceError if there is not room enough."""
        if len(descriptors) > self.capacity:
            raise DeviceError(f"a DMA chain of {len(descriptors)} descriptors does not fit the {self.capacity} that "
                              "have room; split it")
        self.device.write_memory(self.memory, chain(descriptors, self.memory))
        self.device.write64(self._address["dma_clear"], ALL_EVENTS)
        self.device.write64(self._address["dma_first"], self.memory)
        self.device.write64(self._address["dma_control"], 1)

    def check(self) -> bool:
        """Whether the chain has ended; acknowledges it. DeviceError names what went wrong and where."""
        value = self.device.read64(self._address["dma_status"])
        failed = [f for f in self._events if f.name != "done" and value >> f.lsb & 1]
        if failed:
            self.device.write64(self._address["dma_clear"], ALL_EVENTS)
            fault = self.device.read64(self._address["dma_current"]) >> 32
            raise DeviceError(f"DMA channel {self.number} stopped at bus address 0x{fault:08X}: "
                              f"{'; '.join(f.doc for f in failed)}")
        if value >> 15 & 1 or not value & 1:
            return False
        self.device.write64(self._address["dma_clear"], ALL_EVENTS)
        return True

    def finish(self, max_cycles: int, wait: Callable[[int], None] | None = None) -> None:
        """Wait for the end of the chain.

        Parameters
        ----------
        max_cycles : clock cycles it may take.
        wait : runs the clock until the DMA's interrupt; by default until any interrupt.

        Raises
        ------
        DeviceError
            The chain failed, or did not end in time; it is aborted then.
        """
        try:
            (wait or self.device.wait_interrupt)(max_cycles)
            if self.check():
                return
        except DeviceError:
            self.abort()
            raise
        self.abort()
        raise DeviceError(f"DMA channel {self.number} did not end; another interrupt came instead")

    def abort(self) -> None:
        """Stop the chain, if one runs, and forget its events."""
        self.device.write64(self._address["dma_control"], 2)
        for _ in range(ABORT_POLLS):  # the bursts on the bus end first
            if not self.device.read64(self._address["dma_status"]) >> 15 & 1:
                break
        self.device.write64(self._address["dma_clear"], ALL_EVENTS)
