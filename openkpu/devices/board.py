# SPDX-License-Identifier: Apache-2.0
"""A KPU on an FPGA board, or the simulation of the whole SoC, behind a link of LiteX's (``openkpu.boards``)."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from ..errors import DeviceError, UsageError
from ..hw.board import (
    ALIAS_BYTES,
    MAIN_RAM,
    OWNER_SECONDS,
    PAGE_MAGIC,
    PAGE_REGISTERS,
    PUSH_REGISTER,
    PUSH_WINDOW,
    REGISTER_WINDOW,
    SHIFT,
    STREAM_WINDOW,
    page_address,
    sdram_address,
)
from ..hw.configs import CORES
from ..hw.device import KpuConfig, one_at_a_time
from ..hw.fields import (
    AIRAM_BASE,
    KPU_ID_MAGIC,
    LAYERS_QUEUED,
    REGS_BASE,
    ROW_BYTES,
    SRAM_BASE,
    WORDS,
    register,
)
from .link import Link, open_link

ADDRESS_BITS = (1 << 30) - 1
REGISTER_BYTES = 1 << 13
PIECE_BYTES = 8192  # between two looks at the counters: a slow link carries so many within its time-out
TRIES = 3
STREAM_SECONDS = 60.0
PUSH_SECONDS = 60.0
STANDSTILL_SECONDS = 5.0
# LiteDRAM's registers by which software drives the memory's pins, as offsets in its page, and the bits in them.
DFII_CONTROL, DFII_COMMAND, DFII_ISSUE, DFII_ADDRESS, DFII_BANK = range(0, 20, 4)
DFII_HARDWARE, DFII_CKE, DFII_ODT, DFII_RESET_N = 1, 2, 4, 8
DFII_CS, DFII_WE, DFII_CAS, DFII_RAS = 1, 2, 4, 8
ALL_BANKS, RESET_DLL = 0x400, 0x100


class BoardDevice:
    """Implements ``openkpu.hw.device.Device`` with a board.

    Every word that is written is counted on the board, with a sum; what got lost is written again, or is an error where
    that could change something. One host has the board at a time.

    Parameters
    ----------
    place : ``sim`` (``sim:CONFIGURATION`` for another core than ``board``), ``uart:/dev/ttyUSB0`` (``@BAUD`` behind
        it for another rate than 3 Mbaud), ``udp:HOST``, or ``tcp:HOST[:PORT]`` of a running ``litex_server``.
    link : an open link instead.

    Raises
    ------
    DeviceError
        The link cannot be opened, something else than OpenKPU answers there, or another host has the board.
    """

    name = "board"

    def __init__(self, place: str = "sim", *, link: Link | None = None):
        self.lock = threading.RLock()
        self.cycles = 0  # as last seen
        self._pushed: list[int] = []
        self._token = secrets.randbelow((1 << 32) - 2) + 1
        self._sent = self._sum = 0
        self._heard = time.monotonic()
        self._owner = False
        self._link = link or _open(place)
        try:
            self._identify()
            self._take()
            self._settle()
            self._start_memory()
            self.config = self._configuration()
            self._reset()
        except BaseException:
            self.close()
            raise

    # The board page.

    def _page(self, name: str, count: int = 1) -> list[int]:
        return self._read(page_address(name), count)

    def _identify(self) -> None:
        magic, self.clock_khz = self._page("magic", 2)
        kpu = self._read(_kpu_address("ext_id"), 1)[0] if magic == PAGE_MAGIC else 0
        if magic != PAGE_MAGIC or kpu != KPU_ID_MAGIC:
            raise DeviceError(f"{self._link.where} has no OpenKPU bitstream: its identification registers read "
                              f"0x{magic:08x} and 0x{kpu:08x} instead of 0x{PAGE_MAGIC:08x} and 0x{KPU_ID_MAGIC:08x}; "
                              "load one with: openkpu board load")

    def _take(self) -> None:
        """Become the board's host, or still be it after a silence."""
        self._link.write(page_address("owner"), [self._token])  # not counted
        if self._page("owner")[0] != self._token:
            raise DeviceError(f"{self._link.where} is in use by another host; close that program, or wait "
                              f"{OWNER_SECONDS} s after it has ended")
        self._owner = True

    def _settle(self) -> bool:
        """Whether everything written has arrived; then counting begins anew."""
        words, total = self._page("link_words", 2)
        arrived = (words, total) == (self._sent & 0xFFFF_FFFF, self._sum)
        self._sent, self._sum = words, total
        return arrived

    def _start_memory(self) -> None:
        mode, ready = self._page("dram_mode", 2)
        if ready:
            return
        if not mode:
            raise DeviceError(f"{self._link.where} has not started its memory; look at its console for what stops the "
                              "firmware")
        self._dfii(DFII_CONTROL, DFII_CKE | DFII_ODT | DFII_RESET_N)
        for address, command in ((ALL_BANKS, DFII_RAS | DFII_WE), (mode | RESET_DLL, DFII_RAS | DFII_CAS | DFII_WE),
                                 (ALL_BANKS, DFII_RAS | DFII_WE), (0, DFII_RAS | DFII_CAS), (0, DFII_RAS | DFII_CAS),
                                 (mode, DFII_RAS | DFII_CAS | DFII_WE)):
            self._dfii(DFII_ADDRESS, address)
            self._dfii(DFII_BANK, 0)
            self._dfii(DFII_COMMAND, command | DFII_CS)
            self._dfii(DFII_ISSUE, 1)
        self._dfii(DFII_CONTROL, DFII_HARDWARE)
        self._write(page_address("dram_ready"), [1])
        self._check_arrived()

    def _dfii(self, offset: int, value: int) -> None:
        self._write(sdram_address(offset), [value])
        self._page("cycles")  # an answer: some microseconds have passed since the command

    def _configuration(self) -> KpuConfig:
        sizes = {f.name: self.read64(REGS_BASE + r.offset) >> f.lsb & f.mask
                 for r in (register("ext_config"), register("ext_memories")) for f in r.fields}
        mine = KpuConfig(name="board", pes=sizes["pes"], lanes=sizes["lanes"], tile_pixels=sizes["tile_pixels"],
                         airam_bytes=sizes["airam_rows"] * ROW_BYTES, weight_bytes=sizes["weight_bytes"])
        self._queue = sizes["layer_fifo"]
        known = (core.config(name) for name, core in CORES.items())
        return next((config for config in known if config == replace(mine, name=config.name)), mine)

    def _reset(self) -> None:
        self._pushed.clear()
        for value in (1, 0):
            self._write(page_address("reset"), [value])
            self._page("cycles")
        self._check_arrived()

    # Words on the link.

    def _read(self, address: int, count: int) -> list[int]:
        self._keep()
        return self._link.read(address, count)

    def _write(self, address: int, words: Sequence[int]) -> None:
        self._keep()
        self._sent += len(words)
        self._sum = (self._sum + sum(words) + len(words) * address + 2 * len(words) * (len(words) - 1)) & 0xFFFF_FFFF
        self._link.write(address, words)

    def _keep(self) -> None:
        now = time.monotonic()
        late, self._heard = now - self._heard > OWNER_SECONDS / 2, now
        if late and self._owner:
            self._take()

    def _check_arrived(self) -> None:
        if not self._settle():
            raise DeviceError(f"words written to {self._link.where} got lost on the link; take a slower or shorter one")

    # Device.

    @one_at_a_time
    def read64(self, address: int) -> int:
        """Read one 64-bit register at a bus address."""
        offset = self._register(address)
        self._push()
        low, high = self._read(REGISTER_WINDOW + offset, 2)
        return low | high << 32

    @one_at_a_time
    def write64(self, address: int, value: int) -> None:
        """Write one 64-bit register; the words of a layer go in one burst, which waits while the queue is full."""
        offset = self._register(address)
        words = [value & 0xFFFF_FFFF, value >> 32 & 0xFFFF_FFFF]
        if offset == PUSH_REGISTER:
            self._pushed += words
            if len(self._pushed) >= 2 * WORDS:
                self._push()
            return
        self._push()
        self._write(REGISTER_WINDOW + offset, words)

    def _push(self) -> None:
        """Send the descriptor words that were kept together."""
        words, self._pushed = self._pushed, []
        if not words:
            return
        limit = time.monotonic() + PUSH_SECONDS
        while self._level()[1] >= self._queue:  # a full queue would stall the bus of the whole SoC
            if time.monotonic() > limit:
                raise DeviceError(f"the layer queue stayed full for {PUSH_SECONDS:g} s; the layer hangs")
        self._write(REGISTER_WINDOW + PUSH_WINDOW, words)

    def _level(self) -> tuple[int, int, int]:
        """Words in the output FIFO, layers queued, and what of the register's bits says that layers will come."""
        low = self._read(_kpu_address("ext_fifo_level"), 1)[0]
        values = {f.name: low >> f.lsb & f.mask for f in register("ext_fifo_level").fields}
        return values["out_words"], values["layers"], low & ~LAYERS_QUEUED

    @one_at_a_time
    def read_memory(self, address: int, size: int) -> bytes:
        """Read bytes of SRAM or AI RAM."""
        place = self._memory(address, size)
        self._push()
        first = place & ~3
        words = self._read(first, (place + size - first + 3) // 4)
        return np.array(words, "<u4").tobytes()[place - first:place - first + size]

    @one_at_a_time
    def write_memory(self, address: int, data: bytes) -> None:
        """Write bytes to SRAM or AI RAM. DeviceError if they do not all arrive."""
        place, data = self._memory(address, len(data)), bytes(data)
        if not data:
            return
        self._push()
        self._check_arrived()
        first, end = place & ~3, place + len(data) + 3 & ~3
        before = np.array(self._read(first, 1), "<u4").tobytes()[:place - first] if place > first else b""
        left = end - place - len(data)
        behind = np.array(self._read(end - 4, 1), "<u4").tobytes()[4 - left:] if left else b""
        words = np.frombuffer(before + data + behind, "<u4")
        for start in range(0, len(words), PIECE_BYTES // 4):
            piece = words[start:start + PIECE_BYTES // 4].tolist()
            for _ in range(TRIES):
                self._write(first + 4 * start, piece)
                if self._settle():
                    break
            else:
                raise DeviceError(f"words written to {self._link.where} got lost on the link {TRIES} times; take a "
                                  "slower or shorter one")

    def peek_memory(self, address: int, size: int) -> bytes:
        """The same as :meth:`read_memory`: an observer is a bus master like any other."""
        return self.read_memory(address, size)

    @one_at_a_time
    def read_stream(self, size: int) -> bytes:
        """Take ``size`` bytes off the output FIFO; DeviceError when the core is idle before all have come."""
        self._push()
        self._check_arrived()
        words: list[int] = []
        wanted, idle, limit = -(-size // 4), False, time.monotonic() + STREAM_SECONDS
        while len(words) < wanted:
            ready, _, coming = self._level()
            count = min(2 * ready, wanted + wanted % 2 - len(words), ALIAS_BYTES // 4)
            if count:
                words += self._read(REGISTER_WINDOW + STREAM_WINDOW, count)
                limit = time.monotonic() + STREAM_SECONDS
            elif idle:
                raise DeviceError(f"fifo_data_out ran dry after {4 * len(words)} of {size} bytes; push a layer with "
                                  "send_data_out first")
            elif time.monotonic() > limit:
                raise DeviceError(f"only {4 * len(words)} of {size} bytes came off fifo_data_out, and no other for "
                                  f"{STREAM_SECONDS:g} s")
            idle = not count and not coming
        return np.array(words, "<u4").tobytes()[:size]

    @one_at_a_time
    def wait_interrupt(self, max_cycles: int) -> None:
        """Until the interrupt line is high; DeviceError after ``max_cycles`` clock cycles of the board."""
        self._push()
        self._check_arrived()
        passed, last, moved = 0, self._page("cycles")[0], time.monotonic()
        names = list(PAGE_REGISTERS)
        first, irq = names.index("cycles"), names.index("irq")
        while True:
            values = self._page("cycles", irq - first + 1)
            step = values[0] - last & 0xFFFF_FFFF
            passed, last = passed + step, values[0]
            self.cycles += step
            if values[-1]:
                return
            now = time.monotonic()
            if step:
                moved = now
            if passed >= max_cycles:
                raise DeviceError(f"the KPU raised no interrupt within {max_cycles} clock cycles; the layer hangs")
            if now - moved > STANDSTILL_SECONDS:
                raise DeviceError(f"the clock of {self._link.where} stands still")

    @one_at_a_time
    def abandon(self) -> None:
        """Give up whatever runs, by a reset of the KPU. SRAM keeps its content; lines of the AI RAM that were only in
        the cache do not."""
        self._settle()
        self._reset()

    @one_at_a_time
    def close(self) -> None:
        """Give the board back; closing twice is harmless."""
        if self._owner:
            self._owner = False
            with suppress(DeviceError):
                self._link.write(page_address("owner"), [~self._token & 0xFFFF_FFFF])
                self._page("owner")  # until it has arrived
        self._link.close()

    @staticmethod
    def _register(address: int) -> int:
        offset = (address & ADDRESS_BITS) - (REGS_BASE & ADDRESS_BITS)
        if not 0 <= offset <= REGISTER_BYTES - 8 or offset % 8:
            raise DeviceError(f"there is no register at bus address 0x{address:08x}")
        return offset

    def _memory(self, address: int, size: int) -> int:
        """Where the SoC has bytes of the chip's memories."""
        bus = SRAM_BASE | address & ADDRESS_BITS
        if SRAM_BASE <= bus and bus + size <= SRAM_BASE + self.config.sram_bytes:
            return bus - SRAM_BASE + MAIN_RAM
        if AIRAM_BASE <= bus and bus + size <= AIRAM_BASE + self.config.airam_bytes:
            return bus + SHIFT
        raise DeviceError(f"{size} bytes at bus address 0x{address:08x} are neither in the SRAM nor in the AI RAM")


def _kpu_address(name: str) -> int:
    return REGISTER_WINDOW + register(name).offset


def _open(place: str) -> Link:
    kind, _, rest = place.partition(":")
    if kind == "sim":
        from .board_simulation import simulated_link

        return simulated_link(rest or "board")
    if not rest:
        raise UsageError(f"'board:{place}' names no board; choose board:uart:PORT, board:udp:HOST, board:tcp:HOST or "
                         "board:sim")
    return open_link(kind, rest)
