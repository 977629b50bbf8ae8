# SPDX-License-Identifier: Apache-2.0
"""The Verilated system on a chip: ``kpu_soc`` with a flash chip as a shared library (sim/include/openkpu_soc.h)."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from functools import partial

from ..drivers.dma import DmaDriver
from ..errors import DeviceError, UsageError
from ..hw.configs import CORES, CoreParameters
from ..hw.device import KpuConfig, one_at_a_time
from ..hw.dma import DESCRIPTOR_BYTES, DmaDescriptor
from ..hw.fields import AIRAM_BASE, FLASH_REGISTERS, FLASH_REGS_BASE, SRAM_BASE
from .build import library
from .library import INT, POINTER, SIZE, TEXT, U32, U64, LibraryDevice, slices

# A burst of 2 KiB from a flash at the slowest SPI clock takes 4.2 million cycles.
BUS_LIMIT = 20_000_000
FLASH_SETUP = {FLASH_REGS_BASE + r.offset for r in FLASH_REGISTERS if r.access == "RW"}
KPU_LINE, DMA_LINE, FLASH_LINE = 1, 2, 4
# The end of the SRAM belongs to this class: a descriptor each for moving maps and streams, and a buffer for both.
BUFFER_BYTES = 4096
RESERVED_BYTES = 2 * BUFFER_BYTES
MOVER_CHANNEL, STREAM_CHANNEL = 2, 1
STREAM_LIMIT = 200_000_000
PROTOTYPES = {
    "read": (INT, [POINTER, U32, POINTER, SIZE, U64]),
    "write": (INT, [POINTER, U32, TEXT, SIZE, U64]),
    "run": (INT, [POINTER, U32, U64]),
    "irq": (U32, [POINTER]),
    "flash_read": (INT, [POINTER, U32, POINTER, SIZE]),
    "flash_write": (INT, [POINTER, U32, TEXT, SIZE]),
    "flash_present": (None, [POINTER, INT]),
    "power_cut": (None, [POINTER]),
}


class _Config(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in
                ("flash_bytes", "jedec", "program_cycles", "erase_cycles", "random_state", "seed")]


class SocDevice(LibraryDevice):
    """Implements ``openkpu.hw.device.Device`` with the whole SoC; every access goes through its host port.

    Maps go between the host and the AI RAM by way of a buffer at the end of the SRAM, moved by DMA channel 2; streams
    come by channel 1. ``config.sram_bytes`` does not count that buffer. Channel 0 is free.
    ``wait_interrupt`` ends at any of the three interrupt lines. The flash chip is also reached from outside
    (:meth:`flash_write` ...), as by a programmer.

    Parameters
    ----------
    config : ``name`` chooses the core, ``sram_bytes`` the SRAM (64 KiB to 6 MiB, whole 4 KiB). None is "full".
    core : parameters of the core, for one that has no name in ``openkpu.hw.configs.CORES``; ``config`` describes it.
    flash_bytes, jedec : size and id of the flash chip.
    program_cycles, erase_cycles : clock cycles it is busy with a page and a sector. Real parts take 280 000 and
        18 million; less saves simulation time.
    random_state, seed : start with random registers and memories instead of zeros.

    Raises
    ------
    DeviceError
        Verilator or a compiler is missing, or the build fails.
    """

    name = "soc"

    def __init__(self, config: KpuConfig | None = None, *, core: CoreParameters | None = None,
                 flash_bytes: int = 16 << 20, jedec: int = 0xEF4018, program_cycles: int = 20_000,
                 erase_cycles: int = 200_000, random_state: bool = False, seed: int = 1):
        self.config = config or CORES["full"].config("full")
        core = core or CORES.get(self.config.name)
        if core is None:
            raise UsageError(f"the RTL has no configuration '{self.config.name}'; choose one of {', '.join(CORES)}")
        sram = self.config.sram_bytes
        if sram % 4096 or not 1 << 16 <= sram <= 6 << 20:
            raise UsageError(f"an SRAM of {sram} bytes cannot be built; give a multiple of 4096 from 64 KiB to 6 MiB")
        self._flash_setup: dict[int, int] = {}
        super().__init__(library(core, soc_sram_bytes=sram), "openkpu_soc", PROTOTYPES)
        if not self._create(_Config(), flash_bytes=flash_bytes, jedec=jedec, program_cycles=program_cycles,
                            erase_cycles=erase_cycles, random_state=random_state, seed=seed):
            raise UsageError(f"a flash of {flash_bytes} bytes cannot be simulated; give a power of two up to 16 MiB")
        self.config = replace(self.config, sram_bytes=sram - RESERVED_BYTES)
        self._buffer = SRAM_BASE + sram - BUFFER_BYTES
        self._airam = range(AIRAM_BASE, AIRAM_BASE + self.config.airam_bytes)
        self._attach_dma()

    def _attach_dma(self) -> None:
        """Set up the two channels this class uses; a reset closes them."""
        descriptors = self._buffer - BUFFER_BYTES
        self._mover = DmaDriver(self, MOVER_CHANNEL, descriptors, DESCRIPTOR_BYTES)
        self._mover.allow((self._buffer, self._buffer + BUFFER_BYTES), (self._airam.start, self._airam.stop))
        self._streamer = DmaDriver(self, STREAM_CHANNEL, descriptors + DESCRIPTOR_BYTES, DESCRIPTOR_BYTES,
                                   idle_cycles=STREAM_LIMIT)
        self._streamer.allow((self._buffer, self._buffer + BUFFER_BYTES))

    def _run(self, dma: DmaDriver, descriptor: DmaDescriptor) -> None:
        dma.start([descriptor])
        dma.finish(STREAM_LIMIT, partial(self.wait_line, DMA_LINE))

    @one_at_a_time
    def reset(self) -> None:
        """Reset the chip, even in the middle of a transfer; memories and flash keep their content."""
        super().reset()
        self._flash_setup.clear()
        self._attach_dma()

    @one_at_a_time
    def abandon(self) -> None:
        """Give up whatever runs, at once; memories, and how the flash controller is set up, stay.

        The chip has one reset for all, so that DMA channels of others have to be set up again.
        """
        setup = dict(self._flash_setup)
        self.reset()
        for address, value in setup.items():
            self.write64(address, value)

    def read64(self, address: int) -> int:
        """Read one 64-bit register at a bus address."""
        return int.from_bytes(self._read(address, 8), "little")

    def write64(self, address: int, value: int) -> None:
        """Write one 64-bit register at a bus address."""
        if address in FLASH_SETUP:
            self._flash_setup[address] = value
        self._write(address, value.to_bytes(8, "little"))

    @one_at_a_time
    def read_memory(self, address: int, size: int) -> bytes:
        """Read bytes of SRAM, AI RAM or the flash window."""
        if address not in self._airam:
            return self._read(address, size)
        parts = []
        for at in range(address, address + size, BUFFER_BYTES):
            count = min(BUFFER_BYTES, address + size - at)
            self._run(self._mover, DmaDescriptor.copy(at, self._buffer, count))
            parts.append(self._read(self._buffer, count))
        return b"".join(parts)

    def peek_memory(self, address: int, size: int) -> bytes:
        """The same as :meth:`read_memory`: an observer of the SoC is a bus master like any other."""
        return self.read_memory(address, size)

    @one_at_a_time
    def write_memory(self, address: int, data: bytes) -> None:
        """Write bytes to SRAM or AI RAM."""
        if address not in self._airam:
            self._write(address, data)
            return
        for done in range(0, len(data), BUFFER_BYTES):
            part = data[done:done + BUFFER_BYTES]
            self._write(self._buffer, part)
            self._run(self._mover, DmaDescriptor.copy(self._buffer, address + done, len(part)))

    @one_at_a_time
    def read_stream(self, size: int) -> bytes:
        """Take ``size`` bytes off the KPU's output stream by DMA; DeviceError if they do not come."""
        parts = []
        for done in range(0, size, BUFFER_BYTES):
            count = min(BUFFER_BYTES, size - done)
            self._run(self._streamer, DmaDescriptor.copy(0, self._buffer, count, src_stream=1))
            parts.append(self._read(self._buffer, count))
        return b"".join(parts)

    @one_at_a_time
    def _read(self, address: int, size: int) -> bytes:
        data = ctypes.create_string_buffer(size)
        for done, count in slices(address, size):
            self._transfer("read", address + done, ctypes.byref(data, done), count)
        return data.raw

    @one_at_a_time
    def _write(self, address: int, data: bytes) -> None:
        for done, count in slices(address, len(data)):
            self._transfer("write", address + done, bytes(data[done:done + count]), count)

    def _transfer(self, function: str, address: int, data, size: int) -> None:
        if not self._repeat(BUS_LIMIT, function, address, data, size):
            raise DeviceError(f"a {function} at bus address 0x{address:08x} was not answered within {BUS_LIMIT} clock "
                              "cycles")

    def wait_interrupt(self, max_cycles: int) -> None:
        """Run until an interrupt line is high; DeviceError after ``max_cycles`` clock cycles."""
        self.wait_line(KPU_LINE | DMA_LINE | FLASH_LINE, max_cycles)

    def wait_line(self, lines: int, max_cycles: int) -> None:
        """As ``wait_interrupt``, for some of KPU_LINE, DMA_LINE and FLASH_LINE only."""
        if not self._repeat(max_cycles, "run", lines):
            raise DeviceError(f"no interrupt came within {max_cycles} clock cycles")

    def flash_write(self, offset: int, data: bytes) -> None:
        """Put bytes into the flash chip, taking no simulated time."""
        self._call("flash_write", offset, bytes(data), len(data))

    def flash_read(self, offset: int, size: int) -> bytes:
        """The flash chip's bytes, taking no simulated time."""
        data = ctypes.create_string_buffer(size)
        self._call("flash_read", offset, data, size)
        return data.raw

    def plug_flash(self, present: bool) -> None:
        """Unplug the flash chip, which loses its power, or plug it in again."""
        self._plain("flash_present", int(present))

    @one_at_a_time
    def cut_power(self) -> None:
        """Power off and on: a page or sector that is being written is lost."""
        self._plain("power_cut")
        self._attach_dma()


def soc_config(name: str = "full", sram_bytes: int = 6 << 20) -> KpuConfig:
    """The core called ``name`` with so much SRAM."""
    return replace(CORES[name].config(name), sram_bytes=sram_bytes)
