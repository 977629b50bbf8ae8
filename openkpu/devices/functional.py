# SPDX-License-Identifier: Apache-2.0
"""The functional back end: registers, memories and interrupts of the chip over the golden model.

There is no clock. Time passes, one layer at a time, when the driver lets it pass: when it waits for an interrupt, takes
output data, touches the AI RAM, pushes into a full queue, or polls a register. Until then the first layer
is "in execution" and the others are queued, as on hardware, where a layer takes much longer than a register access.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

from openkpu.golden.fast import run_layer
from openkpu.golden.parameters import ParameterMemory
from openkpu.golden.reference import stream_length

from ..errors import DeviceError
from ..hw.check import LayerError, descriptor_errors, error_bits
from ..hw.descriptor import Descriptor
from ..hw.device import KpuConfig, one_at_a_time
from ..hw.fields import (
    AIRAM_BASE,
    KPU_ID_MAGIC,
    REGISTERS,
    REGS_BASE,
    ROW_BYTES,
    SRAM_BASE,
    WORDS,
    register,
)

LAYER_FIFO = 16
# A layer whose output exceeds this by more words finishes only after the driver has drained the rest.
OUTPUT_FIFO_WORDS = 64
VERSION = 1

CALC_DONE, ALMOST_EMPTY, ALMOST_FULL = 1, 2, 4
CLEAR, STEPPING, STEP = register("ext_control").flags("clear", "stepping", "step")
UNBOUNDED = float("inf")
DMA_FLUSH_N, CFG_FLUSH_N = 1, 4
ADDRESS_BITS = (1 << 30) - 1
WORD_BITS = (1 << 64) - 1

_OFFSET = {r.name: r.offset for r in REGISTERS}


class _BusError(Exception):
    """A parameter fetch left the SRAM."""


@dataclass
class _Execution:
    """The layer that is being executed."""

    sets_done: bool
    errors: list[LayerError]


class FunctionalDevice:
    """Implements ``openkpu.hw.device.Device`` bit for bit, without timing: cycle counters read 0.

    Parameters
    ----------
    config : KpuConfig
        Memory sizes and features; descriptors that do not fit set ``ext_error`` (``openkpu.hw.check``).
    """

    name = "functional"

    def __init__(self, config: KpuConfig | None = None):
        self.config = config or KpuConfig()
        self.lock = threading.RLock()
        self._sram = np.zeros(self.config.sram_bytes, np.uint8)
        self._airam = np.zeros(self.config.airam_bytes, np.uint8)
        self._parameters = ParameterMemory()
        self._registers = {r.offset: r.reset for r in REGISTERS if r.access == "RW"}
        self._raw = 0
        self._words: list[int] = []
        self._queue: deque[Descriptor] = deque()
        self._executing: _Execution | None = None
        self._output: deque[int] = deque()
        self._zeros = 0  # words that a refused layer sends behind ``_output``
        self._layers = 0
        self._error = 0
        self._error_reasons: list[str] = []
        self._polled: int | None = None
        self._steps: float = UNBOUNDED

    # Bus

    @one_at_a_time
    def read64(self, address: int) -> int:
        """Read one 64-bit word at a bus address: a register (unknown ones read 0) or 8 bytes of memory."""
        offset = self._register_offset(address)
        if offset is None:
            return int.from_bytes(self.read_memory(address, 8), "little")
        return self._read_register(offset)

    @one_at_a_time
    def write64(self, address: int, value: int) -> None:
        """Write one 64-bit word at a bus address: a register (unknown ones ignore it) or 8 bytes of memory."""
        if not 0 <= value <= WORD_BITS:
            raise DeviceError(f"the value {value} written to 0x{address:08x} does not fit 64 bits")
        offset = self._register_offset(address)
        if offset is None:
            self.write_memory(address, value.to_bytes(8, "little"))
        else:
            self._write_register(offset, value)

    @one_at_a_time
    def read_memory(self, address: int, size: int) -> bytes:
        """Read ``size`` bytes of SRAM or AI RAM; an access to the AI RAM waits until no layer runs."""
        return self._memory(address, size).tobytes()

    @one_at_a_time
    def write_memory(self, address: int, data: bytes) -> None:
        """Write bytes to SRAM or AI RAM; an access to the AI RAM waits until no layer runs."""
        self._memory(address, len(data))[:] = np.frombuffer(data, np.uint8)

    def peek_memory(self, address: int, size: int) -> bytes:
        """The same as :meth:`read_memory`: there are no cycles to disturb."""
        return self.read_memory(address, size)

    @one_at_a_time
    def read_stream(self, size: int) -> bytes:
        """Take ``size`` bytes out of ``fifo_data_out`` in whole words; DeviceError when layers do not deliver them."""
        words = []
        for taken in range(-(-size // 8)):
            while not self._output and not self._zeros:
                if not self._advance():
                    raise DeviceError(f"fifo_data_out ran dry after {8 * taken} of {size} bytes"
                                      f"{self._error_clause()}; push a layer with send_data_out first")
            words.append(self._pop())
        return np.array(words, "<u8").tobytes()[:size]

    @one_at_a_time
    def wait_interrupt(self, max_cycles: int) -> None:
        """Let layers finish until the interrupt line is high; DeviceError if no pending layer can raise it.

        ``max_cycles`` has no meaning without a clock.
        """
        self._polled = None
        while not self._interrupt():
            if not self._advance():
                reason = "the output stream is not drained" if self._executing else "no layer is left to finish"
                raise DeviceError(f"no interrupt can come: {reason} (mask {self._registers[_OFFSET['interrupt_mask']]}"
                                  f", raw {self._raw}){self._error_clause()}")

    @one_at_a_time
    def abandon(self) -> None:
        """Give up whatever runs and waits, as a reset does; memories keep their content."""
        self._registers = {r.offset: r.reset for r in REGISTERS if r.access == "RW"}
        self._raw, self._steps, self._polled = 0, UNBOUNDED, None
        self._words.clear()
        self._queue.clear()
        self._output.clear()
        self._zeros = 0
        self._executing = None

    def close(self) -> None:
        """Nothing to release."""

    # Memories

    @staticmethod
    def _bus_address(address: int) -> int:
        """Only the low 30 bits are decoded, so that cached and non-cached views are the same (spec 9.1)."""
        return SRAM_BASE | (address & ADDRESS_BITS)

    def _memory(self, address: int, size: int) -> np.ndarray:
        bus = self._bus_address(address)
        for base, memory in ((SRAM_BASE, self._sram), (AIRAM_BASE, self._airam)):
            if base <= bus and bus + size <= base + memory.size:
                if memory is self._airam:
                    self._finish_all()
                return memory[bus - base: bus - base + size]
        raise DeviceError(f"{size} bytes at bus address 0x{address:08x} are neither in the {self._sram.size} bytes of "
                          f"SRAM nor in the {self._airam.size} bytes of AI RAM of configuration '{self.config.name}'")

    def _fetch(self, address: int, size: int) -> bytes:
        start = self._bus_address(address) - SRAM_BASE
        if start + size > self._sram.size:
            raise _BusError(f"{size} bytes of parameters at 0x{address:08x} are outside the SRAM")
        return self._sram[start: start + size].tobytes()

    # Registers

    def _register_offset(self, address: int) -> int | None:
        offset = self._bus_address(address) - REGS_BASE
        return offset if offset >= 0 else None

    def _interrupt(self) -> int:
        return self._raw & ~self._registers[_OFFSET["interrupt_mask"]]

    def _read_register(self, offset: int) -> int:
        if offset == _OFFSET["fifo_data_out"]:
            if not self._output and not self._zeros:
                self._advance()
            return self._pop()
        if offset in self._registers:
            return self._registers[offset]
        # The second read of the same register in a row is polling: time passes even if an interrupt is pending.
        if self._polled == offset or not self._interrupt():
            self._advance()
        self._polled = offset
        if offset == _OFFSET["interrupt_status"]:
            return self._interrupt()
        if offset == _OFFSET["interrupt_raw"]:
            return self._raw
        return self._extension(offset)

    def _extension(self, offset: int) -> int:
        config = self.config
        values = {
            "ext_id": {"magic": KPU_ID_MAGIC, "version": VERSION, "has_16bit": int(config.has_16bit)},
            "ext_config": {"pes": config.pes, "lanes": config.lanes, "tile_pixels": config.tile_pixels,
                           "layer_fifo": LAYER_FIFO},
            "ext_memories": {"airam_rows": config.airam_bytes // ROW_BYTES, "weight_bytes": config.weight_bytes},
            "ext_fifo_level": {"out_words": min(len(self._output) + self._zeros, 0xFFFF), "layers": len(self._queue),
                               "busy": int(self._executing is not None)},
        }
        for name, fields in values.items():
            if register(name).offset == offset:
                return sum(fields.get(f.name, 0) << f.lsb for f in register(name).fields)
        return {register("ext_error").offset: self._error, register("ext_layers").offset: self._layers}.get(offset, 0)

    def _write_register(self, offset: int, value: int) -> None:
        self._polled = None
        if offset == _OFFSET["layer_argument_fifo"]:
            self._push_word(value)
        elif offset == _OFFSET["interrupt_clear"]:
            self._raw &= ~value
        elif offset in self._registers:
            used = sum(f.mask << f.lsb for r in REGISTERS if r.offset == offset for f in r.fields)
            self._registers[offset] = value & used
            self._flush()
        elif offset == register("ext_control").offset:
            self._control(value)

    def _control(self, value: int) -> None:
        if value & CLEAR:
            self._layers = self._error = 0
            self._error_reasons = []
        # Without stepping the number of layers that may start has no bound.
        self._steps = (self._steps if self._steps != UNBOUNDED else 0) + bool(value & STEP) \
            if value & STEPPING else UNBOUNDED
        if self._executing is None:
            self._start()

    def _flush(self) -> None:
        """A 0 in ``fifo_ctrl`` holds a FIFO empty."""
        control = self._registers[_OFFSET["fifo_ctrl"]]
        if not control & CFG_FLUSH_N:
            self._words.clear()
            self._queue.clear()
        if not control & DMA_FLUSH_N:
            self._output.clear()
            self._zeros = 0

    def _pop(self) -> int:
        if self._output:
            return self._output.popleft()
        self._zeros -= self._zeros > 0
        return 0

    # Layers

    def _push_word(self, word: int) -> None:
        self._words.append(word)
        self._flush()
        if len(self._words) < WORDS:
            return
        while len(self._queue) == LAYER_FIFO:
            if not self._advance():
                raise DeviceError("the descriptor FIFO is full and the running layer waits for its output "
                                  "stream to be drained")
        self._queue.append(Descriptor.unpack(self._words))
        self._words = []
        thresholds = self._registers[_OFFSET["fifo_threshold"]]
        if len(self._queue) >= thresholds & 15:
            self._raw |= ALMOST_FULL
        if self._executing is None:
            self._start()

    def _start(self) -> None:
        """Take the next layer off the queue and compute it; it counts as finished only in :meth:`_advance`."""
        if not self._queue or not self._steps:
            return
        self._steps -= 1
        d = self._queue.popleft()
        if len(self._queue) <= self._registers[_OFFSET["fifo_threshold"]] >> 4:
            self._raw |= ALMOST_EMPTY
        eight_bit = bool(self._registers[_OFFSET["eight_bit_mode"]])
        errors = descriptor_errors(d, self.config, eight_bit)
        if not errors:
            try:
                result = run_layer(d, self._airam, self._fetch, eight_bit, self._parameters)
                self._output.extend(result.stream)
                self._flush()
            except _BusError as error:
                errors = [LayerError("bus_error", str(error))]
        if errors:
            self._zeros = stream_length(d)
            self._flush()
        self._executing = _Execution(bool(d.int_en or errors), errors)

    def _advance(self) -> bool:
        """Let the running layer finish and the next one start; False if nothing can happen."""
        if self._executing is None or len(self._output) + self._zeros > OUTPUT_FIFO_WORDS:
            return False
        done, self._executing = self._executing, None
        self._output.extend([0] * self._zeros)
        self._zeros = 0
        if done.errors:
            if not self._error:
                self._error = (self._layers & 0xFFFF) << 16
            self._error |= error_bits(done.errors)
            self._error_reasons += [error.reason for error in done.errors]
        self._layers += 1
        if done.sets_done:
            self._raw |= CALC_DONE
        self._start()
        return True

    def _finish_all(self) -> None:
        while self._advance():
            pass

    def _error_clause(self) -> str:
        return f"; the KPU refused a layer: {self._error_reasons[0]}" if self._error_reasons else ""
