# SPDX-License-Identifier: Apache-2.0
"""The Verilated RTL back end: ``kpu_core`` as a shared library (sim/include/openkpu.h), clock by clock."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from ..errors import DeviceError, UsageError
from ..hw.configs import CORES, CoreParameters
from ..hw.device import KpuConfig, one_at_a_time
from ..hw.fields import LAYERS_QUEUED, REGS_BASE, register
from .build import library
from .library import INT, POINTER, SIZE, SLICE_CYCLES, TEXT, U32, U64, LibraryDevice, slices

STREAM_LIMIT = 200_000_000
PUSH_LIMIT = 200_000_000
PROTOTYPES = {
    "read64": (INT, [POINTER, U32, POINTER]),
    "write64": (INT, [POINTER, U32, U64, U64]),
    "read": (INT, [POINTER, U32, POINTER, SIZE]),
    "write": (INT, [POINTER, U32, TEXT, SIZE]),
    "peek": (INT, [POINTER, U32, POINTER, SIZE]),
    "run": (INT, [POINTER, U64]),
    "step": (None, [POINTER, U64]),
    "stream": (INT, [POINTER, POINTER, SIZE, U64, POINTER]),
    "trace": (INT, [POINTER, TEXT]),
}


class _Config(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in
                ("sram_bytes", "latency", "outstanding", "stall_percent", "random_state", "seed",
                 "memory_latency", "memory_beat_tenths")]


class NativeDevice(LibraryDevice):
    """Implements ``openkpu.hw.device.Device`` with the RTL in the configuration ``config.name``.

    Parameters
    ----------
    config : which of ``openkpu.hw.configs.CORES``; None is "full".
    core : its Verilog parameters, if it is none of those; ``config`` is then what they can hold.
    latency : clock cycles from a parameter burst's address to its first word.
    stall_percent : share of cycles, 0 to 90, in which each bus channel stalls at random.
    random_state : start with random registers and memories instead of zeros.
    seed : of stalls and random state.
    traces : build with waveforms (slower), see :meth:`trace`.

    Raises
    ------
    DeviceError
        Verilator or a compiler is missing, or the build fails.
    """

    name = "rtl"

    def __init__(self, config: KpuConfig | None = None, *, core: CoreParameters | None = None, latency: int = 20,
                 stall_percent: int = 0, random_state: bool = False, seed: int = 1, traces: bool = False):
        self.config = config or CORES["full"].config("full")
        if core is None and self.config.name not in CORES:
            raise UsageError(f"the RTL has no configuration '{self.config.name}'; choose one of {', '.join(CORES)}")
        super().__init__(library(core or CORES[self.config.name], traces), "openkpu", PROTOTYPES)
        if not self._create(_Config(), sram_bytes=self.config.sram_bytes, latency=latency, stall_percent=stall_percent,
                            random_state=random_state, seed=seed):
            raise UsageError(f"stall_percent {stall_percent} or SRAM of {self.config.sram_bytes} bytes is out of range")

    def abandon(self) -> None:
        """Give up whatever runs, at once; memories keep their content."""
        self.reset()

    def trace(self, file: Path | None) -> None:
        """Write a waveform of all signals from now on; None ends it. DeviceError if it cannot be written.

        The format is that of ``openkpu.devices.build.trace_format()``.
        """
        self._call("trace", None if file is None else os.fsencode(file))

    def read64(self, address: int) -> int:
        """Read one 64-bit register at a bus address."""
        value = ctypes.c_uint64()
        self._call("read64", address, ctypes.byref(value))
        return value.value

    def write64(self, address: int, value: int) -> None:
        """Write one 64-bit register; a push into a full layer queue waits until a layer has left it."""
        if not self._repeat(PUSH_LIMIT, "write64", address, value):
            raise DeviceError(f"the layer queue stayed full for {PUSH_LIMIT} clock cycles; the layer hangs")

    def read_memory(self, address: int, size: int) -> bytes:
        """Read bytes of SRAM or AI RAM."""
        return self._bytes("read", address, size)

    @one_at_a_time
    def write_memory(self, address: int, data: bytes) -> None:
        """Write bytes to SRAM or AI RAM."""
        for done, count in slices(address, len(data)):
            self._call("write", address + done, bytes(data[done:done + count]), count)

    def peek_memory(self, address: int, size: int) -> bytes:
        """Read bytes of SRAM or AI RAM as a debugger does: no clock cycle passes."""
        return self._bytes("peek", address, size)

    @one_at_a_time
    def _bytes(self, function: str, address: int, size: int) -> bytes:
        data = ctypes.create_string_buffer(size)
        for done, count in slices(address, size):
            self._call(function, address + done, ctypes.byref(data, done), count)
        return data.raw

    @one_at_a_time
    def step(self, cycles: int) -> None:
        """Let clock cycles pass."""
        for done in range(0, cycles, SLICE_CYCLES):
            self._plain("step", min(SLICE_CYCLES, cycles - done))

    @one_at_a_time
    def read_stream(self, size: int) -> bytes:
        """Take ``size`` bytes off the output stream as the system DMA does.

        Raises
        ------
        DeviceError
            The core is idle before all have come, or they do not come in a bounded time.
        """
        data = ctypes.create_string_buffer(size)
        taken, done = ctypes.c_size_t(), 0
        idle = False
        for _ in range(0, STREAM_LIMIT, SLICE_CYCLES):
            complete = self._call("stream", ctypes.byref(data, done), size - done, SLICE_CYCLES,
                                  ctypes.byref(taken))
            done += taken.value
            if complete:
                return data.raw
            if idle and not taken.value:
                raise DeviceError(f"fifo_data_out ran dry after {done} of {size} bytes; push a layer with "
                                  "send_data_out first")
            # Layers that wait for a step do not count: they will not stream.
            level = self.read64(REGS_BASE + register("ext_fifo_level").offset)
            idle = level & ~LAYERS_QUEUED == 0
        raise DeviceError(f"only {done} of {size} bytes came off fifo_data_out within {STREAM_LIMIT} cycles")

    def wait_interrupt(self, max_cycles: int) -> None:
        """Run until the interrupt line is high; DeviceError after ``max_cycles`` clock cycles."""
        if not self._repeat(max_cycles, "run"):
            raise DeviceError(f"the KPU raised no interrupt within {max_cycles} clock cycles; the layer hangs")
