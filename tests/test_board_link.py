# SPDX-License-Identifier: Apache-2.0
"""The back end "board" before a board that is none: what a bad link, a wrong bitstream or a second host does."""

from __future__ import annotations

import os
import pty
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from openkpu.devices import link as links
from openkpu.devices.backends import open_device
from openkpu.devices.board import BoardDevice
from openkpu.devices.functional import FunctionalDevice
from openkpu.errors import DeviceError, UsageError
from openkpu.hw.board import PAGE_MAGIC
from openkpu.hw.configs import config_named
from openkpu.hw.fields import AIRAM_BASE, REGS_BASE, SRAM_BASE, register
from openkpu.kmodel import load
from openkpu.runtime import Session

pytest.importorskip("litex")
from fake_board import FakeBoard, Server
from litex.tools.remote.comm_udp import CommUDP

MODEL = Path(__file__).resolve().parent / "data" / "nncase_cases" / "gap_7x7.kmodel"
SILENCE = 2.0


@pytest.fixture
def server():
    server = Server(FakeBoard())
    yield server
    server.close()


def test_memories_take_any_range_of_bytes(server):
    device = open_device(f"board:{server.place}")
    rng = np.random.default_rng(3)
    for base in SRAM_BASE, AIRAM_BASE, SRAM_BASE | 0x8000_0000:
        for start, size in (0, 4), (1, 1), (2, 5), (3, 9001), (7, 0):
            before = device.read_memory(base, start + size + 8)
            data = rng.integers(0, 256, size).astype(np.uint8).tobytes()
            device.write_memory(base + start, data)
            assert device.read_memory(base, start + size + 8) == before[:start] + data + before[start + size:]
    with pytest.raises(DeviceError, match="neither in the SRAM nor in the AI RAM"):
        device.write_memory(AIRAM_BASE + (2 << 20) - 1, b"ab")
    device.close()
    device.close()
    with pytest.raises(DeviceError, match="closed"):
        device.read_memory(SRAM_BASE, 4)


def test_a_model_gives_the_same_numbers(server):
    model = load(MODEL)
    rng = np.random.default_rng(5)
    inputs = [rng.integers(0, 256, spec.shape).astype(spec.dtype) for spec in model.inputs]
    with_board = BoardDevice(server.place)
    assert with_board.config == config_named("board")
    for mine, golden in zip(Session(model, with_board).run(inputs),
                            Session(model, FunctionalDevice(config_named("board"))).run(inputs), strict=True):
        np.testing.assert_array_equal(mine, golden)
    with_board.close()


def test_a_wrong_bitstream_is_told_by_its_identification():
    for board, value in (FakeBoard(magic=0xFFFF_FFFF), "0xffffffff"), (FakeBoard(magic=0), "0x00000000"):
        server = Server(board)
        with pytest.raises(DeviceError, match=f"no OpenKPU bitstream.*{value}.*board load"):
            BoardDevice(server.place)
        server.close()
    board = FakeBoard()
    board.device.read64 = lambda address: 0x1234
    server = Server(board)
    with pytest.raises(DeviceError, match=f"0x{PAGE_MAGIC:08x} and 0x00001234"):
        BoardDevice(server.place)
    server.close()


@pytest.mark.parametrize("fault", ["silent", "hang up"])
def test_a_lost_link_is_an_error_within_two_seconds_and_stays_one(server, fault):
    device = BoardDevice(server.place)
    if fault == "silent":
        server.silent = True
    else:
        server.hang_up()
    for call in (lambda: device.read64(REGS_BASE + register("ext_id").offset), lambda: device.read_memory(SRAM_BASE, 4),
                 lambda: device.write_memory(SRAM_BASE, bytes(8)), lambda: device.wait_interrupt(10)):
        begin = time.monotonic()
        with pytest.raises(DeviceError, match="does not answer|closed"):
            call()
        assert time.monotonic() - begin < SILENCE
    device.close()


def test_an_interrupted_request_does_not_leave_its_answer_to_the_next_one(server, monkeypatch):
    device = BoardDevice(server.place)
    bus = device._link._bus

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(bus, "receive_packet", interrupted)
    with pytest.raises(KeyboardInterrupt):
        device.read_memory(SRAM_BASE, 4)
    monkeypatch.undo()
    with pytest.raises(DeviceError, match="closed"):
        device.read_memory(SRAM_BASE, 4)
    device.close()


def test_lost_words_are_written_again_in_a_memory():
    server = Server(FakeBoard(lose=lambda number: number in (500, 3000)))
    device = BoardDevice(server.place)
    data = np.random.default_rng(4).integers(0, 256, 20_000).astype(np.uint8).tobytes()
    device.write_memory(SRAM_BASE, data)
    assert device.read_memory(SRAM_BASE, len(data)) == data
    device.close()
    server.close()


def test_lost_words_of_a_layer_are_an_error():
    board = FakeBoard()
    server = Server(board)
    device = BoardDevice(server.place)
    lost = board.written + 5
    board.lose = lambda number: number == lost
    for n in range(12):
        device.write64(REGS_BASE, n)
    with pytest.raises(DeviceError, match="got lost on the link"):
        device.wait_interrupt(10_000)
    device.close()
    server.close()


def test_a_link_that_loses_everything_is_an_error():
    board = FakeBoard()
    server = Server(board)
    device = BoardDevice(server.place)
    board.lose = lambda number: True
    with pytest.raises(DeviceError, match="got lost on the link 3 times"):
        device.write_memory(SRAM_BASE, bytes(100))
    device.close()
    server.close()


def test_a_second_host_is_refused_and_the_first_one_goes_on(server):
    first = BoardDevice(server.place)
    resets = server.board.resets
    with pytest.raises(DeviceError, match="in use by another host"):
        BoardDevice(server.place)
    assert server.board.resets == resets, "it left the KPU alone"
    first.write_memory(SRAM_BASE, bytes(16))
    first.close()
    BoardDevice(server.place).close()


def test_a_host_that_lost_the_board_while_it_was_silent_says_so(server, monkeypatch):
    first = BoardDevice(server.place)
    server.board.page["owner"] = 0x1111_2222
    later = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    with pytest.raises(DeviceError, match="in use by another host"):
        first.read_memory(SRAM_BASE, 4)
    first.close()


def test_a_memory_that_nobody_started_is_started_by_the_host_or_is_an_error():
    board = FakeBoard(dram_ready=0)
    server = Server(board)
    with pytest.raises(DeviceError, match="has not started its memory"):
        BoardDevice(server.place)
    board.page["dram_mode"] = 0x21
    BoardDevice(server.place).close()
    assert board.page["dram_ready"] == 1
    server.close()


def test_an_interrupt_that_never_comes_is_an_error(server):
    device = BoardDevice(server.place)
    with pytest.raises(DeviceError, match="no interrupt within 5000 clock cycles"):
        device.wait_interrupt(5000)
    device.close()


def test_nobody_there_and_bad_names():
    with socket.create_server(("localhost", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DeviceError, match="cannot be reached"):
        BoardDevice(f"tcp:localhost:{port}")
    with pytest.raises(DeviceError, match="cannot be opened: No such file"):
        BoardDevice("uart:/dev/no_such_port")
    with pytest.raises(UsageError, match="there is no link 'usb'"):
        BoardDevice("usb:1")
    with pytest.raises(UsageError, match="names no board"):
        BoardDevice("uart")
    with pytest.raises(UsageError, match="no number"):
        BoardDevice("uart:/dev/null@fast")
    with pytest.raises(UsageError, match="there is no back end 'board'"):
        open_device("board")
    with pytest.raises(UsageError, match="no KPU configuration 'huge'"):
        BoardDevice("sim:huge")


def test_a_serial_port_that_stays_silent_is_an_error_and_in_use_meanwhile():
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    held = links._hold(name, "the board")
    with pytest.raises(DeviceError, match="in use by another program"):
        BoardDevice(f"uart:{name}")
    os.close(held)
    with pytest.raises(DeviceError, match="does not answer"):
        BoardDevice(f"uart:{name}")
    os.close(master)
    os.close(slave)


def test_an_etherbone_board_is_reached_over_udp(monkeypatch):
    board = FakeBoard()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        here.bind(("127.0.0.2", 0))
        here.settimeout(10)
        monkeypatch.setattr(links, "SERVER_PORT", here.getsockname()[1])

        class SameComputer(CommUDP):
            """Takes another port here than on the board."""

            def open(self, probe=True):
                there, self.port = self.port, 0
                super().open(probe=False)
                self.port = there
                self.probe(self.server, there)

        monkeypatch.setattr("litex.tools.remote.comm_udp.CommUDP", SameComputer)
        dropped = []

        def serve():
            while True:
                try:
                    data, host = here.recvfrom(8192)
                except OSError:
                    return
                if len(dropped) < 3 and len(data) > 500:  # datagrams get lost
                    dropped.append(data)
                    continue
                if reply := board.answer(data):
                    here.sendto(reply, host)

        threading.Thread(target=serve, daemon=True).start()
        device = BoardDevice("udp:127.0.0.2")
        data = np.random.default_rng(4).integers(0, 256, 30_000).astype(np.uint8).tobytes()
        device.write_memory(AIRAM_BASE, data)
        assert device.read_memory(AIRAM_BASE, len(data)) == data
        assert len(dropped) == 3
        device.close()
