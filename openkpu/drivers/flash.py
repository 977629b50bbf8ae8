# SPDX-License-Identifier: Apache-2.0
"""Driver of the SoC's SPI flash controller: identify, read, burn (registers: ``hw.fields.FLASH_REGISTERS``)."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import DeviceError
from ..hw.device import Device
from ..hw.fields import (
    FLASH_OPS,
    FLASH_PAGE_BYTES,
    FLASH_REGS_BASE,
    FLASH_SECTOR_BYTES,
    FLASH_WINDOW_BASE,
    register,
)

CHIP_CLOCK_HZ = 400_000_000  # the K210's KPU clock, to which SPI clocks refer
MAX_SPI_HZ = 80_000_000
ALL_EVENTS = 0x1FF
BUSY_CYCLES = 200_000_000  # the slowest sector erase of common parts: 0.4 s
ERASED = 0xFF
# The read commands that every part has, with 8 dummy cycles: lanes -> opcode and lanes of the data.
READS = {1: {"opcode": 0x0B, "data_lanes": 0}, 2: {"opcode": 0x3B, "data_lanes": 1},
         4: {"opcode": 0x6B, "data_lanes": 2}}


class FlashDriver:
    """The flash behind the controller.

    Attributes
    ----------
    size : bytes of the flash.
    jedec : its id (manufacturer, type, capacity).
    spi_hz : the SPI clock obtained, for a controller clock of 400 MHz.

    Parameters
    ----------
    device : a back end with the flash controller.
    lanes : 1, 2 or 4 data lanes for reading.
    spi_hz : SPI clock wanted; the next lower one that divides the clock is taken.
    expect : JEDEC id the flash must have, None for any.

    Raises
    ------
    DeviceError
        No flash answers, or another one than expected.
    """

    def __init__(self, device: Device, lanes: int = 4, spi_hz: int = MAX_SPI_HZ, expect: int | None = None):
        self.device = device
        self._window = 0
        self._quad = False
        self._write("flash_timeout", busy_cycles=BUSY_CYCLES)
        self._write("flash_expect", expect=expect or 0)
        self.configure(1, spi_hz)
        # A flash that still erases after a reset answers nothing but its status.
        self._command("wait_ready")
        self._command("read_id")
        self.jedec = self._read("flash_jedec")
        self.size = 1 << (self.jedec & 0xFF)
        if not FLASH_SECTOR_BYTES <= self.size <= register("flash_size").reset:
            raise DeviceError(f"the flash with the id 0x{self.jedec:06X} states a size of 2^{self.jedec & 0xFF} bytes; "
                              "the controller supports up to 16 MiB")
        self._write("flash_size", size=self.size)
        self.configure(lanes, spi_hz)
        self._window = 1
        self._write("flash_control", window_enable=1)

    def check(self) -> None:
        """Make sure that the same flash still answers; DeviceError, and a closed read window, if not."""
        self._write("flash_expect", expect=self.jedec)
        self._window = 0
        self._command("read_id")
        self._window = 1
        self._write("flash_control", window_enable=1)

    def configure(self, lanes: int, spi_hz: int) -> None:
        """Choose data lanes and SPI clock. DeviceError if they are impossible.

        Four lanes set the flash's quad enable bit, which is kept without power, unless it is set.
        """
        if lanes not in READS:
            raise DeviceError(f"a flash is read on 1, 2 or 4 lanes, not {lanes}")
        if not 0 < spi_hz <= MAX_SPI_HZ:
            raise DeviceError(f"an SPI clock of {spi_hz} Hz is not possible; give 1 to {MAX_SPI_HZ}")
        divider = -(-CHIP_CLOCK_HZ // spi_hz)
        divider = min(max(divider, 2), register("flash_timing").fields[0].mask)
        self.spi_hz = CHIP_CLOCK_HZ // divider
        self.lanes = lanes
        self.cycles_per_byte = divider * 8 // lanes
        self._write("flash_timing", divider=divider, cs_high=20)
        if lanes == 4 and not self._quad:
            self._command("enable_quad")
            self._quad = True
        self._write("flash_read", dummy_cycles=8, **READS[lanes])

    def address(self, offset: int, size: int) -> int:
        """Bus address of flash bytes; DeviceError if the flash does not have them."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise DeviceError(f"flash bytes 0x{offset:X} to 0x{offset + size:X} are outside the flash of {self.size} "
                              "bytes")
        return FLASH_WINDOW_BASE + offset

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the flash through the read window."""
        return self.device.read_memory(self.address(offset, size), size) if size else b""

    def burn(self, offset: int, data: bytes, progress: Callable[[int], None] = lambda done: None) -> None:
        """Write bytes, keeping what else their sectors hold; every sector is verified.

        Sectors that already hold the right bytes are left alone. Only the sectors touched can suffer from a power cut.

        Raises
        ------
        DeviceError
            Outside the flash, the flash is protected, stays busy, or does not hold what was written.
        """
        self.address(offset, len(data))
        first = offset // FLASH_SECTOR_BYTES * FLASH_SECTOR_BYTES
        for sector in range(first, offset + len(data), FLASH_SECTOR_BYTES):
            old = self.read(sector, FLASH_SECTOR_BYTES)
            new = bytearray(old)
            low, high = max(offset, sector), min(offset + len(data), sector + FLASH_SECTOR_BYTES)
            new[low - sector:high - sector] = data[low - offset:high - offset]
            if new != old:
                self._burn_sector(sector, bytes(new))
            progress(high - offset)

    def _burn_sector(self, sector: int, content: bytes) -> None:
        self._write("flash_burn_window", burn_first=sector, burn_end=sector + FLASH_SECTOR_BYTES)
        try:
            self._command("sector_erase", sector)
            for at in range(0, FLASH_SECTOR_BYTES, FLASH_PAGE_BYTES):
                page = content[at:at + FLASH_PAGE_BYTES]
                if page.count(ERASED) == len(page):
                    continue
                for word in range(0, FLASH_PAGE_BYTES, 8):
                    self._write("flash_page_data", int.from_bytes(page[word:word + 8], "little"))
                self._command("page_program", sector + at, len(page))
        finally:
            self._write("flash_burn_window", 0)
        if self.read(sector, FLASH_SECTOR_BYTES) != content:
            raise DeviceError(f"flash sector 0x{sector:X} does not hold what was written; the flash is worn or damaged")

    def _command(self, op: str, address: int = 0, length: int = 0) -> None:
        self._write("flash_clear", ALL_EVENTS)
        # Only here: a read that the window refuses must not interrupt whoever waits for a DMA.
        self._write("flash_control", irq_enable=1, window_enable=self._window)
        self._write("flash_command", op=FLASH_OPS[op], address=address, length=length)
        status = register("flash_status")
        done = status.fields[0]
        for _ in range(4):  # other interrupts may be pending
            self.device.wait_interrupt(2 * BUSY_CYCLES)
            value = self._read("flash_status")
            if value >> done.lsb & 1:
                break
        self._write("flash_control", window_enable=self._window)
        self._write("flash_clear", ALL_EVENTS)
        failed = [f.doc for f in status.fields if 0 < f.lsb < 15 and value >> f.lsb & 1]
        if not value >> done.lsb & 1:
            failed.append("another interrupt keeps coming")
        if failed:
            raise DeviceError(f"the flash command {op} failed: {'; '.join(failed)}")

    def _write(self, name: str, value: int = 0, **fields: int) -> None:
        found = register(name)
        known = {f.name: f for f in found.fields}
        for key, content in fields.items():
            value |= content << known[key].lsb
        self.device.write64(FLASH_REGS_BASE + found.offset, value)

    def _read(self, name: str) -> int:
        return self.device.read64(FLASH_REGS_BASE + register(name).offset)
