"""The Verilated RTL back end: ``kpu_core`` as a shared library (sim/include/openkpu.h), clock by clock."""

from __future__ import annotations

import ctypes
from pathlib import Path

from ..errors import DeviceError, UsageError
from ..hw.configs import CORES
from ..hw.device import KpuConfig
from ..hw.fields import REGS_BASE, register
from .build import library

# Cycles between two looks at the keyboard and the clock: about a quarter of a second.
SLICE_CYCLES = 100_000
# An idle core that streams nothing for so long will stream nothing any more.
STREAM_SLICE = 20_000
STREAM_LIMIT = 200_000_000
PUSH_LIMIT = 200_000_000
LAYERS_QUEUED = next(f.mask << f.lsb for f in register("ext_fifo_level").fields if f.name == "layers")

_OK, _TIMEOUT = 0, 1


class _Config(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in
                ("sram_bytes", "latency", "outstanding", "stall_percent", "random_state", "seed")]


class NativeDevice:
    """Implements ``openkpu.hw.device.Device`` with the RTL in the configuration ``config.name``.

    Parameters
    ----------
    config : which of ``openkpu.hw.configs.CORES``; None is "full".
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

    def __init__(self, config: KpuConfig | None = None, *, latency: int = 20, stall_percent: int = 0,
                 random_state: bool = False, seed: int = 1, traces: bool = False):
        self.config = config or CORES["full"].config("full")
        self._kpu = None
        if self.config.name not in CORES:
            raise UsageError(f"the RTL has no configuration '{self.config.name}'; choose one of {', '.join(CORES)}")
        self._lib = _load(library(CORES[self.config.name], traces))
        settings = _Config()
        self._lib.openkpu_default_config(ctypes.byref(settings))
        settings.sram_bytes = self.config.sram_bytes
        settings.latency = latency
        settings.stall_percent = stall_percent
        settings.random_state = random_state
        settings.seed = seed
        self._kpu = self._lib.openkpu_create(ctypes.byref(settings))
        if not self._kpu:
            raise UsageError(f"stall_percent {stall_percent} or SRAM of {self.config.sram_bytes} bytes is out of range")

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far. May be read by another thread."""
        return self._lib.openkpu_cycles(self._handle)

    def reset(self) -> None:
        """Reset the core, even in the middle of a layer; memories keep their content."""
        self._lib.openkpu_reset(self._handle)

    def trace(self, file: Path | None) -> None:
        """Write a waveform of all signals from now on; None ends it. DeviceError if it cannot be written.

        The format is that of ``openkpu.devices.build.trace_format()``.
        """
        self._check(self._lib.openkpu_trace(self._handle, None if file is None else str(file).encode()))

    def read64(self, address: int) -> int:
        """Read one 64-bit register at a bus address."""
        value = ctypes.c_uint64()
        self._check(self._lib.openkpu_read64(self._handle, address, ctypes.byref(value)))
        return value.value

    def write64(self, address: int, value: int) -> None:
        """Write one 64-bit register; a push into a full layer queue waits until a layer has left it."""
        self._check(self._lib.openkpu_write64(self._handle, address, value, PUSH_LIMIT))

    def read_memory(self, address: int, size: int) -> bytes:
        """Read bytes of SRAM or AI RAM."""
        data = ctypes.create_string_buffer(size)
        self._check(self._lib.openkpu_read(self._handle, address, data, size))
        return data.raw

    def write_memory(self, address: int, data: bytes) -> None:
        """Write bytes to SRAM or AI RAM."""
        self._check(self._lib.openkpu_write(self._handle, address, data, len(data)))

    def peek_memory(self, address: int, size: int) -> bytes:
        """Read bytes of SRAM or AI RAM as a debugger does: no clock cycle passes."""
        data = ctypes.create_string_buffer(size)
        self._check(self._lib.openkpu_peek(self._handle, address, data, size))
        return data.raw

    def step(self, cycles: int) -> None:
        """Let clock cycles pass."""
        self._lib.openkpu_step(self._handle, cycles)

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
        for _ in range(0, STREAM_LIMIT, STREAM_SLICE):
            result = self._lib.openkpu_stream(self._handle, ctypes.byref(data, done), size - done, STREAM_SLICE,
                                              ctypes.byref(taken))
            done += taken.value
            if result != _TIMEOUT:
                self._check(result)
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
        left = max_cycles
        while left > 0:
            result = self._lib.openkpu_run(self._handle, min(left, SLICE_CYCLES))
            if result != _TIMEOUT:
                self._check(result)
                return
            left -= SLICE_CYCLES
        raise DeviceError(f"the KPU raised no interrupt within {max_cycles} clock cycles; the layer hangs")

    def close(self) -> None:
        """Release the simulation; closing twice is harmless."""
        if self._kpu:
            self._lib.openkpu_destroy(self._kpu)
            self._kpu = None

    def __del__(self) -> None:
        self.close()

    @property
    def _handle(self) -> int:
        if not self._kpu:
            raise DeviceError("this device is closed; open another one")
        return self._kpu

    def _check(self, result: int) -> None:
        if result != _OK:
            raise DeviceError(self._lib.openkpu_message(self._handle).decode())


def _load(path: Path) -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL(str(path))
    except OSError as error:
        raise DeviceError(f"the simulator {path} does not load ({error}); delete it to have it built again") from error
    u32, u64, size, pointer = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_size_t, ctypes.c_void_p
    prototypes = {
        "openkpu_default_config": (None, [pointer]),
        "openkpu_create": (pointer, [pointer]),
        "openkpu_destroy": (None, [pointer]),
        "openkpu_reset": (None, [pointer]),
        "openkpu_read64": (ctypes.c_int, [pointer, u32, pointer]),
        "openkpu_write64": (ctypes.c_int, [pointer, u32, u64, u64]),
        "openkpu_read": (ctypes.c_int, [pointer, u32, pointer, size]),
        "openkpu_write": (ctypes.c_int, [pointer, u32, ctypes.c_char_p, size]),
        "openkpu_peek": (ctypes.c_int, [pointer, u32, pointer, size]),
        "openkpu_run": (ctypes.c_int, [pointer, u64]),
        "openkpu_step": (None, [pointer, u64]),
        "openkpu_stream": (ctypes.c_int, [pointer, pointer, size, u64, pointer]),
        "openkpu_cycles": (u64, [pointer]),
        "openkpu_trace": (ctypes.c_int, [pointer, ctypes.c_char_p]),
        "openkpu_message": (ctypes.c_char_p, [pointer]),
    }
    for name, (result, arguments) in prototypes.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib
