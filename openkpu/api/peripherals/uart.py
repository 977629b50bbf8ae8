# SPDX-License-Identifier: Apache-2.0
"""``machine.UART``: what a script sends goes to ``uart<n>.log``, and with ``--uart`` to and from the outside.

``--uart [UARTn=]TARGET``, where TARGET is

* ``pty``: a new pseudo-terminal, whose name is printed; connect any terminal program to it;
* a file: its bytes are what the script receives, at once and in order;
* a serial port (``/dev/tty...``, ``COM3``): with pyserial (``pip install openkpu[uart]``).

Without ``UARTn=`` the first port that the script opens gets it.
"""

from __future__ import annotations

import os
import re
import select
import stat
import sys
import time
from pathlib import Path

from openkpu.api.board.board import Board, current_board
from openkpu.api.board.log import open_log
from openkpu.errors import UsageError

_NAMES = {0: "UART1", 1: "UART2", 2: "UART3", 3: "UARTHS"}
_TARGET = re.compile(r"(?:(UART[123]|UARTHS)=)?(.+)", re.IGNORECASE | re.DOTALL)


def split_target(text: str) -> tuple[str | None, str]:
    """(port name or None, target) of a ``--uart`` argument."""
    match = _TARGET.fullmatch(text)
    if match is None:
        raise UsageError(f"--uart {text!r}: give [UARTn=]pty, a file or a serial port")
    return match[1] and match[1].upper(), match[2]


class _Nothing:
    """Nobody at the other end."""

    may_receive = False

    def configure(self, baudrate: int) -> None:
        """Any speed will do."""

    def write(self, data: bytes) -> None:
        """Forget it."""

    def receive(self) -> bytes:
        """Nothing ever comes."""
        return b""

    def close(self) -> None:
        """Nothing to close."""


class _File(_Nothing):
    """A file whose bytes have been sent to the script before it began."""

    def __init__(self, path: Path):
        try:
            self._data = path.read_bytes()
        except OSError as error:
            raise UsageError(f"--uart {path}: cannot read it: {error.strerror}") from error

    def receive(self) -> bytes:
        """All of it, once."""
        data, self._data = self._data, b""
        return data


class _Pty(_Nothing):
    """A pseudo-terminal in raw mode."""

    may_receive = True

    def __init__(self, name: str):
        try:
            import pty
            import tty
        except ImportError:
            raise UsageError("--uart pty: this system has no pseudo-terminals; use a file or a serial port") from None
        try:
            self._master, self._slave = pty.openpty()
        except OSError as error:
            raise UsageError(f"--uart pty: this system gives no pseudo-terminal ({error}); use a file or a serial "
                             "port") from None
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        print(f"openkpu: {name} is {os.ttyname(self._slave)}", file=sys.stderr, flush=True)

    def write(self, data: bytes) -> None:
        """Send; what a terminal nobody reads cannot hold is dropped, as on a wire."""
        try:
            os.write(self._master, data)
        except BlockingIOError:
            pass

    def receive(self) -> bytes:
        """What has come."""
        if not select.select([self._master], [], [], 0)[0]:
            return b""
        try:
            return os.read(self._master, 65536)
        except OSError:
            return b""

    def close(self) -> None:
        """Give the terminal back."""
        os.close(self._master)
        os.close(self._slave)


class _Port(_Nothing):
    """A serial port of this computer."""

    may_receive = True

    def __init__(self, name: str, baudrate: int):
        try:
            import serial
        except ImportError:
            raise UsageError(f"--uart {name}: serial ports need pyserial: pip install openkpu[uart]") from None
        try:
            self._port = serial.Serial(name, baudrate, timeout=0)
        except (serial.SerialException, ValueError) as error:
            raise UsageError(f"--uart {name}: cannot open it: {error}") from error

    def configure(self, baudrate: int) -> None:
        """Set the port's speed."""
        self._port.baudrate = baudrate

    def write(self, data: bytes) -> None:
        """Send."""
        self._port.write(data)

    def receive(self) -> bytes:
        """What has come."""
        return self._port.read(65536)

    def close(self) -> None:
        """Close the port."""
        self._port.close()


def _connect(board: Board, name: str, baudrate: int) -> _Nothing:
    """The other end of a port: a target with its name, else the first that has none and is not taken."""
    taken = board.parts.setdefault("uart targets", set())
    targets = [(*split_target(text), i) for i, text in enumerate(board.settings.uart) if i not in taken]
    wanted = [t for t in targets if t[0] == name] or ([t for t in targets if t[0] is None] if name != "UARTHS" else [])
    if not wanted:
        return _Nothing()
    _, target, index = wanted[0]
    taken.add(index)
    if target.lower() == "pty":
        return _Pty(name)
    path = Path(target)
    if path.exists() and not stat.S_ISCHR(path.stat().st_mode):
        return _File(path)
    if path.exists() or re.fullmatch(r"COM\d+|\w+://.*", target):
        return _Port(target, baudrate)
    raise UsageError(f"--uart {target}: there is no such file or serial port; for a new pseudo-terminal give pty")


class _Line:
    """One port of the board: what it received and the log of what it sent. Survives ``UART`` objects."""

    def __init__(self, board: Board, number: int, baudrate: int):
        self.name = _NAMES[number]
        self.end = _connect(board, self.name, baudrate)
        self.log = open_log(board, f"{self.name.lower()}.log") if number != 3 else None
        self.received = bytearray()
        self.sent = 0
        board.closers.append(self.end.close)

    @property
    def may_receive(self) -> bool:
        """Whether somebody may still send."""
        return self.end.may_receive

    def fetch(self) -> None:
        self.received += self.end.receive()

    def send(self, data: bytes) -> None:
        self.sent += len(data)
        if self.log is not None and not self.log.closed:
            self.log.write(data)
            self.log.flush()
        elif self.name == "UARTHS":
            sys.stdout.write(data.decode("utf-8", "replace"))
        self.end.write(data)


class UART:
    """A serial port. Port ``UARTHS`` is the console: what is written there is printed.

    Parameters
    ----------
    id : ``UART1``, ``UART2``, ``UART3`` or ``UARTHS``.
    baudrate, bits, parity, stop : accepted; only a serial port of this computer sees the baud rate.
    timeout : milliseconds that ``read`` waits for somebody who may still send.
    read_buf_len : largest number of bytes one ``read()`` gives.
    """

    UART1, UART2, UART3, UARTHS = 0, 1, 2, 3
    PARITY_NONE, PARITY_ODD, PARITY_EVEN = 0, 1, 2
    STOP_1, STOP_1_5, STOP_2 = 1, 1.5, 2

    def __init__(self, id=0, baudrate=115200, bits=8, parity=None, stop=1, timeout=1000,
                 read_buf_len=4096, ide=False, from_ide=True, **other):
        if id not in _NAMES:
            raise ValueError(f"UART {id!r} does not exist: use UART.UART1, UART2, UART3 or UARTHS")
        self._board = current_board()
        lines = self._board.parts
        key = ("uart", id)
        if key not in lines:
            lines[key] = _Line(self._board, id, int(baudrate))
        self._line: _Line = lines[key]
        self.init(baudrate, bits, parity, stop, timeout, read_buf_len)

    def init(self, baudrate=115200, bits=8, parity=None, stop=1, timeout=1000, read_buf_len=4096,
             **other) -> None:
        """Set the parameters anew."""
        self._baudrate, self._bits, self._parity, self._stop = baudrate, bits, parity, stop
        self._timeout, self._limit = timeout, max(1, int(read_buf_len))
        self._line.end.configure(int(baudrate))

    def deinit(self) -> None:
        """Nothing to release; the port's log stays open."""

    def write(self, data, *more) -> int:
        """Send a str (as UTF-8) or bytes; the number of bytes."""
        data = data.encode() if isinstance(data, str) else bytes(memoryview(data))
        self._line.send(data)
        return len(data)

    def any(self) -> int:
        """Bytes that have come."""
        self._line.fetch()
        if not self._line.received:
            self._poll()
        return len(self._line.received)

    def read(self, count=None) -> bytes | None:
        """Up to ``count`` bytes, without it what has come; None if nothing did."""
        self._wait(lambda: bool(self._line.received))
        return self._take(self._limit if count is None or count < 0 else int(count))

    def readline(self, count=None) -> bytes | None:
        """Bytes up to and with the line feed, or what has come by the time-out; None if nothing did."""
        self._wait(lambda: b"\n" in self._line.received)
        end = self._line.received.find(b"\n")
        length = end + 1 if end >= 0 else len(self._line.received)
        return self._take(length if count is None or count < 0 else min(length, int(count)))

    def readinto(self, buffer, count=None) -> int | None:
        """Fill a buffer; the number of bytes, None if nothing came."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view) if count is None else min(len(view), int(count)))
        if data is None:
            return None
        view[:len(data)] = data
        return len(data)

    def readchar(self) -> int:
        """One byte, -1 if nothing came."""
        data = self.read(1)
        return data[0] if data else -1

    def writechar(self, char: int) -> None:
        """Send one byte."""
        self.write(bytes([char & 0xFF]))

    def flush(self) -> None:
        """Everything is sent at once."""

    def _take(self, count: int) -> bytes | None:
        data = bytes(self._line.received[:count])
        del self._line.received[:count]
        return data or None

    def _wait(self, enough) -> None:
        self._line.fetch()
        end = time.monotonic() + self._timeout / 1000
        while not enough() and self._line.may_receive and time.monotonic() < end:
            self._board.sleep(0.005)
            self._line.fetch()
        if not self._line.received:
            self._poll()

    def _poll(self) -> None:
        if not self._line.may_receive:
            self._board.on_poll(f"{self._line.name} was asked for data", "see --uart")

    @staticmethod
    def repl_uart() -> UART:
        """The console's port."""
        return UART(UART.UARTHS)

    @staticmethod
    def set_repl_uart(uart: UART) -> None:
        """Accepted: the console stays where it is."""

    def __repr__(self) -> str:
        return (f"[MAIXPY]UART{self._line.name.removeprefix('UART')}:( baudrate={self._baudrate}, "
                f"bits={self._bits}, parity={self._parity}, stop={self._stop})")


def bytes_sent(board: Board) -> dict[str, int]:
    """Bytes sent by port name, for the summary."""
    lines = (part for key, part in board.parts.items() if isinstance(part, _Line))
    return {line.name: line.sent for line in lines if line.sent}
