# SPDX-License-Identifier: Apache-2.0
"""LiteX's own clients as one thing: words read and written in bursts, an error within ``SILENCE_SECONDS``."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from ..errors import DeviceError, UsageError
from . import guard

INSTALL = "python -m pip install 'openkpu[board]'"
SILENCE_SECONDS = 1.5
START_SECONDS = 10.0
BURST_WORDS = 240  # the protocols count words in a byte
BAUDRATE = 3_000_000
SERVER_PORT = 1234
UDP_RETRIES = 10  # CommUDP's own number


class Bus(Protocol):
    """What LiteX's clients have in common: 32-bit words at bus addresses."""

    def read(self, addr: int, length: int | None = None, burst: str = "incr") -> Any:
        """A word, or a list of ``length`` words."""

    def write(self, addr: int, datas: list[int]) -> None:
        """Write words at rising addresses."""

    def close(self) -> None:
        """Give the link back."""


class Link:
    """A link to a board.

    Parameters
    ----------
    bus : open.
    where : the link's name for messages.
    end : called by :meth:`close`.

    Raises
    ------
    DeviceError
        From every method: the other side does not answer in time, or hung up.
    """

    def __init__(self, bus: Bus, where: str, end: Callable[[], None] = lambda: None):
        self._bus: Bus | None = bus
        self._end = end
        self.where = where

    def read(self, address: int, count: int) -> list[int]:
        """Words at rising addresses."""
        words: list[int] = []
        for done in range(0, count, BURST_WORDS):
            words += self._try("read", address + 4 * done, min(BURST_WORDS, count - done))
        return words

    def write(self, address: int, words: Sequence[int]) -> None:
        """Write words at rising addresses; they may still be under way when this returns."""
        for done in range(0, len(words), BURST_WORDS):
            self._try("write", address + 4 * done, list(words[done:done + BURST_WORDS]))

    def close(self) -> None:
        """Give the link back; closing twice is harmless."""
        if self._bus is not None:
            with suppress(OSError):
                self._bus.close()
            self._bus = None
            self._end()

    def _try(self, name: str, *arguments: Any) -> Any:
        if self._bus is None:
            raise DeviceError("this device is closed; open another one")
        try:
            return getattr(self._bus, name)(*arguments)
        except DeviceError:
            self.close()
            raise
        except (OSError, AssertionError, ValueError, IndexError, AttributeError) as error:  # their parsers' errors
            self.close()
            raise DeviceError(f"{self.where} does not answer ({error or type(error).__name__}); look at the cable and "
                              "the power, load the bitstream again and open the device anew") from error
        except BaseException:  # interrupted: the answer on its way would be taken for that to the next request
            self.close()
            raise


def open_link(kind: str, place: str) -> Link:
    """A link by its name: ``uart`` and a port (``/dev/ttyUSB0``, with ``@BAUD`` for another rate), ``udp`` and a host,
    or ``tcp`` and the ``HOST[:PORT]`` of a running ``litex_server``."""
    need_litex()
    where = f"the board at {kind}:{place}"
    if kind == "udp":
        return Link(_udp(place, where), where)
    if kind == "tcp":
        host, _, port = place.partition(":")
        return Link(_client(host, _number(port or str(SERVER_PORT), "the port", place), where), where)
    if kind == "uart":
        port, _, rate = place.partition("@")
        return serve_uart(port, _number(rate or str(BAUDRATE), "the baud rate", place), where)
    raise UsageError(f"there is no link '{kind}' to a board; choose board:uart:PORT, board:udp:HOST, board:tcp:HOST or "
                     "board:sim")


def serve_uart(port: str, baudrate: int, where: str, then: Callable[[], None] = lambda: None) -> Link:
    """A serial port, or pyserial's URL of one, behind a ``litex_server`` of its own; ``then`` is called at the end."""
    exclusive = None
    if "://" not in port:
        exclusive = _hold(port, where)
    log = tempfile.NamedTemporaryFile(prefix="openkpu-link-", suffix=".log", delete=False)
    number = _free_port()
    server = guard.start([sys.executable, "-m", "litex.tools.litex_server", "--uart", "--uart-port", port,
                          "--uart-baudrate", str(baudrate), "--bind-port", str(number)],
                         dict(os.environ), log)

    def end() -> None:
        guard.end(server)
        then()
        if exclusive is not None:
            os.close(exclusive)
        log.close()
        Path(log.name).unlink(missing_ok=True)

    try:
        limit = time.monotonic() + START_SECONDS
        while True:
            try:
                return Link(_client("localhost", number, where), where, end)
            except DeviceError:
                if server.poll() is not None or time.monotonic() > limit:
                    last = Path(log.name).read_text(errors="replace").strip().splitlines()[-1:]
                    raise DeviceError(f"{where} cannot be opened: {' '.join(last) or 'litex_server does not start'}") \
                        from None
                time.sleep(0.05)
    except BaseException:
        end()
        raise


def need_litex() -> None:
    """DeviceError if LiteX is not installed."""
    if importlib.util.find_spec("litex") is None:
        raise DeviceError(f"boards need the package litex; install it with: {INSTALL}")


def _client(host: str, port: int, where: str) -> Bus:
    from litex.tools.litex_client import RemoteClient

    class Client(RemoteClient):
        """RemoteClient reads silence as zeros; that would be wrong results without a warning."""

        def __init__(self):  # its own would read a csr.csv of any SoC that lies in the current folder
            self.host, self.port, self.base_address = host, port, 0
            self.csr_data_width = self.csr_bus_address_width = 32
            self.debug = self.binded = False

        def receive_packet(self, socket, addr_size):
            packet = super().receive_packet(socket, addr_size)
            if packet == 0:
                raise DeviceError(f"{where} does not answer; look at the cable and the power, load the bitstream "
                                  "again and open the device anew")
            return packet

    client = Client()
    try:
        client.open()
        client.socket.settimeout(SILENCE_SECONDS)
    except OSError as error:
        raise DeviceError(f"{where} cannot be reached ({error}); look at its name, and whether litex_server runs there "
                          "and serves nobody else") from error
    return client


def _udp(host: str, where: str) -> Bus:
    from litex.tools.remote.comm_udp import CommUDP

    bus = CommUDP(host, SERVER_PORT, timeout=SILENCE_SECONDS / UDP_RETRIES)
    try:
        bus.open()
    except Exception as error:  # CommUDP raises Exception itself
        raise DeviceError(f"{where} cannot be reached ({error}); look at its address, and whether another program uses "
                          f"UDP port {SERVER_PORT} of this computer") from error
    return bus


def _hold(port: str, where: str) -> int:
    """Keep other users of this module off a serial port: two would read each other's answers."""
    import fcntl

    try:
        handle = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        raise DeviceError(f"{where} cannot be opened: {error.strerror}; look at the port's name, and whether you may "
                          "use it (group dialout)") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise DeviceError(f"{where} is in use by another program; close it first") from error
    return handle


def _free_port() -> int:
    with socket.create_server(("localhost", 0)) as listener:
        return listener.getsockname()[1]


def _number(text: str, what: str, place: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"{what} in '{place}' is no number")
    return int(text)
