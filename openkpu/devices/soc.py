"""The Verilated system on a chip: ``kpu_soc`` with a flash chip as a shared library (sim/include/openkpu_soc.h)."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..drivers.dma import DmaDriver
from ..errors import DeviceError, UsageError
from ..hw.configs import CORES, CoreParameters
from ..hw.device import KpuConfig
from ..hw.dma import DESCRIPTOR_BYTES, DmaDescriptor
from ..hw.fields import AIRAM_BASE, SRAM_BASE
from .build import library

# Cycles between two looks at the keyboard: about half a second.
SLICE_CYCLES = 100_000
# A burst of 2 KiB from a flash at the slowest SPI clock takes 4.2 million cycles.
BUS_LIMIT = 20_000_000
KPU_LINE, DMA_LINE, FLASH_LINE = 1, 2, 4
# The end of the SRAM belongs to this class: a descriptor each for moving maps and streams, and a buffer for both.
BUFFER_BYTES = 4096
RESERVED_BYTES = 2 * BUFFER_BYTES
MOVER_CHANNEL, STREAM_CHANNEL = 2, 1
STREAM_LIMIT = 200_000_000

_OK, _TIMEOUT = 0, 1


class _Config(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in
                ("flash_bytes", "jedec", "program_cycles", "erase_cycles", "random_state", "seed")]


class SocDevice:
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
        self._soc = None
        self.config = config or CORES["full"].config("full")
        core = core or CORES.get(self.config.name)
        if core is None:
            raise UsageError(f"the RTL has no configuration '{self.config.name}'; choose one of {', '.join(CORES)}")
        sram = self.config.sram_bytes
        if sram % 4096 or not 1 << 16 <= sram <= 6 << 20:
            raise UsageError(f"an SRAM of {sram} bytes cannot be built; give a multiple of 4096 from 64 KiB to 6 MiB")
        self._lib = _load(library(core, soc_sram_bytes=sram))
        settings = _Config()
        self._lib.openkpu_soc_default_config(ctypes.byref(settings))
        settings.flash_bytes, settings.jedec = flash_bytes, jedec
        settings.program_cycles, settings.erase_cycles = program_cycles, erase_cycles
        settings.random_state, settings.seed = random_state, seed
        self._soc = self._lib.openkpu_soc_create(ctypes.byref(settings))
        if not self._soc:
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

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far. May be read by another thread."""
        return self._lib.openkpu_soc_cycles(self._handle)

    def reset(self) -> None:
        """Reset the chip, even in the middle of a transfer; memories and flash keep their content."""
        self._lib.openkpu_soc_reset(self._handle)
        self._attach_dma()

    def read64(self, address: int) -> int:
        """Read one 64-bit register at a bus address."""
        return int.from_bytes(self._read(address, 8), "little")

    def write64(self, address: int, value: int) -> None:
        """Write one 64-bit register at a bus address."""
        self._write(address, value.to_bytes(8, "little"))

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

    def write_memory(self, address: int, data: bytes) -> None:
        """Write bytes to SRAM or AI RAM."""
        if address not in self._airam:
            self._write(address, data)
            return
        for done in range(0, len(data), BUFFER_BYTES):
            part = data[done:done + BUFFER_BYTES]
            self._write(self._buffer, part)
            self._run(self._mover, DmaDescriptor.copy(self._buffer, address + done, len(part)))

    def read_stream(self, size: int) -> bytes:
        """Take ``size`` bytes off the KPU's output stream by DMA; DeviceError if they do not come."""
        parts = []
        for done in range(0, size, BUFFER_BYTES):
            count = min(BUFFER_BYTES, size - done)
            self._run(self._streamer, DmaDescriptor.copy(0, self._buffer, count, src_stream=1))
            parts.append(self._read(self._buffer, count))
        return b"".join(parts)

    def _read(self, address: int, size: int) -> bytes:
        data = ctypes.create_string_buffer(size)
        self._check(self._lib.openkpu_soc_read(self._handle, address, data, size, BUS_LIMIT))
        return data.raw

    def _write(self, address: int, data: bytes) -> None:
        self._check(self._lib.openkpu_soc_write(self._handle, address, bytes(data), len(data), BUS_LIMIT))

    def wait_interrupt(self, max_cycles: int) -> None:
        """Run until an interrupt line is high; DeviceError after ``max_cycles`` clock cycles."""
        self.wait_line(KPU_LINE | DMA_LINE | FLASH_LINE, max_cycles)

    def wait_line(self, lines: int, max_cycles: int) -> None:
        """As ``wait_interrupt``, for some of KPU_LINE, DMA_LINE and FLASH_LINE only."""
        for done in range(0, max_cycles, SLICE_CYCLES):
            result = self._lib.openkpu_soc_run(self._handle, lines, min(SLICE_CYCLES, max_cycles - done))
            if result != _TIMEOUT:
                self._check(result)
                return
        raise DeviceError(f"no interrupt came within {max_cycles} clock cycles")

    def flash_write(self, offset: int, data: bytes) -> None:
        """Put bytes into the flash chip, taking no simulated time."""
        self._check(self._lib.openkpu_soc_flash_write(self._handle, offset, bytes(data), len(data)))

    def flash_read(self, offset: int, size: int) -> bytes:
        """The flash chip's bytes, taking no simulated time."""
        data = ctypes.create_string_buffer(size)
        self._check(self._lib.openkpu_soc_flash_read(self._handle, offset, data, size))
        return data.raw

    def plug_flash(self, present: bool) -> None:
        """Unplug the flash chip, which loses its power, or plug it in again."""
        self._lib.openkpu_soc_flash_present(self._handle, int(present))

    def cut_power(self) -> None:
        """Power off and on: a page or sector that is being written is lost."""
        self._lib.openkpu_soc_power_cut(self._handle)
        self._attach_dma()

    def close(self) -> None:
        """Release the simulation; closing twice is harmless."""
        if self._soc:
            self._lib.openkpu_soc_destroy(self._soc)
            self._soc = None

    def __del__(self) -> None:
        self.close()

    @property
    def _handle(self) -> int:
        if not self._soc:
            raise DeviceError("this device is closed; open another one")
        return self._soc

    def _check(self, result: int) -> None:
        if result != _OK:
            raise DeviceError(self._lib.openkpu_soc_message(self._handle).decode())


def soc_config(name: str = "full", sram_bytes: int = 6 << 20) -> KpuConfig:
    """The core called ``name`` with so much SRAM."""
    return replace(CORES[name].config(name), sram_bytes=sram_bytes)


def _load(path: Path) -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL(str(path))
    except OSError as error:
        raise DeviceError(f"the simulator {path} does not load ({error}); delete it to have it built again") from error
    u32, u64, size, pointer, integer = (ctypes.c_uint32, ctypes.c_uint64, ctypes.c_size_t, ctypes.c_void_p,
                                        ctypes.c_int)
    prototypes = {
        "default_config": (None, [pointer]),
        "create": (pointer, [pointer]),
        "destroy": (None, [pointer]),
        "reset": (None, [pointer]),
        "read": (integer, [pointer, u32, pointer, size, u64]),
        "write": (integer, [pointer, u32, ctypes.c_char_p, size, u64]),
        "run": (integer, [pointer, u32, u64]),
        "irq": (u32, [pointer]),
        "cycles": (u64, [pointer]),
        "flash_read": (integer, [pointer, u32, pointer, size]),
        "flash_write": (integer, [pointer, u32, ctypes.c_char_p, size]),
        "flash_present": (None, [pointer, integer]),
        "power_cut": (None, [pointer]),
        "message": (ctypes.c_char_p, [pointer]),
    }
    for name, (result, arguments) in prototypes.items():
        function = getattr(lib, f"openkpu_soc_{name}")
        function.restype, function.argtypes = result, arguments
    return lib
