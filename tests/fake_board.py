# SPDX-License-Identifier: Apache-2.0
"""A board that is none: LiteX's Etherbone protocol over TCP or UDP before the functional back end, with faults."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from litex.tools.remote.etherbone import EtherboneIPC, EtherbonePacket, EtherboneRecord, EtherboneWrites

from openkpu.devices.functional import FunctionalDevice
from openkpu.hw.board import (
    AIRAM_WINDOW,
    MAIN_RAM,
    PAGE_MAGIC,
    PAGE_REGISTERS,
    PUSH_REGISTER,
    PUSH_WINDOW,
    REGISTER_WINDOW,
    REGISTER_WINDOW_BYTES,
    SHIFT,
    STREAM_WINDOW,
    page_address,
)
from openkpu.hw.configs import config_named
from openkpu.hw.fields import REGS_BASE, register

MASK = 0xFFFF_FFFF


class FakeBoard:
    """Words at the addresses of ``openkpu.hw.board``.

    Parameters
    ----------
    magic : what the board page's first register reads.
    lose : called with the number of each counted write; True loses it.
    dram_ready : whether the memory has been started.
    """

    def __init__(self, magic: int = PAGE_MAGIC, lose: Callable[[int], bool] = lambda number: False,
                 dram_ready: int = 1):
        self.device = FunctionalDevice(config_named("board"))
        self.page = dict.fromkeys(PAGE_REGISTERS, 0) | {"magic": magic, "clock_khz": 50_000, "dram_ready": dram_ready}
        self.lose, self.written = lose, 0
        self.low = self.high = 0
        self.resets = 0

    def read(self, address: int) -> int:
        """One word."""
        for name in PAGE_REGISTERS:
            if address == page_address(name):
                if name == "cycles":
                    self.page[name] += 1000
                if name == "irq":
                    return int(bool(self._register("interrupt_status")))
                return self.page[name]
        offset = address - REGISTER_WINDOW
        if 0 <= offset < REGISTER_WINDOW_BYTES:
            if address & 4:
                return self.high
            value = int.from_bytes(self.device.read_stream(8), "little") if offset >= STREAM_WINDOW else \
                self.device.read64(REGS_BASE + offset)
            self.high = value >> 32
            return value & MASK
        return int.from_bytes(self.device.read_memory(self._bus(address), 4), "little")

    def write(self, address: int, value: int) -> None:
        """One word."""
        if address == page_address("owner"):
            if self.page["owner"] == 0:
                self.page["owner"] = value
            elif self.page["owner"] == ~value & MASK:
                self.page["owner"] = 0
            return
        self.written += 1
        if self.lose(self.written):
            return
        self.page["link_words"] += 1
        self.page["link_sum"] = self.page["link_sum"] + address + value & MASK
        offset = address - REGISTER_WINDOW
        if 0 <= offset < REGISTER_WINDOW_BYTES:
            if address & 4:
                target = PUSH_REGISTER if offset >= PUSH_WINDOW else offset & ~4
                self.device.write64(REGS_BASE + target, self.low | value << 32)
            self.low = value
        elif address == page_address("reset"):
            self.resets += value
        elif address == page_address("dram_ready"):
            self.page["dram_ready"] = value
        elif MAIN_RAM <= address < AIRAM_WINDOW + (2 << 20):
            self.device.write_memory(self._bus(address), value.to_bytes(4, "little"))

    def _register(self, name: str) -> int:
        try:
            self.device.wait_interrupt(1000)
        except Exception:
            return 0
        return self.device.read64(REGS_BASE + register(name).offset)

    @staticmethod
    def _bus(address: int) -> int:
        return address - SHIFT if address >= AIRAM_WINDOW else address

    def answer(self, data: bytes) -> bytes:
        """What the board answers to a packet; empty for none."""
        packet = EtherbonePacket(32, data)
        packet.decode()
        reply = EtherbonePacket(32)
        if packet.pf:
            reply.pr = 1
            reply.encode()
            return bytes(reply.bytes)
        record = packet.records.pop()
        if record.writes is not None:
            for n, value in enumerate(record.writes.get_datas()):
                self.write(record.writes.base_addr + 4 * n, value)
        if record.reads is None:
            return b""
        answer = EtherboneRecord(4)
        where = int.from_bytes(data[12:16], "big")  # LiteX's decoder drops the address that answers go to
        answer.writes = EtherboneWrites(4, base_addr=where,
                                        datas=[self.read(address) for address in record.reads.get_addrs()])
        answer.wcount = len(answer.writes)
        reply.records = [answer]
        reply.encode()
        return bytes(reply.bytes)


class Server(EtherboneIPC):
    """A ``litex_server`` in a thread. ``silent``: it takes requests and answers none; ``hang_up`` closes all links."""

    def __init__(self, board: FakeBoard):
        self.board = board
        self.silent = False
        self.links: list[socket.socket] = []
        self.listener = socket.create_server(("localhost", 0))
        self.place = f"tcp:localhost:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            self.links.append(link)
            link.sendall(b"CommFake:localhost:0")
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        while True:
            try:
                packet = self.receive_packet(link, 4)
            except OSError:
                return
            if packet == 0:
                return
            if not self.silent and (reply := self.board.answer(packet)):
                link.sendall(reply)

    def hang_up(self) -> None:
        """As if litex_server had ended."""
        for link in self.links:
            link.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End."""
        self.listener.close()
